"""Encoders by name. An encoder is one file and one line in `ENCODERS`."""

import dataclasses
import functools
from collections.abc import Callable

from flax import linen as nn

from jigsaw_shape.models import convnet, efficientnet_lite, resnet

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """How to build an encoder, and what pixels it expects.

    Attributes:
      build: `build(dtype=..., norm_axis=..., freeze_norm=...)` returns a Linen module
        whose `module.apply(variables, images, train)` maps float32
        [B, H, W, 3] images, already normalized, to float32 [B, F] pooled features.
        `dtype` is the computation's; parameters stay float32. `norm_axis` is the pmap
        axis over which BatchNorm statistics are synchronized in training, None for
        none; `freeze_norm` uses the running statistics in training too. Fields of the
        module, such as `norm_momentum`, can be given as well. What each stage returns
        is sown into the collection `intermediates` under the stage's name.
      mean: What is subtracted from RGB in [0, 1], a channel.
      std: What the difference is divided by, a channel.
      family: Whose rename table in `weights.py` reads foreign checkpoints of this
        encoder; None where there are none.
    """

    build: Callable[..., nn.Module]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    family: str | None = None


def _resnet(name: str) -> EncoderSpec:
    build = functools.partial(resnet.ResNet, **resnet.VARIANTS[name])
    return EncoderSpec(build, family="resnet")


def _efficientnet_lite(name: str) -> EncoderSpec:
    # The published weights expect (x - 127) / 128 on 0..255.
    return EncoderSpec(
        functools.partial(
            efficientnet_lite.EfficientNetLite, **efficientnet_lite.VARIANTS[name]
        ),
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        family="efficientnet_lite",
    )


ENCODERS: dict[str, EncoderSpec] = {
    "convnet": EncoderSpec(convnet.ConvNet),
    **{name: _resnet(name) for name in resnet.VARIANTS},
    **{name: _efficientnet_lite(name) for name in efficientnet_lite.VARIANTS},
}
