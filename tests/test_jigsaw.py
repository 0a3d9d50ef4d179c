"""Laws of the puzzle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.pixels import puzzle


@pytest.mark.parametrize(("grid", "n"), [(2, 23), (3, 30), (3, 100), (4, 30)])
def test_permutation_set_holds_distinct_permutations_after_the_identity(grid, n):
    rows = puzzle.permutation_set(grid, n, seed=0)
    assert rows.shape == (n + 1, grid**2)
    assert rows.dtype == np.int32
    assert (rows[0] == np.arange(grid**2)).all()
    assert (np.sort(rows, 1) == np.arange(grid**2)).all()
    assert len(np.unique(rows, axis=0)) == n + 1


@pytest.mark.parametrize("seed", range(4))
def test_permutations_are_as_far_apart_as_the_reference_set(seed):
    rows = puzzle.permutation_set(3, 30, seed)
    distances = puzzle.hamming_distances(rows[1:])
    # JiGen's published set: min 4, mean 8.26, max 9.
    assert distances.min() >= 4
    assert distances.mean() >= 8.2
    assert distances.max() == 9


def test_greedy_beats_chance():
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.permutation(9) for _ in range(30)])
    chosen = puzzle.permutation_set(3, 30, 0)[1:]
    assert (
        puzzle.hamming_distances(chosen).mean()
        > puzzle.hamming_distances(drawn).mean() + 0.1
    )


def test_permutation_set_follows_the_seed():
    first, again = (puzzle.permutation_set(3, 30, 7) for _ in range(2))
    assert (first == again).all()
    assert (first != puzzle.permutation_set(3, 30, 8)).any()


@pytest.mark.parametrize(
    ("grid", "n", "word"), [(1, 1, "grid"), (2, 24, "23"), (3, 0, "n_permutations")]
)
def test_permutation_set_refuses(grid, n, word):
    with pytest.raises(ValueError, match=word):
        puzzle.permutation_set(grid, n, 0)


def _images(grid, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (5, grid * 4, grid * 4, 3)).astype(dtype)


@pytest.mark.parametrize("grid", [2, 3, 4])
@pytest.mark.parametrize("compiled", [False, True])
def test_shuffle_matches_plain_numpy(grid, compiled):
    images = _images(grid, np.uint8)
    permutations = puzzle.permutation_set(grid, 20, 0)
    orders = np.array([0, 3, 7, 20, 1])
    expected = np.empty_like(images)
    for image, order, out in zip(images, orders, expected, strict=True):
        for t, tile in enumerate(permutations[order]):
            (y, x), (v, u) = divmod(t, grid), divmod(int(tile), grid)
            out[4 * y : 4 * y + 4, 4 * x : 4 * x + 4] = image[
                4 * v : 4 * v + 4, 4 * u : 4 * u + 4
            ]

    def shuffle(images, orders):
        tiles = puzzle.cut_tiles(images, grid)
        return puzzle.join_tiles(puzzle.shuffle_tiles(tiles, orders, permutations))

    if compiled:
        shuffle = jax.jit(shuffle)
    np.testing.assert_array_equal(shuffle(images, orders), expected)


@pytest.mark.parametrize("grid", [2, 3, 4])
def test_unshuffle_inverts_shuffle_and_join_inverts_cut(grid):
    images = _images(grid)
    permutations = puzzle.permutation_set(grid, 20, 0)
    orders = np.array([0, 5, 11, 20, 2])
    tiles = puzzle.cut_tiles(images, grid)
    np.testing.assert_array_equal(puzzle.join_tiles(tiles), images)
    shuffled = puzzle.shuffle_tiles(tiles, orders, permutations)
    assert (shuffled[0] == tiles[0]).all()  # order 0
    assert (shuffled[1:] != tiles[1:]).any((1, 2, 3, 4)).all()
    restored = puzzle.unshuffle_tiles(shuffled, orders, permutations)
    np.testing.assert_array_equal(restored, tiles)


def test_order_can_be_read_off_the_tiles():
    """No two orders show the same picture where tiles differ."""
    permutations = puzzle.permutation_set(3, 30, 0)
    tiles = jnp.arange(9).reshape(1, 9, 1, 1, 1) * jnp.ones((31, 1, 1, 1, 1))
    shown = puzzle.shuffle_tiles(tiles, jnp.arange(31), permutations)[..., 0, 0, 0]
    np.testing.assert_array_equal(shown, permutations)


@pytest.mark.parametrize("bias", [0.0, 0.7, 1.0])
def test_sampled_orders_have_the_stated_distribution(bias):
    n, n_orders = 20_000, 31
    rngs = jax.random.split(jax.random.key(0), n)
    orders = np.asarray(puzzle.sample_orders(rngs, n_orders, bias))
    expected = np.full(n_orders, (1 - bias) / n_orders)
    expected[0] += bias
    observed = np.bincount(orders, minlength=n_orders) / n
    tolerance = 5 * np.sqrt(expected * (1 - expected) / n) + 1e-12
    assert (np.abs(observed - expected) <= tolerance).all()
