"""Images without one cue: local shape, texture or colour taken away, on device.

Burgert et al., "ImageNet-trained CNNs are not biased towards texture: Revisiting
feature reliance through controlled suppression", NeurIPS 2025 (arXiv 2509.20234), at
the levels of their protocol. Global shape is taken away by moving tiles
(`suites.puzzle.shuffle`), colour also by `distortions.grey`.

One contract, `suppress(rngs, images, level)`, as in `measures.distortions`: typed keys
[B], float32 [B, S, S, 3] in [0, 1], and here a level that is a number of Python, which
decides the program that is compiled. It returns float32 [B, S, S, 3] in [0, 1]. At the
level of no suppression (grid 1, diameter 0, kernel 1, h 0, share 0, level 0) an image
comes back as it is.

Lengths are published in pixels of images of 224 px and scale with S / 224 here, so that
a smaller image is a smaller picture of the same thing. A window of a fraction of a
pixel holds the pixels whose centres are inside. Departures: OpenCV, with which the
published images were made, rounds to 8 bits after each step; these images stay floats.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.measures import distortions

_GREYS = 255  # OpenCV's sigma_color and h are in grey levels of 8 bits
_SIGMA_SPACE = 75.0
_SEARCH, _TEMPLATE = 10, 7  # px to each side: OpenCV's windows of 21 and 14 (made 15)
_LEAST_WEIGHT = 1e-3  # of non-local means; OpenCV drops smaller ones
_OTHER_ORDERS = np.array(list(itertools.permutations(range(3)))[1:])


def rotate_patches(rngs: jax.Array, images: jax.Array, grid: int) -> jax.Array:
    """Returns images whose tiles are each turned by 0, 90, 180 or 270 degrees.

    Each tile's turn is uniform over the four. Where `grid` does not divide S, up to
    `grid - 1` pixels at the right and lower border stay; the published code resizes
    such images instead.

    Args:
      rngs: Typed keys [B].
      images: float32 [B, S, S, 3].
      grid: Tiles a side; not traced.
    """
    if grid == 1:
        return images
    images = jnp.asarray(images)
    b, size_px = images.shape[:2]
    px = size_px // grid
    cut = images[:, : grid * px, : grid * px].reshape(b, grid, px, grid, px, 3)
    tiles = cut.transpose(0, 1, 3, 2, 4, 5)  # [B, row, column, px, px, 3]

    def draw(rng):
        return jax.random.randint(jax.random.fold_in(rng, grid), (grid, grid), 0, 4)

    turns = jax.vmap(draw)(rngs)[..., None, None, None]
    turned = tiles
    for k in (1, 2, 3):
        turned = jnp.where(turns == k, jnp.rot90(tiles, k, axes=(3, 4)), turned)
    whole = turned.transpose(0, 1, 3, 2, 4, 5).reshape(b, grid * px, grid * px, 3)
    return images.at[:, : grid * px, : grid * px].set(whole)


def bilateral(rngs: jax.Array, images: jax.Array, diameter: float) -> jax.Array:
    """Returns images smoothed where colours are near (Tomasi & Manduchi, ICCV 1998).

    As OpenCV's `bilateralFilter`: a round window; colours differ by the sum over the
    channels; the border is mirrored. sigma_color grows with the diameter as published,
    from 50 at 4 px by 15 a pixel to 200 at 14 px; sigma_space is 75 px.

    Args:
      rngs: Not used.
      images: float32 [B, S, S, 3].
      diameter: Of the window, px at 224.
    """
    del rngs
    scale = images.shape[1] / distortions.PUBLISHED_PX
    radius = diameter / 2 * scale
    offsets = _offsets(math.floor(radius))
    distance = np.hypot(*offsets.T)
    offsets, distance = offsets[distance <= radius], distance[distance <= radius]
    space = np.exp(-np.square(distance / (_SIGMA_SPACE * scale)) / 2)
    sharpness = 0.5 * (_GREYS / max(50 + 15 * (diameter - 4), 1)) ** 2

    def weight(planes, moved):
        differ = sum(abs(m - p) for m, p in zip(moved, planes, strict=True))
        return jnp.exp(-sharpness * jnp.square(differ))

    return _weighted_mean(images, offsets, space, weight)


def gaussian_blur(rngs: jax.Array, images: jax.Array, kernel: float) -> jax.Array:
    """Returns images blurred by a Gaussian of `kernel` px, in colour.

    As OpenCV's `GaussianBlur`, with the published standard deviations, (kernel - 1) / 6
    px; the border is mirrored.

    Args:
      rngs: Not used.
      images: float32 [B, S, S, 3].
      kernel: Its side, px at 224.
    """
    del rngs
    if kernel == 1:
        return images
    scale = images.shape[1] / distortions.PUBLISHED_PX
    reach, std = math.floor((kernel - 1) / 2 * scale), (kernel - 1) / 6 * scale
    weights = np.exp(-np.square(np.arange(-reach, reach + 1) / std) / 2)
    weights = np.float32(weights / weights.sum())
    for axis in (1, 2):
        images = _sum_along(images, axis, reach, weights)
    return jnp.clip(images, 0, 1)


def nl_means(rngs: jax.Array, images: jax.Array, h: float) -> jax.Array:
    """Returns images averaged over pixels with alike surroundings (non-local means).

    Buades, Coll & Morel, CVPR 2005, as OpenCV's `fastNlMeansDenoising`: a pixel within
    10 px along each axis counts by exp(-d / h^2), where d is the mean square
    difference, over the channels too, of the 15 x 15 px around both.

    Args:
      rngs: Not used.
      images: float32 [B, S, S, 3].
      h: Strength, in grey levels of 8 bits.
    """
    del rngs
    if h == 0:
        return images
    scale = images.shape[1] / distortions.PUBLISHED_PX
    half = math.floor(_TEMPLATE * scale)
    ones = np.ones(2 * half + 1, np.float32)
    offsets = _offsets(math.floor(_SEARCH * scale))
    strength = (h / _GREYS) ** 2 * len(ones) ** 2

    def weight(planes, moved):
        pairs = zip(moved, planes, strict=True)
        square = sum(jnp.square(m - p) for m, p in pairs) / len(planes)
        rows = jax.lax.optimization_barrier(_sum_along(square, 1, half, ones))
        w = jnp.exp(-_sum_along(rows, 2, half, ones) / strength)
        return jnp.where(w >= _LEAST_WEIGHT, w, 0)

    return _weighted_mean(images, offsets, np.ones(len(offsets)), weight)


def less_colour(rngs: jax.Array, images: jax.Array, share: float) -> jax.Array:
    """Returns images mixed with a `share` in [0, 1] of their luminance.

    Departure: `distortions.grey`'s luminance (ITU-R 709) in place of OpenCV's (601).
    """
    del rngs
    return (1 - share) * images + share * distortions.grey(images)


def shuffle_channels(rngs: jax.Array, images: jax.Array, level: float) -> jax.Array:
    """Returns images whose red, green and blue trade places (level 1; 0: as they are).

    One of the five other orders an image. Departure: the published draw also leaves one
    image in six as it is.
    """
    if level == 0:
        return images
    drawn = jax.vmap(lambda rng: jax.random.randint(rng, (), 0, 5))(rngs)
    order = jnp.asarray(_OTHER_ORDERS)[drawn][:, None, None, :]
    return jnp.take_along_axis(images, order, axis=-1)


def _weighted_mean(images, offsets, factors, weight) -> jax.Array:
    """Returns each pixel's weighted mean over its neighbours: float32 [B, S, S, 3].

    Args:
      images: float32 [B, S, S, 3].
      offsets: int [O, 2], to the neighbours.
      factors: float [O], of their weights.
      weight: `weight(planes, moved)` returns a weight for each pixel [B, S, S] from the
        three channels, each [B, S, S], and the same moved by an offset.
    """
    # Channels apart: XLA's programs for CPUs are ten times slower with them together.
    planes = [images[..., channel] for channel in range(3)]
    reach = int(np.abs(offsets).max())
    padded = [_continued(plane, reach, (1, 2)) for plane in planes]
    table = jnp.asarray(offsets) + reach, jnp.asarray(factors, jnp.float32)

    def add(sums, entry):
        (y, x), factor = entry
        moved = [jax.lax.dynamic_slice(p, (0, y, x), planes[0].shape) for p in padded]
        w = factor * weight(planes, moved)
        terms = (*(w * plane for plane in moved), w)
        return tuple(s + term for s, term in zip(sums, terms, strict=True)), None

    zeros = (jnp.zeros_like(planes[0]),) * 4
    (*tops, bottom), _ = jax.lax.scan(add, zeros, table, unroll=4)
    return jnp.clip(jnp.stack([top / bottom for top in tops], axis=-1), 0, 1)


def _sum_along(values, axis: int, reach: int, weights) -> jax.Array:
    """Returns the weighted sums over the `2 * reach + 1` neighbours along an axis."""
    padded, n = _continued(values, reach, (axis,)), values.shape[axis]
    return sum(
        weight * jax.lax.slice_in_dim(padded, i, i + n, axis=axis)
        for i, weight in enumerate(weights)
    )


def _continued(plane, n_px: int, axes) -> jax.Array:
    """Returns an array with `n_px` more entries at both ends of axes, mirrored."""
    edge = [(n_px, n_px) if n in axes else (0, 0) for n in range(plane.ndim)]
    return jnp.pad(plane, edge, mode="reflect")


def _offsets(reach: int) -> np.ndarray:
    """Returns all offsets of up to `reach` px along each axis: int [O, 2]."""
    return np.array(list(itertools.product(range(-reach, reach + 1), repeat=2)))
