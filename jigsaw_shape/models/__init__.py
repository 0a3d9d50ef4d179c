"""Encoders by name. An encoder is one file and one line in `ENCODERS`."""

import dataclasses
import functools
from collections.abc import Callable

from flax import linen as nn

from jigsaw_shape.models import (
    alexnet,
    convnet,
    convnext,
    digits,
    efficientnet_lite,
    resnet,
    vgg,
    vit,
)

Triple = tuple[float, float, float]  # a number for each of R, G and B

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class EncoderSpec:
    """How to build an encoder, and what pixels it expects.

    Attributes:
      build: `build(dtype=..., norm_axis=..., freeze_norm=...)` returns an
        `encoder.Encoder`; its other fields can be given as well.
      stages: Names of its stages, in order.
      style_stages: Those of them where MixStyle belongs, in order: layer1 to layer3 of
        a ResNet (Zhou et al., ICLR 2021, for PACS); elsewhere those of like depth.
      flat_stages: Those of them that leave rows [B, F] instead of maps [B, h, w, C], in
        which there is no style to mix.
      mean: What is subtracted from RGB in [0, 1], a channel, where the weights do not
        bring a normalization of their own.
      std: What the difference is divided by, a channel.
      family: A key of `rename_tables.RENAMES`, whose tables have the names of foreign
        checkpoints of this encoder; None where there are none.
      architecture: timm's name for it, by which weights on a hub are told from those
        of other architectures with the same names; "" where timm has none.
    """

    build: Callable[..., nn.Module]
    stages: tuple[str, ...]
    style_stages: tuple[str, ...]
    flat_stages: tuple[str, ...] = ()
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    family: str | None = None
    architecture: str = ""


def _resnet(name: str) -> EncoderSpec:
    build = functools.partial(resnet.ResNet, **resnet.VARIANTS[name])
    layers = ("layer1", "layer2", "layer3", "layer4")
    ibn = "ibn" in resnet.VARIANTS[name]
    return EncoderSpec(
        build,
        ("stem", *layers),
        layers[:3],
        family="resnet_ibn" if ibn else "resnet",
        architecture="" if ibn else name,
    )


def _efficientnet_lite(name: str) -> EncoderSpec:
    # The published weights expect (x - 127) / 128 on 0..255.
    return EncoderSpec(
        functools.partial(
            efficientnet_lite.EfficientNetLite, **efficientnet_lite.VARIANTS[name]
        ),
        stages=("stem", *(f"stage{i}" for i in range(1, 8)), "head"),
        # The last at 1/4, 1/8 and 1/16 of the side, as a ResNet's layer1 to layer3 are.
        style_stages=("stage2", "stage3", "stage5"),
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        family=name,
        # timm's own efficientnet_lite pads as PyTorch does.
        architecture=f"tf_{name}",
    )


def _alexnet(caffe: bool) -> EncoderSpec:
    return EncoderSpec(
        functools.partial(alexnet.AlexNet, caffe=caffe),
        stages=alexnet.STAGES,
        # At 1/8, 1/16 and 1/16 of the side: its first step is 8 already.
        style_stages=alexnet.STAGES[:3],
        flat_stages=alexnet.STAGES[5:],
        family="caffenet" if caffe else "alexnet",
    )


def _vgg(name: str) -> EncoderSpec:
    return EncoderSpec(
        functools.partial(vgg.VGG, **vgg.VARIANTS[name]),
        stages=vgg.STAGES,
        style_stages=("stage2", "stage3", "stage4"),
        flat_stages=vgg.STAGES[5:],
        family=name,
        architecture=name,
    )


def _convnext(name: str) -> EncoderSpec:
    stages = ("stage1", "stage2", "stage3", "stage4")
    return EncoderSpec(
        functools.partial(convnext.ConvNeXt, **convnext.VARIANTS[name]),
        stages=("stem", *stages),
        style_stages=stages[:3],
        family="convnext",
        architecture=name,
    )


def _vit(name: str) -> EncoderSpec:
    variant = vit.VARIANTS[name]
    depth = variant["depth"]
    return EncoderSpec(
        functools.partial(vit.ViT, **variant),
        stages=("stem", *(f"block{i}" for i in range(1, depth + 1))),
        # All have the same side; at a quarter, half and three quarters of the depth.
        style_stages=tuple(f"block{i * depth // 4}" for i in (1, 2, 3)),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        family="vit",
        architecture="vit_small_patch16_224",
    )


ENCODERS: dict[str, EncoderSpec] = {
    "convnet": EncoderSpec(
        convnet.ConvNet,
        stages=("stage1", "stage2", "stage3", "stage4"),
        # The first three of four, as in a ResNet, although at 1/2, 1/4 and 1/8 of the
        # side: the last is what is classified by.
        style_stages=("stage1", "stage2", "stage3"),
    ),
    **{name: _resnet(name) for name in resnet.VARIANTS},
    **{name: _efficientnet_lite(name) for name in efficientnet_lite.VARIANTS},
    "alexnet": _alexnet(caffe=False),
    "caffenet": _alexnet(caffe=True),
    **{name: _vgg(name) for name in vgg.VARIANTS},
    "digits": EncoderSpec(
        digits.DigitsNet,
        stages=digits.STAGES,
        style_stages=digits.STAGES[:2],
        flat_stages=digits.STAGES[2:],
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        family="digits",
    ),
    **{name: _convnext(name) for name in convnext.VARIANTS},
    **{name: _vit(name) for name in vit.VARIANTS},
}


def encoder_spec(name: str, where: str) -> EncoderSpec:
    """Returns an encoder's entry in `ENCODERS`.

    Raises:
      ValueError: There is no such encoder; `where` is the field or flag that named it.
    """
    if name not in ENCODERS:
        raise ValueError(
            f"{where} is {name!r}, an unknown encoder; known are {', '.join(ENCODERS)}"
        )
    return ENCODERS[name]
