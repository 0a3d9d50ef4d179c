"""The names that libraries have for the parts of encoders, and ours.

A table has a library's names of modules on the left and Flax's paths on the right. `{}`
stands for a number, the same on both sides, so a table works in both directions. Arrays
in a module (weight, running_mean, ...) are told by their last name and number of axes.
A row may also name a single array outside of such modules, such as a positional
embedding. A third entry names a further difference of layout (`renames._LAYOUTS`).
`classifier` is not part of the encoder.
"""

from jigsaw_shape.models import efficientnet_lite, vgg
from jigsaw_shape.models.efficientnet_lite import stage_depths

Table = tuple[tuple[str, ...], ...]
KERAS = "keras"  # the library whose modules hold `kernel` and `bias`, laid out as ours
# What its VGGs, Caffe's, expect: of RGB in [0, 1] this subtracted, times 255.
CAFFE_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)

_RESNET: Table = (
    ("conv1", "conv1"),
    ("bn1", "bn1"),
    ("layer{}.{}.conv{}", "layer{}_{}/conv{}"),
    ("layer{}.{}.bn{}", "layer{}_{}/bn{}"),
    ("layer{}.{}.downsample.0", "layer{}_{}/downsample_conv"),
    ("layer{}.{}.downsample.1", "layer{}_{}/downsample_bn"),
    ("fc", "classifier"),
)
# Of github.com/XingangPan/IBN-Net.
_RESNET_IBN: Table = (
    ("layer{}.{}.bn1.IN", "layer{}_{}/bn1/instance"),
    ("layer{}.{}.bn1.BN", "layer{}_{}/bn1/batch"),
    *_RESNET,
)
_EFFICIENTNET_LITE: Table = (
    ("_conv_stem", "stem_conv"),
    ("_bn0", "stem_bn"),
    ("_blocks.{}._expand_conv", "blocks_{}/expand_conv"),
    ("_blocks.{}._bn0", "blocks_{}/expand_bn"),
    ("_blocks.{}._depthwise_conv", "blocks_{}/depthwise_conv"),
    ("_blocks.{}._bn1", "blocks_{}/depthwise_bn"),
    ("_blocks.{}._project_conv", "blocks_{}/project_conv"),
    ("_blocks.{}._bn2", "blocks_{}/project_bn"),
    ("_conv_head", "head_conv"),
    ("_bn1", "head_bn"),
    ("_fc", "classifier"),
)

_ALEXNET: Table = (
    ("features.0", "conv1"),
    ("features.3", "conv2"),
    ("features.6", "conv3"),
    ("features.8", "conv4"),
    ("features.10", "conv5"),
    ("classifier.1", "dense6"),
    ("classifier.4", "dense7"),
    ("classifier.6", "classifier"),
)
_CAFFENET: Table = (
    ("features.conv{}", "conv{}"),
    ("classifier.fc6", "dense6"),
    ("classifier.fc7", "dense7"),
    ("classifier.fc8", "classifier"),
)
_DIGITS: Table = (
    ("features.0", "conv1"),
    ("features.3", "conv2"),
    ("classifier.0", "dense3"),
    ("classifier.2", "dense4"),
    ("class_classifier", "classifier"),
)
_CONVNEXT_TIMM: Table = (
    ("stem.0", "stem_conv"),
    ("stem.1", "stem_norm"),
    ("stages.{}.downsample.0", "downsample{}_norm"),
    ("stages.{}.downsample.1", "downsample{}_conv"),
    ("stages.{}.blocks.{}.conv_dw", "blocks{}_{}/conv_dw"),
    ("stages.{}.blocks.{}.norm", "blocks{}_{}/norm"),
    ("stages.{}.blocks.{}.mlp.fc{}", "blocks{}_{}/fc{}"),
    ("stages.{}.blocks.{}.gamma", "blocks{}_{}/gamma"),
    ("head.norm", "head_norm"),
    ("head.fc", "classifier"),
)
_VIT: Table = (
    ("cls_token", "cls_token"),
    ("pos_embed", "pos_embed"),
    ("patch_embed.proj", "patch_embed"),
    ("blocks.{}.norm{}", "blocks_{}/norm{}"),
    ("blocks.{}.attn.qkv", "blocks_{}/qkv"),
    ("blocks.{}.attn.proj", "blocks_{}/proj"),
    ("blocks.{}.mlp.fc{}", "blocks_{}/fc{}"),
    ("norm", "norm"),
    ("head", "classifier"),
)


