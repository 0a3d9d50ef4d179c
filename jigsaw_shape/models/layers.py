"""Layers that the encoders share. Parameters are float32, whatever is computed in."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jigsaw_shape.models.cpu.depthwise import depthwise_conv
from jigsaw_shape.models.cpu.pointwise import pointwise_conv
from jigsaw_shape.models.cpu.winograd import conv3x3

Dtype = Any
Padding = str | int

# torchvision's ResNet initialization: normal, variance 2 / (k * k * channels out).
_conv_init = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# A depthwise kernel [k, k, 1, C] sends each input to k * k outputs only.
_depthwise_init = nn.initializers.variance_scaling(
    2.0, "fan_out", "normal", in_axis=-1, out_axis=-2
)


class Conv(nn.Module):
    """Convolution, by whatever computes it fastest.

    Attributes:
      features: Channels out.
      kernel_size: k of the k*k kernel.
      stride: Pixels between outputs, both axes.
      padding: Pixels on every side, as in PyTorch, or `"SAME"`, as in TensorFlow.
      groups: Into which channels in and out are divided, each apart from the others.
      use_bias: Whether each channel out has an offset.
      kernel_init: Of [k, k, C / groups, features].
      dtype: What is computed in.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "SAME"
    groups: int = 1
    use_bias: bool = False
    kernel_init: nn.initializers.Initializer = _conv_init
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, H', W', features]."""
        k = self.kernel_size
        shape = (k, k, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if k == self.groups == 1:
            y = pointwise_conv(x, kernel, self.stride)
        elif (k, self.stride, self.groups) == (3, 1, 1):
            y = conv3x3(x, kernel, 1 if self.padding == "SAME" else self.padding)
        else:
            padding = self.padding
            if not isinstance(padding, str):
                padding = [(padding, padding)] * 2
            y = lax.conv_general_dilated(
                x,
                kernel,
                (self.stride, self.stride),
                padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                feature_group_count=self.groups,
            )
        return _with_bias(self, y)


class DepthwiseConv(nn.Module):
    """Depthwise convolution, TensorFlow's SAME padding.

    Attributes:
      kernel_size: k of the k*k kernel.
      stride: Pixels between outputs, both axes.
      use_bias: Whether each channel has an offset.
      kernel_init: Of [k, k, 1, C].
      dtype: What is computed in.
    """

    kernel_size: int = 3
    stride: int = 1
    use_bias: bool = False
    kernel_init: nn.initializers.Initializer = _depthwise_init
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, ceil(H / stride), ceil(W / stride), C]."""
        k = self.kernel_size
        kernel = self.param("kernel", self.kernel_init, (k, k, 1, x.shape[-1]))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return _with_bias(self, depthwise_conv(x, kernel, self.stride))


def _with_bias(module: Conv | DepthwiseConv, y: jax.Array) -> jax.Array:
    if not module.use_bias:
        return y
    bias = module.param("bias", nn.initializers.zeros, (y.shape[-1],))
    return y + bias.astype(y.dtype)


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
      dtype: What is returned.
    """

    epsilon: float = 1e-5
    momentum: float = 0.9
    axis_name: str | None = None
    freeze: bool = False
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
        y = _affine(x, factor, bias - mean * factor)
        return y.astype(self.dtype)


class InstanceNorm(nn.Module):
    """Normalization of each channel of each image, in float32 whatever `dtype` is.

    Attributes:
      epsilon: Added to the variance.
      dtype: What is returned.
    """

    epsilon: float = 1e-5
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to the same shape."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],))
        x = x.astype(jnp.float32)
        mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
        y = (x - mean) * lax.rsqrt(var + self.epsilon) * scale + bias
        return y.astype(self.dtype)


def layer_norm(dtype: Dtype, name: str) -> nn.Module:
    """Returns the transformers' normalization over channels, epsilon 1e-6."""
    # The other variance, a mean of squares less a squared mean, loses digits.
    return nn.LayerNorm(1e-6, dtype=dtype, use_fast_variance=False, name=name)


@jax.custom_vjp
def _moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the mean [C] of `x` [B, H, W, C] and that of its square."""
    return x.mean((0, 1, 2)), (x * x).mean((0, 1, 2))


def _moments_backward(x, d):
    d_mean, d_square = d
    n = x.size // x.shape[-1]
    return (x * (d_square * (2 / n)) + d_mean / n,)


_moments.defvjp(lambda x: (_moments(x), x), _moments_backward)


@jax.custom_vjp
def _affine(x: jax.Array, factor: jax.Array, offset: jax.Array) -> jax.Array:
    """Returns `x * factor + offset`, a factor and an offset [C] for each channel."""
    return x * factor + offset


def _affine_backward(residuals, dy):
    x, factor = residuals
    return dy * factor, (dy * x).sum((0, 1, 2)), dy.sum((0, 1, 2))


_affine.defvjp(
    lambda x, factor, offset: (x * factor + offset, (x, factor)), _affine_backward
)
