"""What is measured, on hand-made outputs."""

import math

import numpy as np
import pytest

from jigsaw_shape.config import default_config
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.data.splits import split
from jigsaw_shape.measures.shape_bias import shape_bias
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.training import predict
from jigsaw_shape.training.evaluation import evaluate_run

N_CLASSES, N_ORDERS = 3, 5
PERMUTATIONS = puzzle.permutation_set(2, N_ORDERS - 1, 0)


def test_shape_bias_pools_over_images_and_leaves_out_agreeing_ones():
    shape = np.array([0, 0, 0, 1, 1, 2, 2])
    texture = np.array([1, 1, 2, 0, 2, 0, 2])  # the last one agrees
    decisions = np.array([0, 1, 1, 1, 1, 0, 2])
    #                     S  T  -  S  S  T  left out
    found = shape_bias(decisions, shape, texture)
    assert found == {
        "shape_bias": 3 / 5,
        "shape_accuracy": 3 / 6,
        "texture_accuracy": 2 / 6,
        "n": 6,
    }


def test_shape_bias_of_no_decision_is_nan():
    found = shape_bias(np.array([2]), np.array([0]), np.array([1]))
    assert math.isnan(found["shape_bias"])
    assert found["n"] == 1


def test_confusion_matrix_counts_rows_by_label():
    labels = np.array([0, 0, 1, 2, 2, 2])
    answers = np.array([0, 1, 1, 2, 2, 0])
    confusion = predict.confusion_matrix(labels, answers, 4)
    expected = [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    assert confusion.tolist() == expected
    assert predict.accuracy(confusion) == pytest.approx(4 / 6)
    by_class = predict.class_accuracies(confusion)
    assert by_class[:3] == pytest.approx([1 / 2, 1, 2 / 3])
    assert math.isnan(by_class[3])
    assert math.isnan(predict.accuracy(np.zeros((2, 2), int)))


def _dataset(n_per_domain=30, texture=False):
    """Images whose every pixel is their own index, so that outputs can be traced."""
    n = 3 * n_per_domain
    numbers = np.arange(n)
    return Dataset(
        name="made-up",
        classes=tuple("abc"),
        domains=("x", "y", "z"),
        label=(numbers % N_CLASSES).astype(np.int32),
        domain=np.repeat(np.arange(3, dtype=np.int32), n_per_domain),
        read=lambda i: np.full((2, 2, 3), i, np.uint8),
        texture=((numbers + 1) % N_CLASSES).astype(np.int32) if texture else None,
    )


class _Oracle:
    """A `predict_fn` that is right on stated images and records what it was given."""

    def __init__(self, wrong=(), always_ordered=False):
        self.wrong, self.always_ordered = set(wrong), always_ordered
        self.seen = []

    def __call__(self, bank, batch):
        assert bank is None
        numbers = batch["image"][:, 0, 0, 0]
        orders = batch.get("order", np.zeros(len(numbers), int))
        self.seen += list(zip(numbers.tolist(), orders.tolist(), strict=True))
        answers = np.array([(n + (n in self.wrong)) % N_CLASSES for n in numbers])
        orders = 0 * orders if self.always_ordered else orders
        return {
            "classification": np.eye(N_CLASSES)[answers],
            "jigsaw": np.eye(N_ORDERS)[orders],
        }


def _evaluate(
    predict_fn,
    dataset,
    permutations=PERMUTATIONS,
    cue_conflict=None,
    batch_size=7,
    method="jigen",
):
    splits = split(dataset, target="z", method=method)
    store = ImageStore(dataset, cache="none", stored_px=2)
    conflict = cue_conflict and ImageStore(cue_conflict, cache="none", stored_px=2)
    measures = evaluate_run(
        predict_fn,
        store,
        splits,
        batch_size=batch_size,
        permutations=permutations,
        jigsaw=default_config().jigsaw,
        cue_conflict=conflict,
    )
    return splits, dict(measures)


@pytest.mark.parametrize("batch_size", [1, 7, 30, 64])
def test_every_image_is_seen_once_and_counted_once(batch_size):
    oracle = _Oracle(wrong=[60, 61])
    splits, measures = _evaluate(oracle, _dataset(), None, batch_size=batch_size)
    expected = [*splits.val.tolist(), *splits.target.tolist()]
    seen = [n for n, _ in oracle.seen]
    assert list(dict.fromkeys(seen)) == expected
    padding = sum(-len(part) % batch_size for part in (splits.val, splits.target))
    assert len(seen) == len(expected) + padding
    assert measures["val/accuracy"] == 1
    assert measures["target/accuracy"] == pytest.approx(28 / 30)
    assert np.sum(measures["target/confusion"]) == 30
    assert measures["target/class/a"] == pytest.approx(9 / 10)
    assert measures["target/class/c"] == 1
    assert not any(name.startswith("puzzle") for name in measures)


def test_without_validation_images_the_target_alone_is_reported():
    _, measures = _evaluate(_Oracle(wrong=[60, 61]), _dataset(), method="none")
    assert measures["target/accuracy"] == pytest.approx(28 / 30)
    assert {name.partition("/")[0] for name in measures} == {"target"}


def test_validation_is_reported_for_each_source_apart():
    dataset = _dataset()
    splits = split(dataset, target="z")
    in_x = [n for n in splits.val.tolist() if n < 30]
    _, measures = _evaluate(_Oracle(wrong=in_x), dataset)
    assert measures["val/x/accuracy"] == 0
    assert measures["val/y/accuracy"] == 1
    assert measures["val/accuracy"] == pytest.approx(1 - len(in_x) / len(splits.val))


def test_a_head_that_always_says_ordered_does_not_look_good():
    _, solved = _evaluate(_Oracle(), _dataset())
    _, lazy = _evaluate(_Oracle(always_ordered=True), _dataset())
    assert solved["puzzle/shuffled_accuracy"] == 1
    assert lazy["puzzle/shuffled_accuracy"] == 0
    assert lazy["puzzle/ordered_accuracy"] == 1
    assert solved["puzzle/placed_tiles"] == 1
    # A tile that happens to be at home is placed rightly by "ordered" too.
    assert lazy["puzzle/placed_tiles"] < 0.5


def test_the_puzzle_is_the_same_at_every_evaluation():
    seen = []
    for _ in range(2):
        oracle = _Oracle()
        _evaluate(oracle, _dataset())
        seen.append(oracle.seen)
    assert seen[0] == seen[1]
    orders = {order for _, order in seen[0]}
    assert 0 in orders
    assert len(orders) > 1


def test_cue_conflict_is_scored_by_shape_and_texture():
    conflict = _dataset(texture=True)
    # Wrong answers are label + 1, which is the texture.
    _, measures = _evaluate(
        _Oracle(wrong=range(0, 90, 3)), _dataset(), cue_conflict=conflict
    )
    assert measures["cue_conflict/n"] == 90
    assert measures["cue_conflict/shape_bias"] == pytest.approx(60 / 90)
    assert measures["cue_conflict/texture_accuracy"] == pytest.approx(30 / 90)