def _vgg(depths: tuple[int, ...]) -> Table:
    """Returns a VGG's table; each ReLU and pool has a number in the sequence too."""
    rows, place = [], 0
    for stage, depth in enumerate(depths, 1):
        for i in range(1, depth + 1):
            rows.append((f"features.{place}", f"conv{stage}_{i}"))
            place += 2
        place += 1
    return (
        *rows,
        ("classifier.0", "dense6"),
        ("classifier.3", "dense7"),
        ("classifier.6", "classifier"),
    )


def _efficientnet_lite_timm(depths: tuple[int, ...]) -> Table:
    """Returns timm's table: each stage counts from 0, the first expands nothing."""
    rows = [("conv_stem", "stem_conv"), ("bn1", "stem_bn")]
    parts = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    ours = ("expand_conv", "expand_bn", "depthwise_conv", "depthwise_bn")
    ours += ("project_conv", "project_bn")
    first_parts = ("conv_dw", "bn1", "conv_pw", "bn2")
    block = 0
    for stage, depth in enumerate(depths):
        for i in range(depth):
            pairs = zip(parts, ours, strict=True)
            if stage == 0:
                pairs = zip(first_parts, ours[2:], strict=True)
            rows += [
                (f"blocks.{stage}.{i}.{t}", f"blocks_{block}/{o}") for t, o in pairs
            ]
            block += 1
    return (
        *rows,
        ("conv_head", "head_conv"),
        ("bn2", "head_bn"),
        ("classifier", "classifier"),
    )


def _vgg_keras(depths: tuple[int, ...]) -> Table:
    rows = [
        (f"block{stage}_conv{i}", f"conv{stage}_{i}")
        for stage, depth in enumerate(depths, 1)
        for i in range(1, depth + 1)
    ]
    # Blue comes first, and the maps are flattened with their channels last.
    first = (*rows[0], "bgr")
    top = ("fc1", "dense6", "hwc"), ("fc2", "dense7"), ("predictions", "classifier")
    return (first, *rows[1:], *top)


def _convnext_torchvision() -> Table:
    """Returns torchvision's table: 8 places in turns, of downsampling and of blocks."""
    rows = [("features.0.0", "stem_conv"), ("features.0.1", "stem_norm")]
    for stage in range(4):
        if stage > 0:
            rows.append((f"features.{2 * stage}.0", f"downsample{stage}_norm"))
            rows.append((f"features.{2 * stage}.1", f"downsample{stage}_conv"))
        theirs, ours = f"features.{2 * stage + 1}.{{}}", f"blocks{stage}_{{}}"
        for place, part in ((0, "conv_dw"), (2, "norm"), (3, "fc1"), (5, "fc2")):
            rows.append((f"{theirs}.block.{place}", f"{ours}/{part}"))
        rows.append((f"{theirs}.layer_scale", f"{ours}/gamma", "c11"))
    return (*rows, ("classifier.0", "head_norm"), ("classifier.2", "classifier"))


# Family -> library -> table. The first library's names are those of exports.
RENAMES: dict[str, dict[str, Table]] = {
    # timm's ResNets have torchvision's names.
    "resnet": {"torchvision": _RESNET},
    "resnet_ibn": {"ibn_net": _RESNET_IBN},
    "alexnet": {"torchvision": _ALEXNET},
    "caffenet": {"jigen": _CAFFENET},
    **{
        name: {
            "torchvision": _vgg(variant["depths"]),
            KERAS: _vgg_keras(variant["depths"]),
        }
        for name, variant in vgg.VARIANTS.items()
    },
    "digits": {"jigen": _DIGITS},
    "convnext": {"timm": _CONVNEXT_TIMM, "torchvision": _convnext_torchvision()},
    "vit": {"timm": _VIT},
    **{
        name: {
            "efficientnet_lite_pytorch": _EFFICIENTNET_LITE,
            "timm": _efficientnet_lite_timm(stage_depths(variant["depth"])),
        }
        for name, variant in efficientnet_lite.VARIANTS.items()
    },
}
