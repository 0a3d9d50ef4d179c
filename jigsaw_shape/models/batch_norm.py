"""Batch normalization, in as few passes over the maps as it can be had.

A step waits for memory here, not for arithmetic: what counts is how often a map is read
and written. Forwards that is one pass for the two sums, and one that normalizes and
rectifies. For the gradient it is again one for two sums, and one that writes the
gradient of the input; both find out anew where it was clipped.
"""

import functools
import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jigsaw_shape.models.layers import Dtype

Pair = tuple[jax.Array, jax.Array]
Clip = tuple[float, float]
RELU: Clip = (0.0, math.inf)
RELU6: Clip = (0.0, 6.0)


class BatchNorm(nn.Module):
    """Batch normalization with PyTorch's statistics, in float32 whatever `dtype` is.

    As in PyTorch, the batch is normalized by its biased variance while the running
    variance takes the unbiased one (`flax.linen.BatchNorm` takes the biased one).
    Variables are named as there: `params` scale, bias; `batch_stats` mean, var.

    Attributes:
      epsilon: Added to the variance.
      momentum: What is kept of the running statistics a step; PyTorch's `momentum` is
        one minus this.
      axis_name: The devices' axis over which the statistics are synchronized in
        training.
      freeze: Normalize by the running statistics, and leave them, in training too.
      clip: Between which numbers what is normalized is held: `RELU`, `RELU6`; None for
        all.
      dtype: What is returned.
    """

    epsilon: float = 1e-5
    momentum: float = 0.9
    axis_name: str | None = None
    freeze: bool = False
    clip: Clip | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps [B, H, W, C] to the same shape."""
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (c,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (c,))
        mean, var = running_mean.value, running_var.value
        dtypes = x.dtype, self.dtype
        x = x.astype(jnp.float32)
        if train and not self.freeze and not self.is_initializing():
            mean, square = _moments(x)
            n = x.size // c
            if self.axis_name is not None:
                mean, square = lax.pmean((mean, square), self.axis_name)
                n *= lax.psum(1, self.axis_name)  # a constant, the axis's size
            var = jnp.maximum(square - mean * mean, 0.0)
            unbiased = var * (n / max(n - 1, 1))
            keep = self.momentum
            running_mean.value = keep * running_mean.value + (1 - keep) * mean
            running_var.value = keep * running_var.value + (1 - keep) * unbiased
        factor = scale * lax.rsqrt(var + self.epsilon)
        y = _affine(self.clip, dtypes, x, factor, bias - mean * factor)
        return y.astype(self.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def clipped(x: jax.Array, clip: Clip | None) -> jax.Array:
    """Returns `x` between two numbers, which have no gradient; None for as it is."""
    if clip is None:
        return x
    least, largest = clip
    x = jnp.maximum(x, least)
    return x if largest == math.inf else jnp.minimum(x, largest)


def _clipped_backward(clip, x, dy):
    if clip is None:
        return (dy,)
    least, largest = clip
    within = x - least
    if largest != math.inf:
        within = jnp.minimum(within, largest - x)
    # A product and no selection, whose condition XLA would write to memory.
    return (dy * jnp.sign(jnp.maximum(within, 0)),)


clipped.defvjp(lambda x, clip: (clipped(x, clip), x), _clipped_backward)


def sums_apart(x: jax.Array, y: jax.Array) -> Pair:
    """Returns the sums [C] of two arrays [B, H, W, C] of float32."""
    return x.sum((0, 1, 2)), y.sum((0, 1, 2))


def sums_together(x: jax.Array, y: jax.Array) -> Pair:
    """Returns the same by one reduction of two operands, for GPUs: one kernel.

    After a matrix product XLA gives each of two reductions a kernel of its own, both of
    which read the map. (On CPUs one reduction of two is several times slower.)
    """
    zero = jnp.zeros((), jnp.float32)
    return lax.reduce((x, y), (zero, zero), _add, (0, 1, 2))


def _add(one: Pair, other: Pair) -> Pair:
    return one[0] + other[0], one[1] + other[1]


def _sums(x: jax.Array, y: jax.Array) -> Pair:
    return lax.platform_dependent(
        x, y, default=sums_apart, cuda=sums_together, rocm=sums_together
    )


@jax.custom_vjp
def _moments(x: jax.Array) -> Pair:
    """Returns the mean [C] of `x` [B, H, W, C] and that of its square."""
    n = x.size // x.shape[-1]
    total, square = _sums(x, x * x)
    return total / n, square / n


def _moments_backward(x, d):
    d_mean, d_square = d
    n = x.size // x.shape[-1]
    return (x * (d_square * (2 / n)) + d_mean / n,)


_moments.defvjp(lambda x: (_moments(x), x), _moments_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _affine(
    clip: Clip | None,
    dtypes: tuple[Dtype, Dtype],
    x: jax.Array,
    factor: jax.Array,
    offset: jax.Array,
) -> jax.Array:
    """Returns `x * factor + offset`, clipped; factor and offset [C] of channels.

    Args:
      clip: The least number and the largest; None for all.
      dtypes: Those of the numbers in `x` and in the output's gradient, both of which
        come as float32.
      x: float32 [B, H, W, C].
      factor: float32 [C].
      offset: float32 [C].
    """
    del dtypes
    return clipped(x * factor + offset, clip)


def _affine_forward(clip, dtypes, *arrays):
    return _affine(clip, dtypes, *arrays), arrays


def _affine_backward(clip, dtypes, arrays, dy):
    x, factor, offset = arrays

    def before_clipping(x, dy):
        return _clipped_backward(clip, x * factor + offset, dy)[0]

    def anew(x, dy, *after):
        """Returns `x` and `dy` behind a barrier, in as few bytes as they have.

        The first keeps XLA from writing what it knows forwards for the sums, the second
        from writing what the sums know for the gradient of `x`.
        """
        if clip is None:
            return x, dy
        short = [
            array.astype(dtype) for array, dtype in zip((x, dy), dtypes, strict=True)
        ]
        x, dy, *_ = lax.optimization_barrier((*short, *after))
        return x.astype(jnp.float32), dy.astype(jnp.float32)

    x, dy = anew(x, dy)
    unclipped = before_clipping(x, dy)
    d_factor, d_offset = _sums(unclipped * x, unclipped)
    x, dy = anew(x, dy, d_factor)
    return before_clipping(x, dy) * factor, d_factor, d_offset


_affine.defvjp(_affine_forward, _affine_backward)
