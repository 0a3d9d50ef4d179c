"""EfficientNet-Lite: EfficientNet without squeeze-and-excitation, with ReLU6.

Tan & Le, EfficientNet, ICML 2019, in the "Lite" form that Google published with
TensorFlow's SAME padding, BatchNorm's epsilon 1e-3 and pixels as (x - 127) / 128. Stem,
head and the depths of the first and last stage do not scale with the variant. Dropout
and stochastic depth are left out; so are the classifier's weights. BatchNorm's momentum
is 0.9: TensorFlow's 0.99 takes hundreds of steps to follow, too slow for fine-tuning of
a few epochs.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.batch_norm import RELU6
from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv, DepthwiseConv

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


def stage_depths(factor: float) -> tuple[int, ...]:
    """Returns the blocks in each of the seven stages, for a variant's `depth`."""
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
            y = self.norm(name="expand_bn", clip=RELU6)(y, train)
        y = self.depthwise(self.kernel_size, self.stride, name="depthwise_conv")(y)
        y = self.norm(name="depthwise_bn", clip=RELU6)(y, train)
        y = self.conv(self.features, 1, name="project_conv")(y)
        y = self.norm(name="project_bn")(y, train)
        return x + y if x.shape == y.shape else y


class EfficientNetLite(Encoder):
    """EfficientNet-Lite without its classifier.

    Stages are `stem`, `stage1` to `stage7` and `head`; blocks are numbered through, as
    in the published checkpoints.

    Attributes:
      width: Factor of the stages' channels.
      depth: Factor of the stages' blocks.
    """

    width: float = 1.0
    depth: float = 1.0

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, 1280]."""
        conv = functools.partial(Conv, dtype=self.dtype)
        depthwise = functools.partial(DepthwiseConv, dtype=self.dtype)
        norm = self.norm(epsilon=1e-3)
        x = conv(_STEM, 3, 2, name="stem_conv")(images)
        x = norm(name="stem_bn", clip=RELU6)(x, train)
        x = self.leave("stem", x, edit)
        n_blocks = 0
        depths = stage_depths(self.depth)
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
            x = self.leave(f"stage{stage + 1}", x, edit)
        x = conv(_HEAD, 1, name="head_conv")(x)
        x = norm(name="head_bn", clip=RELU6)(x, train)
        x = self.leave("head", x, edit)
        return x.astype(jnp.float32).mean((1, 2))
