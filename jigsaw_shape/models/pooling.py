"""Pooling with PyTorch's edges, and the way from maps to fully connected layers."""

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.models.operations import max_pool as operation


def max_pool(
    x: jax.Array, size: int, stride: int, *, padding: int = 0, ceil_mode: bool = False
) -> jax.Array:
    """Returns the maxima of windows of [B, H, W, C].

    Where several pixels of a window are its maximum, the first one, by rows, gets the
    gradient. Reverse-mode differentiation only.

    Args:
      x: [B, H, W, C].
      size: Side of a window.
      stride: Between windows, no more than `size`.
      padding: Pixels beyond every edge that windows cover too, and that never count.
      ceil_mode: Count a window that begins inside the map and ends outside too, as
        Caffe does.

    Raises:
      ValueError: The map is smaller than a window.
    """
    pads = []
    for side in x.shape[1:3]:
        beyond_first = side + 2 * padding - size
        if beyond_first < 0:
            _refuse(x)
        last = beyond_first // stride * stride  # where the last window begins
        if ceil_mode and last < beyond_first and last + stride < side + padding:
            last += stride
        pads.append((padding, max(last + size - side - padding, 0)))
    return operation.max_pool(x, (size, stride, tuple(pads)))


def average_to(x: jax.Array, side: int) -> jax.Array:
    """Returns maps of one size, whatever the size in: the means of areas.

    PyTorch's `AdaptiveAvgPool2d`: the areas cover the map and may overlap by a pixel;
    where there are fewer pixels than areas they repeat.

    Args:
      x: [B, H, W, C].
      side: Of the maps returned.

    Returns:
      [B, side, side, C], `x` itself where that is its size.

    Raises:
      ValueError: There is no pixel.
    """
    _, h, w, _ = x.shape
    if h == w == side:
        return x
    if not h or not w:
        _refuse(x)
    rows, columns = (jnp.asarray(_areas(n, side), x.dtype) for n in (h, w))
    return jnp.einsum("bhwc,yh,xw->byxc", x, rows, columns)


def flatten(x: jax.Array) -> jax.Array:
    """Returns maps [B, H, W, C] as rows [B, C * H * W], in PyTorch's order.

    So that the kernels of published fully connected layers are ours, transposed.
    """
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)


def _areas(n: int, n_areas: int) -> np.ndarray:
    """Returns the shares [n_areas, n] of pixels in the mean of each area."""
    shares = np.zeros((n_areas, n))
    for i in range(n_areas):
        first, end = i * n // n_areas, -(-(i + 1) * n // n_areas)
        shares[i, first:end] = 1 / (end - first)
    return shares


def _refuse(x: jax.Array):
    raise ValueError(
        f"config.data.image_size is too small for config.model.encoder, whose pooling "
        f"gets a map of {x.shape[1]} x {x.shape[2]}: raise it"
    )
