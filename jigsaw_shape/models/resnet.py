"""ResNet, torchvision's architecture to the letter, and IBN-Net's variant of it.

He et al., Deep residual learning for image recognition, CVPR 2016, with torchvision's
choices: padding symmetric everywhere ("SAME" would pad strided layers at the end only),
the bottleneck's stride in its 3x3 convolution, BatchNorm's epsilon 1e-5, and scales
that start at 1 in the last BatchNorm of a block too.

IBN-Net-a (Pan et al., Two at once, ECCV 2018, section 3.2) normalizes half of the
channels after each block's first convolution by the image's own statistics, in layer1
to layer3, so that a part of the style does not pass.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.batch_norm import RELU, Clip, clipped
from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv, Dtype, InstanceNorm
from jigsaw_shape.models.pooling import max_pool

_N_IBN_STAGES = 3

# name: blocks a stage, and whether they are bottlenecks.
VARIANTS = {
    "resnet18": {"depths": (2, 2, 2, 2), "bottleneck": False},
    "resnet34": {"depths": (3, 4, 6, 3), "bottleneck": False},
    "resnet50": {"depths": (3, 4, 6, 3), "bottleneck": True},
    "resnet101": {"depths": (3, 4, 23, 3), "bottleneck": True},
}
VARIANTS |= {
    f"{name}_ibn_a": {**VARIANTS[name], "ibn": True}
    for name in ("resnet18", "resnet50")
}


class HalfInstanceNorm(nn.Module):
    """InstanceNorm of the first half of the channels, BatchNorm of the second.

    Attributes:
      norm: Builds a BatchNorm.
      dtype: What is returned.
      clip: Between which numbers all channels are held; None for all.
    """

    norm: Callable[..., nn.Module]
    dtype: Dtype
    clip: Clip | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps [B, H, W, C] to the same shape."""
        half = x.shape[-1] // 2
        own = InstanceNorm(dtype=self.dtype, name="instance")(x[..., :half])
        norm = self.norm(name="batch", clip=self.clip)
        others = norm(x[..., half:], train)
        return jnp.concatenate([clipped(own, self.clip), others], -1)


class Block(nn.Module):
    """Residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 where `bottleneck`.

    Attributes:
      width: Channels inside.
      stride: Of the first 3x3 convolution, and of the shortcut.
      bottleneck: Which of the two blocks; a bottleneck returns 4 times its width.
      conv: Builds a convolution from features, kernel_size, stride, padding.
      norm: Builds a BatchNorm.
      first_norm: Builds what stands in its place after the first convolution.
    """

    width: int
    stride: int
    bottleneck: bool
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]
    first_norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps [B, H, W, C] to [B, H / stride, W / stride, features]."""
        width, stride = self.width, self.stride
        if self.bottleneck:
            layers = [(width, 1, 1, 0), (width, 3, stride, 1), (4 * width, 1, 1, 0)]
        else:
            layers = [(width, 3, stride, 1), (width, 3, 1, 1)]
        y = x
        for i, layer in enumerate(layers, 1):
            y = self.conv(*layer, name=f"conv{i}")(y)
            norm = self.first_norm if i == 1 else self.norm
            clip = RELU if i < len(layers) else None
            y = norm(name=f"bn{i}", clip=clip)(y, train)
        if x.shape != y.shape:
            x = self.conv(y.shape[-1], 1, stride, 0, name="downsample_conv")(x)
            x = self.norm(name="downsample_bn")(x, train)
        return nn.relu(x + y)


class ResNet(Encoder):
    """ResNet without its classifier; stages are `stem`, `layer1` to `layer4`.

    Attributes:
      depths: Blocks in each of the four stages.
      bottleneck: Whether the blocks are bottlenecks.
      ibn: Whether it is IBN-Net-a.
    """

    depths: tuple[int, ...]
    bottleneck: bool
    ibn: bool = False

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, F]."""
        conv = functools.partial(Conv, dtype=self.dtype)
        norm = self.norm()
        half = functools.partial(HalfInstanceNorm, norm, self.dtype)
        x = conv(64, 7, 2, 3, name="conv1")(images)
        x = norm(name="bn1", clip=RELU)(x, train)
        x = max_pool(x, 3, 2, padding=1)
        x = self.leave("stem", x, edit)
        for stage, depth in enumerate(self.depths):
            for i in range(depth):
                x = Block(
                    width=64 * 2**stage,
                    stride=2 if stage > 0 and i == 0 else 1,
                    bottleneck=self.bottleneck,
                    conv=conv,
                    norm=norm,
                    first_norm=half if self.ibn and stage < _N_IBN_STAGES else norm,
                    name=f"layer{stage + 1}_{i}",
                )(x, train)
            x = self.leave(f"layer{stage + 1}", x, edit)
        return x.astype(jnp.float32).mean((1, 2))
