"""What a puzzle could be solved by without seeing its object, taken away.

Noroozi & Favaro, Unsupervised learning of visual representations by solving jigsaw
puzzles, ECCV 2016, section 3.3: edges that go on across a seam, and low-level
statistics such as the colour that neighbouring tiles share.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.pixels import puzzle, resampling

_MEAN, _STD = 0.5, 0.2  # of a normalized tile, in [0, 1]
_LEAST_STD = 0.02  # five steps of 8-bit images: a flat tile's noise stays small


def crop_tiles(
    tiles: jax.Array, gap: jax.Array | float, rngs: jax.Array | None = None
) -> jax.Array:
    """Returns a crop of each tile, enlarged to the tile's size: gaps between tiles.

    Noroozi & Favaro cut 64 px of 85, a gap of 0.25.

    Args:
      tiles: float32 [B, T, h, w, C].
      gap: float32 [], the share of the side that is cut off.
      rngs: Typed keys [B]; where each tile is cropped is drawn from them. None for the
        centre.
    """
    b, n_tiles, h, w, c = tiles.shape
    places = jnp.full((b, n_tiles, 2), 0.5)
    if rngs is not None:
        places = jax.vmap(lambda rng: jax.random.uniform(rng, (n_tiles, 2)))(rngs)
    places = places.reshape(-1, 2)
    rows, columns = (
        resampling.resize_weights(
            places[:, axis] * gap * side,
            jnp.full(b * n_tiles, (1 - gap) * side),
            side,
            side,
        )
        for axis, side in enumerate((h, w))
    )
    flat = resampling.resample(tiles.reshape(-1, h, w, c), rows, columns)
    return flat.reshape(tiles.shape)


def normalize_tiles(tiles: jax.Array) -> jax.Array:
    """Returns tiles of one mean and deviation in every channel, clipped to [0, 1].

    Args:
      tiles: float32 [B, T, h, w, C] in [0, 1].
    """
    mean = tiles.mean((2, 3), keepdims=True)
    std = jnp.maximum(tiles.std((2, 3), keepdims=True), _LEAST_STD)
    return jnp.clip(_MEAN + _STD * (tiles - mean) / std, 0, 1)


def at_evaluation(jigsaw: ConfigDict) -> Callable[[jax.Array], jax.Array] | None:
    """Returns what is done to a puzzle's tiles outside of training; None for nothing.

    The gap is that of the last training step, cut around each tile's centre.

    Args:
      jigsaw: `config.jigsaw`.
    """
    gap = jigsaw.gap[-1]
    if not gap and not jigsaw.normalize_tiles:
        return None

    def close(tiles):
        tiles = crop_tiles(tiles, gap) if gap else tiles
        return normalize_tiles(tiles) if jigsaw.normalize_tiles else tiles

    return close


class Puzzles(NamedTuple):
    """Puzzles of B images.

    Attributes:
      images: float32 [B, S, S, 3], shuffled.
      tiles: float32 [B, T, h, w, 3], their tiles in the original order.
      permutations: int32 [B, T], the original tile at each place.
    """

    images: jax.Array
    tiles: jax.Array
    permutations: jax.Array


def as_puzzles(
    images: jax.Array,
    grid: int,
    orders: jax.Array,
    permutations: jax.Array,
    close: Callable[[jax.Array], jax.Array] | None = None,
) -> Puzzles:
    """Returns images cut, shuffled and joined.

    Args:
      images: float32 [B, S, S, 3].
      grid: Tiles per side.
      orders: int32 [B]; those of order 0 stay as they are.
      permutations: int32 [K + 1, T].
      close: Of `at_evaluation`.
    """
    tiles = puzzle.cut_tiles(images, grid)
    if close is not None:
        shuffled = orders[:, None, None, None, None] > 0
        tiles = jnp.where(shuffled, close(tiles), tiles)
    chosen = jnp.asarray(permutations)[orders]
    joined = puzzle.join_tiles(puzzle.permute_tiles(tiles, chosen))
    return Puzzles(joined, tiles, chosen)
