"""Images of another size: bilinear with antialiasing, as Pillow has it.

An image is resampled by two matrices, one of its rows and one of its columns, each of
its own, so that a crop, a size and a flip are one operation.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax


def resize(images: jax.Array, size_px: int) -> jax.Array:
    """Returns whole images resized to squares: float32 [B, S, S, 3] in [0, 1].

    Bilinear with antialiasing, as Pillow does it; the sides are scaled apart (JiGen's
    evaluation squashes too).

    Args:
      images: uint8 [B, H, W, 3], or float32 in [0, 1].
      size_px: S.
    """
    b, h, w, _ = images.shape
    if (h, w) == (size_px, size_px):
        return _unit(images)
    whole = jnp.zeros(b)
    rows = resize_weights(whole, jnp.full(b, float(h)), h, size_px)
    columns = resize_weights(whole, jnp.full(b, float(w)), w, size_px)
    return resample(images, rows, columns)


def resize_weights(start, length, n_in: int, n_out: int) -> jax.Array:
    """Returns matrices that resample a part of an axis: float32 [B, n_out, n_in].

    Args:
      start: float32 [B], the part's first pixel, at least 0.
      length: float32 [B], the part's pixels: `start + length` is at most `n_in`.
      n_in: Pixels of the axis.
      n_out: Pixels that the part becomes.
    """
    scale = length / n_out
    support = jnp.maximum(scale, 1.0)[:, None, None]  # antialias when shrinking
    centre = start[:, None] + (jnp.arange(n_out) + 0.5) * scale[:, None]
    pixel = jnp.arange(n_in) + 0.5
    weights = 1 - jnp.abs(pixel - centre[:, :, None]) / support
    inside = (pixel > start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weights = jnp.where(inside, jnp.maximum(weights, 0), 0)
    return weights / weights.sum(-1, keepdims=True)


def _unit(images) -> jax.Array:
    """Returns pixels as float32 in [0, 1], which floats are already."""
    floats = jnp.issubdtype(images.dtype, jnp.floating)
    return images if floats else images.astype(jnp.float32) / 255


def resample(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Returns images under resampling matrices of `resize_weights`.

    On CPUs the few pixels are added that an output has a weight for, two to six times
    as fast as the products.

    Args:
      images: uint8 [B, H, W, C], or float32 in [0, 1].
      rows: float32 [B, S, H].
      columns: float32 [B, S', W].

    Returns:
      float32 [B, S, S', C] in [0, 1].
    """
    return lax.platform_dependent(
        images, rows, columns, cpu=by_sums, default=by_products
    )


def by_products(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Returns `resample` of the same, by products of matrices."""
    pixels = _unit(images)
    # uint8 needs more bits than TF32 and bfloat16 matrix units keep.
    highest = lax.Precision.HIGHEST
    tall = jnp.einsum("boh,bhwc->bowc", rows, pixels, precision=highest)
    return jnp.einsum("bpw,bowc->bopc", columns, tall, precision=highest)


def by_sums(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Returns `resample` of the same, by sums of a few pixels."""
    # Weights are fewer than pixels.
    unit = 1 if jnp.issubdtype(images.dtype, jnp.floating) else 255
    tall = _sums(images, rows / unit)
    return _sums(tall.swapaxes(1, 2), columns).swapaxes(1, 2)


def _sums(lines: jax.Array, weights: jax.Array) -> jax.Array:
    """Returns [B, S, W, C], sums of lines [B, H, W, C] by weights [B, S, H]."""
    n_out, n_in = weights.shape[1:]
    # No crop is longer than the image, so no triangle covers more pixels.
    n_weights = min(n_in, math.ceil(2 * max(n_in / n_out, 1)))
    first = jnp.minimum(jnp.argmax(weights > 0, -1), n_in - n_weights)
    take = jax.vmap(lambda values, places: values[places])
    total = jnp.float32(0)
    for place in range(n_weights):
        weight = jnp.take_along_axis(weights, (first + place)[..., None], -1)
        total += take(lines, first + place).astype(jnp.float32) * weight[..., None]
    return total
