"""Eidolons: images whose structures are displaced, each scale of them by itself.

Koenderink, Valsecchi, van Doorn, Wagemans & Gegenfurtner, "Eidolons: Novel stimuli for
vision research", Journal of Vision 17(2):7, 2017. An image is the sum of slices of its
scale space, differences of Gaussians. Every slice is shuffled by a random displacement
field of its own, and the sum of the shuffled slices is the eidolon. `reach` is how far,
`grain` how smooth the incoherent fields are, `coherence` how much of a displacement is
shared: in coherent fields the displacement of a coarse slice is carried over to all
finer ones, so that small structures stay with the large ones. What is between the two,
their weighted mean, is called partially coherent disarray.

The constants are those of the published stimuli (Geirhos et al., NeurIPS 2018): twelve
standard deviations from 1/sqrt(2) px in steps of sqrt(2), for images of 256 px; a plane
of 512 px, where mirror images surround the image; white noise scaled to a largest value
of 127.5, blurred by 10 px in incoherent fields, and weighted by deviation / 64 in
coherent ones.

Departures: noise is scaled by the mean largest value of 512 x 512 numbers, not by the
largest of each draw; fields are drawn for the image alone, not for its mirror images;
their mean stays as it is (the published code subtracts a small constant); blurs do not
wrap from one row to the next at the plane's border.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_GRAIN = 10.0  # px
_SCALES = tuple(2 ** (k / 2 - 0.5) for k in range(12))  # px
_MOST_SCALE = 64.0
# 127.5 over the mean largest magnitude of 512 x 512 normal numbers, 4.71 by simulation.
_NOISE = 127.5 / 4.71
_HIGHEST = jax.lax.Precision.HIGHEST


class Parts(NamedTuple):
    """What eidolons of all reaches and coherences are made of, a map a scale.

    Attributes:
      slices: float32 [K, B, S, S], from fine to coarse; they sum to the image, but for
        the finest blur.
      coherent: float32 [K, B, 2, S, S], displacements down and right for a reach of 1.
      incoherent: The same.
    """

    slices: jax.Array
    coherent: jax.Array
    incoherent: jax.Array


def decompose(rngs: jax.Array, images: jax.Array, *, scale: float = 1.0) -> Parts:
    """Returns slices and displacement fields.

    Args:
      rngs: Typed keys [B], of the displacement fields.
      images: float32 [B, S, S] in [0, 1].
      scale: Pixels for each published one; all lengths are multiplied by it.
    """
    b, _, n = images.shape
    blurs = np.stack([_mirror_blur(n, scale * std) for std in _SCALES])
    blurred = jnp.einsum("kih,bhw,kjw->kbij", blurs, images, blurs, precision=_HIGHEST)
    slices = jnp.concatenate([blurred[:-1] - blurred[1:], blurred[-1:]])

    # One draw, of which each field takes its part.
    matrices = [_noise_blur(n, scale * std) for std in (*_SCALES, _GRAIN)]
    n_own = len(_SCALES)
    counts = [2] * len(_SCALES) + [2 * n_own]
    sides = [matrix.shape[1] for matrix in matrices]
    ends = np.cumsum([m * side**2 for m, side in zip(counts, sides, strict=True)])
    white = jax.vmap(lambda rng: jax.random.normal(rng, (ends[-1],)))(rngs)
    # A pixel smaller than the published ones has more noise: a blur spans more of them.
    parts = jnp.split(_NOISE * scale * white, ends[:-1], axis=1)
    fields = [
        jnp.einsum(
            "ih,bmhw,jw->mbij",
            matrix,
            part.reshape(b, -1, side, side),
            matrix,
            precision=_HIGHEST,
        )
        for matrix, side, part in zip(matrices, sides, parts, strict=True)
    ]
    *scaled, own = fields
    scaled = [f * (std / _MOST_SCALE) for f, std in zip(scaled, _SCALES, strict=True)]
    # From coarse to fine, each scale adds its own displacement to the coarser ones'.
    shared = jnp.cumsum(jnp.stack(scaled[::-1]), axis=0)[::-1]
    own = own.reshape(n_own, 2, b, n, n)
    return Parts(slices, shared.swapaxes(1, 2), own.swapaxes(1, 2))


def compose(parts: Parts, *, reach, coherence, scale: float = 1.0) -> jax.Array:
    """Returns the eidolons of parts: float32 [B, S, S] in [0, 1].

    Args:
      parts: Of `decompose`.
      reach: A float: what unit displacements are multiplied by, in published pixels.
      coherence: A float in [0, 1]: the weight of the coherent field; the incoherent
        field has the rest.
      scale: As for `decompose`.
    """
    n = parts.slices.shape[-1]
    margin = n // 2  # of the mirror images, on each side
    here = jnp.meshgrid(*[jnp.arange(n, dtype=jnp.float32)] * 2, indexing="ij")

    def add(total, part):
        plane, coherent, incoherent = part
        moves = coherence * coherent + (1 - coherence) * incoherent
        moves = reach * scale * moves + jnp.stack(here)
        # As published: cut to whole pixels of the plane, which ends at the margin.
        places = jnp.floor(jnp.clip(moves + margin, 0, n + 2 * margin - 1))
        rows, columns = jnp.moveaxis(_mirrored(places - margin, n), 1, 0)
        flat = (rows * n + columns).reshape(len(plane), -1)
        moved = jnp.take_along_axis(plane.reshape(len(plane), -1), flat, axis=1)
        return total + moved.reshape(plane.shape), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(parts.slices[0]), parts)
    return jnp.clip(total, 0, 1)


def _mirrored(places: jax.Array, n: int) -> jax.Array:
    """Returns the pixels, in [0, n), that mirror images show at places around them."""
    places = places.astype(jnp.int32) % (2 * n)
    return jnp.where(places < n, places, 2 * n - 1 - places)


@functools.cache
def _mirror_blur(n: int, std: float) -> np.ndarray:
    """Returns the blur along one side: float32 [n, n], rows summing to 1."""
    # The mirrored line repeats after 2 n: weights of the same pixel are summed.
    reach = 2 * n * max(1, round(5 * std / (2 * n) + 0.5))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-np.square(offsets / std) / 2)
    weights /= weights.sum()
    sources = np.arange(n)[:, None] + offsets
    sources %= 2 * n
    sources = np.where(sources < n, sources, 2 * n - 1 - sources)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], sources), weights)
    return np.float32(matrix)


@functools.cache
def _noise_blur(n: int, std: float) -> np.ndarray:
    """Returns what blurs noise along one side: float32 [n, m].

    Where the blur is wide, m is small: one number stands for a step of several pixels
    and has their variance. The blur hides the steps, to a relative 1e-4 of variance.
    """
    step = max(1, int(std))
    margin = int(np.ceil(4 * std / step))
    centres = step * np.arange(-margin, -(-n // step) + margin)
    weights = np.exp(-np.square((np.arange(n)[:, None] - centres) / std) / 2)
    offsets = np.arange(-np.ceil(8 * std), np.ceil(8 * std) + 1)
    total = np.exp(-np.square(offsets / std) / 2).sum()
    return np.float32(weights * np.sqrt(step) / total)
