"""Layers that the encoders share. Parameters are float32, whatever is computed in."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jigsaw_shape.models.operations.depthwise import depthwise_conv
from jigsaw_shape.models.operations.pointwise import pointwise_conv
from jigsaw_shape.models.operations.winograd import conv3x3

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
