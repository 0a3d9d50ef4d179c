"""Max pooling whose gradient is quick on CPUs and GPUs too.

On CPUs XLA finds each window's maximum in one pass over numbered pixels, on one thread,
and then scatters the gradient. On GPUs it writes four numbers of a place for every
window, and scatters with atomic additions. Here the places of all windows are compared
one after the other, and gradients are shifted to where they belong: elementwise
arithmetic, which XLA fuses. TPUs, where it has not been tried, take XLA's.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.operations.platforms import by_platform, unfused

# Side of a window, pixels between windows, and padding of rows and of columns, each
# before and after.
Windows = tuple[int, int, tuple[tuple[int, int], tuple[int, int]]]


def max_pool(x: jax.Array, windows: Windows) -> jax.Array:
    """Returns the maxima of windows of [B, H, W, C]; beyond the edges lies nothing.

    Where several pixels of a window are its maximum, the first one, by rows, gets the
    gradient. Reverse-mode differentiation only.
    """
    return _by_platform(x, windows)


def pool(x: jax.Array, windows: Windows) -> jax.Array:
    """Returns the same by XLA, with XLA's gradient."""
    size, stride, pads = windows
    return nn.max_pool(x, (size, size), (stride, stride), pads)


def gradient(x: jax.Array, dy: jax.Array, windows: Windows) -> jax.Array:
    """Returns the loss's gradient for `x` [B, H, W, C], given that for the maxima.

    Padded pixel `stride * m + phase` of an axis stands at place `phase + stride * n` of
    window `m - n`: for each phase the gradients of a few places are shifted and added,
    and the phases then take turns.

    Places are numbered, not compared with the maxima that were returned: XLA may
    compute `x` once more here, rounded otherwise, and no place would be equal.

    Args:
      x: [B, H, W, C].
      dy: [B, H', W', C].
      windows: As in `max_pool`.
    """
    size, stride, ((top, _), (left, _)) = windows
    (b, h, w, c), (_, out_h, out_w, _) = x.shape, dy.shape
    spread = (size - 1) // stride
    n_h, n_w = out_h + spread, out_w + spread
    # As far as windows or pixels reach, whichever is farther.
    reach_h, reach_w = max(n_h * stride, top + h), max(n_w * stride, left + w)
    edges = ((top, reach_h - top - h), (left, reach_w - left - w))
    places = list(itertools.product(range(size), repeat=2))

    def find(x):
        padded = jnp.pad(x, ((0, 0), *edges, (0, 0)), constant_values=-jnp.inf)
        best, place_of_best = jnp.full(dy.shape, -jnp.inf, x.dtype), jnp.int16(0)
        for number, (i, j) in enumerate(places):
            rows = slice(i, i + stride * (out_h - 1) + 1, stride)
            columns = slice(j, j + stride * (out_w - 1) + 1, stride)
            value = padded[:, rows, columns]
            place_of_best = jnp.where(value > best, jnp.int16(number), place_of_best)
            best = jnp.maximum(value, best)
        return place_of_best

    # Each pixel of the gradient reads those of all windows that it lies in.
    place_of_best = unfused(lambda x, dy: find(x), x, dy)
    phases = [[jnp.zeros((b, n_h, n_w, c), dy.dtype)] * stride for _ in range(stride)]
    for number, (i, j) in enumerate(places):
        down, across = i // stride, j // stride
        shift = ((0, 0), (down, spread - down), (across, spread - across), (0, 0))
        own = jnp.where(place_of_best == number, dy, 0)
        phases[i % stride][j % stride] += jnp.pad(own, shift)
    rows = jnp.stack([jnp.stack(row, 3) for row in phases], 2)
    whole = rows.reshape(b, n_h * stride, n_w * stride, c)
    beyond = ((0, reach_h - n_h * stride), (0, reach_w - n_w * stride))
    return jnp.pad(whole, ((0, 0), *beyond, (0, 0)))[:, top : top + h, left : left + w]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _by_shifts(x: jax.Array, windows: Windows) -> jax.Array:
    """Returns `pool`, whose derivative is the one written out here."""
    return pool(x, windows)


_by_shifts.defvjp(
    lambda x, windows: (pool(x, windows), x),
    lambda windows, x, dy: (gradient(x, dy, windows),),
)
_by_platform = by_platform(_by_shifts, tpu=pool)
