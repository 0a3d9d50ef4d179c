"""Shuffled images, and what models make of them, on models made by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_stimuli import make_answers

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.pixels import puzzle as puzzle_lib
from jigsaw_shape.suites import puzzle
from jigsaw_shape.suites.suite import PLAIN

S, N = 48, 40
PERMUTATIONS = puzzle_lib.permutation_set(3, 6, seed=0)


def _rngs(n=N):
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(0), i))(jnp.arange(n))


def _images():
    """Returns reddish (0) or bluish (1) images, bright in their upper half (0) or not.

    The colour is the first label, the arrangement the second.
    """
    rng = np.random.default_rng(0)
    colour, half = rng.integers(2, size=(2, N))
    images = 0.1 + 0.2 * rng.random((N, S, S, 3))
    for i in range(N):
        images[i, :, :, 2 * colour[i]] += 0.4
        rows = slice(0, S // 2) if half[i] == 0 else slice(S // 2, S)
        images[i, rows] += 0.25
    return np.float32(images), colour, half


def _by_colour(images):
    means = np.asarray(images).mean((1, 2))
    return {"classification": np.stack([means[:, 0], means[:, 2]], 1)}


def _by_arrangement(images):
    halves = np.asarray(images).reshape(len(images), 2, -1).mean(-1)
    return {"classification": halves}


def _probes(permutations=None):
    return puzzle.SUITE.probes(
        None, [Classifier("m", (), S, 4, None, permutations=permutations)]
    )


def _rows(predict, images, label):
    outputs = {probe.name: predict(probe.make(_rngs(), images)) for probe in _probes()}
    outputs[PLAIN.name] = predict(images)
    return list(puzzle.SUITE.rows(make_answers(outputs, label, S)))


def test_a_reader_of_colours_keeps_its_accuracy_and_one_of_arrangement_loses_it():
    images, colour, half = _images()
    rows = _rows(_by_colour, images, colour)
    assert [row["level"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["accuracy"] for row in rows] == [1] * 6
    rows = _rows(_by_arrangement, images, half)
    assert rows[0]["accuracy"] == 1
    assert np.mean([row["accuracy"] for row in rows[1:]]) < 0.75
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)


@pytest.mark.parametrize("grid", [2, 5])
def test_every_tile_moves_and_the_border_stays(grid):
    images = np.random.default_rng(0).random((3, S, S, 3)).astype(np.float32)
    shuffle = jax.jit(puzzle.shuffle, static_argnums=2)
    shuffled = np.asarray(shuffle(_rngs(3), images, grid))
    side, tile = S // grid * grid, S // grid
    np.testing.assert_array_equal(shuffled[:, side:], images[:, side:])
    np.testing.assert_array_equal(shuffled[:, :, side:], images[:, :, side:])

    def tiles(image):
        cells = range(0, side, tile)
        return [
            image[i : i + tile, j : j + tile].tobytes() for i in cells for j in cells
        ]

    for before, after in zip(images, shuffled, strict=True):
        assert sorted(tiles(before)) == sorted(tiles(after))
        assert all(a != b for a, b in zip(tiles(before), tiles(after), strict=True))


def test_an_arrangement_follows_from_the_key_alone():
    images = np.random.default_rng(0).random((4, S, S, 3)).astype(np.float32)
    shuffle = jax.jit(puzzle.shuffle, static_argnums=2)
    together = shuffle(_rngs(4), images, 4)
    np.testing.assert_array_equal(together[2:3], shuffle(_rngs(4)[2:3], images[2:3], 4))
    same = np.broadcast_to(images[:1], images.shape)
    assert len(np.unique(np.asarray(shuffle(_rngs(4), same, 4)), axis=0)) == 4


def test_grids_grow_as_far_as_tiles_hold_a_texture():
    assert puzzle.grids(222) == (2, 3, 4, 5, 6, 8)
    assert puzzle.grids(30) == (2, 3)


def test_orders_are_each_asked_as_often_in_any_batch():
    orders = puzzle.orders_of(np.arange(60), 7)
    assert np.bincount(orders).tolist() == [0] + [10] * 6
    np.testing.assert_array_equal(puzzle.orders_of(np.arange(7, 20), 7), orders[7:20])


def _head(answered):
    classes = np.zeros((len(answered), 2), np.float32)
    jigsaw_scores = np.eye(len(PERMUTATIONS), dtype=np.float32)[answered]
    return {"classification": classes, "jigsaw": jigsaw_scores}


def _head_rows(whole, shuffled):
    ordered, probe = [probe for probe in _probes(PERMUTATIONS) if probe.orders]
    np.testing.assert_array_equal(ordered.orders(np.arange(N)), np.zeros(N))
    np.testing.assert_array_equal(probe.orders(np.arange(N)), _truth())
    names = [PLAIN.name, *(p.name for p in _probes(PERMUTATIONS) if p is not probe)]
    outputs = dict.fromkeys(names, _head(whole)) | {probe.name: _head(shuffled)}
    answers = make_answers(outputs, np.zeros(N, np.int32), S, PERMUTATIONS)
    return [row for row in puzzle.SUITE.rows(answers) if "level" not in row]


def _truth():
    return puzzle.orders_of(np.arange(N), len(PERMUTATIONS))


def test_a_head_that_always_says_ordered_is_seen_through():
    zeros = np.zeros(N, np.int32)
    row, *pairs = _head_rows(zeros, zeros)
    assert row["ordered_accuracy"] == 1
    assert row["shuffled_accuracy"] == 0
    assert row["share_ordered"] == 1
    assert row["chance"] == pytest.approx(1 / 7)
    assert {pair["orders"][0] for pair in pairs} == {0}
    assert sum(pair["count"] for pair in pairs) == N


def test_the_most_confused_pair_is_named_with_its_distance():
    truth = _truth()
    answered = np.where(truth == 3, 5, np.where(truth == 5, 3, truth))
    row, pair = _head_rows(np.zeros(N, np.int32), answered)
    assert pair["orders"] == [3, 5]
    assert pair["count"] == (truth == 3).sum() + (truth == 5).sum()
    distance = (PERMUTATIONS[3] != PERMUTATIONS[5]).sum()
    assert pair["distance"] == distance == row["wrong_distance"]
    confusion = np.array(row["confusion"])
    assert confusion[0, 0] == N
    assert confusion.sum() == 2 * N
    assert confusion[3, 5] == (truth == 3).sum()
    row, *pairs = _head_rows(np.zeros(N, np.int32), truth)
    assert row["shuffled_accuracy"] == 1
    assert pairs == []


def test_pairs_are_sorted_by_how_often_they_are_confused():
    confusion = np.array([[9, 1, 0], [2, 9, 4], [0, 0, 9]])
    assert puzzle.most_confused(confusion, 5) == [(1, 2, 4), (0, 1, 3)]
    assert puzzle.most_confused(confusion, 1) == [(1, 2, 4)]
