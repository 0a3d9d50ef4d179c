"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation, with ReLU6.

Tan & Le, EfficientNet, ICML 2019, in the "Lite" form that Google published with
TensorFlow's SAME padding, BatchNorm's epsilon 1e-3 and pixels as (x - 127) / 128. Stem,
head and the depths of the first and last stage do not scale with the variant. Dropout
and stochastic depth are left out; so are the classifier's weights.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.layers import BatchNorm, Conv, DepthwiseConv, Dtype
from jigsaw_shape.models.stages import Edit, leave

VARIANTS = {
    "efficientnet_lite0": {"width": 1.0, "depth": 1.0},
    "efficientnet_lite1": {"width": 1.0, "depth": 1.1},
    "efficientnet_lite2": {"width": 1.1, "depth": 1.2},
}

# Blocks, kernel size, stride, expansion, channels out: EfficientNet-B0, table 1.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280


def _round_channels(channels: float) -> int:
    """Returns the nearest multiple of 8, never less than 90 % of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def stage_depths(name: str) -> tuple[int, ...]:
    """Returns the blocks in each of a variant's seven stages."""
    return _depths(VARIANTS[name]["depth"])


def _depths(factor: float) -> tuple[int, ...]:
    first, *scaled, last = (stage[0] for stage in _STAGES)
    return (first, *(math.ceil(depth * factor) for depth in scaled), last)


class Block(nn.Module):
    """Inverted residual: expand, convolve depthwise, project.

    Attributes:
      features: Channels out.
      kernel_size: Of the depthwise convolution.
      stride: Of the depthwise convolution.
      expansion: Factor of the channels in between; 1 expands nothing.
      conv: Builds a convolution from features and kernel_size.
      depthwise: Builds a depthwise convolution from kernel_size and stride.
      norm: Builds a BatchNorm.
    """

    features: int
    kernel_size: int
    stride: int
    expansion: int
    conv: Callable[..., nn.Module]
    depthwise: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps [B, H, W, C] to [B, H / stride, W / stride, features]."""
        y = x
        if self.expansion > 1:
            y = self.conv(x.shape[-1] * self.expansion, 1, name="expand_conv")(y)
            y = nn.relu6(self.norm(name="expand_bn")(y, train))
        y = self.depthwise(self.kernel_size, self.stride, name="depthwise_conv")(y)
        y = nn.relu6(self.norm(name="depthwise_bn")(y, train))
        y = self.conv(self.features, 1, name="project_conv")(y)
        y = self.norm(name="project_bn")(y, train)
        return x + y if x.shape == y.shape else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite without its classifier.

    Stages are `stem`, `stage1` to `stage7` and `head`; blocks are numbered through, as
    in the published checkpoints.

    Attributes:
      width: Factor of the stages' channels.
      depth: Factor of the stages' blocks.
      dtype: What is computed in.
      norm_axis: pmap axis that synchronizes BatchNorm, None for none.
      freeze_norm: Use the running statistics in training too.
      norm_momentum: What BatchNorm keeps of its running statistics a step. TensorFlow
        trained with 0.99, which takes hundreds of steps to follow: too slow for
        fine-tuning of a few epochs.
    """

    width: float = 1.0
    depth: float = 1.0
    dtype: Dtype = jnp.float32
    norm_axis: str | None = None
    freeze_norm: bool = False
    norm_momentum: float = 0.9

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, 1280]."""
        conv = functools.partial(Conv, dtype=self.dtype)
        depthwise = functools.partial(DepthwiseConv, dtype=self.dtype)
        norm = functools.partial(
            BatchNorm,
            epsilon=1e-3,
            momentum=self.norm_momentum,
            axis_name=self.norm_axis,
            freeze=self.freeze_norm,
            dtype=self.dtype,
        )
        x = conv(_STEM, 3, 2, name="stem_conv")(images)
        x = nn.relu6(norm(name="stem_bn")(x, train))
        x = leave(self, "stem", x, edit)
        n_blocks = 0
        depths = _depths(self.depth)
        for stage, (_, k, stride, expansion, channels) in enumerate(_STAGES):
            for i in range(depths[stage]):
                x = Block(
                    features=_round_channels(channels * self.width),
                    kernel_size=k,
                    stride=stride if i == 0 else 1,
                    expansion=expansion,
                    conv=conv,
                    depthwise=depthwise,
                    norm=norm,
                    name=f"blocks_{n_blocks}",
                )(x, train)
                n_blocks += 1
            x = leave(self, f"stage{stage + 1}", x, edit)
        x = conv(_HEAD, 1, name="head_conv")(x)
        x = nn.relu6(norm(name="head_bn")(x, train))
        x = leave(self, "head", x, edit)
        return x.astype(jnp.float32).mean((1, 2))
