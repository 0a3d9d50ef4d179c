"""Methods as presets: each is a change to a configuration, none a fork of the trainer.

`configs/pacs.py:jigen` applies `PRESETS["jigen"]` to what `configs/pacs.py` sets.
"""

from collections.abc import Callable

from ml_collections import ConfigDict

from jigsaw_shape.presets import domains, mixed, weights
from jigsaw_shape.presets.erm import erm


def jigen(config: ConfigDict) -> None:
    """Adds the jigsaw head on shuffled natural images.

    Carlucci et al., CVPR 2019, section 3; weights of their ResNet-18 (0.7, 0.9).
    """
    config.losses.jigsaw = 0.7
    config.jigsaw.bias_whole_image = 0.9


def ddec(config: ConfigDict) -> None:
    """Adds AdaIN: half of the shuffled images are stylized before they are cut.

    Asadi et al., arXiv 1909.08245, with the sampling of their code: ordered images stay
    natural; of the stylized puzzles half wear one style and half a style for each tile,
    which is enlarged to the image's size to be stylized. Their alphas are 0.9 for whole
    images and 1 for tiles: here uniform between the two. Styles are the pack's, by
    `config.diversify.external` other source domains' instead.
    """
    jigen(config)
    config.diversify.name = "adain"
    config.diversify.p_shuffled = (0.5,)
    config.diversify.per_tile = (0.5,)
    config.diversify.weakest = (0.9,)
    config.diversify.external = (1.0,)
    config.diversify.enlarge_tiles = True


def sin(config: ConfigDict) -> None:
    """Classifies natural and stylized images, half each: "SIN+IN".

    Geirhos et al., ICLR 2019: AdaIN at alpha 1 in a random painting's style. There an
    epoch holds each image in both forms; here an image is one of the two, anew in every
    epoch. `config.diversify.p_ordered=1` is SIN alone; `config.diversify.until=0.75`
    fine-tunes on natural images in the last quarter.
    """
    erm(config)
    config.diversify.name = "adain"
    config.diversify.p_ordered = (0.5,)
    config.diversify.weakest = (1.0,)
    config.diversify.external = (1.0,)


def fourier(config: ConfigDict) -> None:
    """Classifies natural images and ones with another source's amplitudes, half each.

    Xu et al., CVPR 2021 (FACT), section 3.2: l uniform in (0, 1). Departures: the
    amplitudes are another source's, in theirs any source's, the image's own included;
    an image is natural or mixed, in theirs it is classified as both in one step. Their
    co-teacher consistency is not part of it.
    """
    erm(config)
    config.diversify.name = "fourier"
    config.diversify.p_ordered = (0.5,)


def randconv(config: ConfigDict) -> None:
    """Classifies natural images and randomly convolved ones, half each.

    Xu et al., ICLR 2021, the mixing variant: the weight of the convolved image uniform
    in (0, 1). Departures: half of the images stay natural, as in their variant without
    mixing (`config.diversify.p_ordered='(1.0,)'` convolves all); their consistency loss
    is not part of it.
    """
    erm(config)
    config.diversify.name = "randconv"
    config.diversify.p_ordered = (0.5,)


def mixstyle(config: ConfigDict) -> None:
    """Mixes feature statistics after the encoder's early stages.

    Zhou et al., ICLR 2021: p 0.5, alpha 0.1, after layer1 to layer3 of a ResNet on
    PACS; partners by a random shuffle ("MixStyle w/o domain label").
    """
    erm(config)
    config.mixstyle.stages = "usual"


def dann(config: ConfigDict) -> None:
    """Features that hide which source domain an image is of.

    Ganin et al., JMLR 2016: a domain classifier behind a reversed gradient, of weight
    1, with their ramp; here over all sources, without a target. It goes with any other
    method: `config.losses.domain=1`.
    """
    erm(config)
    config.losses.domain = 1.0


def dann_style(config: ConfigDict) -> None:
    """Features that hide whether an image is natural or stylized.

    Brochu, arXiv 1907.12892: Stylized-ImageNet's images are the other domain. Half of
    the images are stylized as `sin` does it, and all are classified.
    """
    sin(config)
    config.losses.domain = 1.0
    config.dann.domains = "style"


def shape(config: ConfigDict) -> None:
    """Gives an image and itself in another style the same label and the same answer.

    This project's own composition, chosen by the ablations in docs/results.md: every
    image beside itself with another source's amplitudes (`fourier`), both classified,
    and their answers held together by a symmetric divergence. A step sees twice as many
    images as one of `erm`.
    """
    fourier(config)
    config.diversify.p_ordered = (1.0,)
    config.losses.consistency = 1.0


def shape_edges(config: ConfigDict) -> None:
    """`shape`, where half of the second forms are drawings of the image's edges.

    This project's own, for fine-tuning. An image and its outline, faded in by a
    strength in (0, 1), get the same answer. In the first tenth of the run the heads
    learn alone, so that they do not spoil the encoder's first weights (Kumar et al.,
    ICLR 2022, LP-FT). docs/results.md says what both gain on PACS.
    """
    shape(config)
    config.diversify.name = "fourier,edges"
    config.optim.heads_first = 0.1


def puzzle(config: ConfigDict) -> None:
    """Classifies every image and solves it as a puzzle beside that.

    This project's own: the head reads the last map, where the tiles still have places
    (JiGen's reads pooled features), and no image is taken from the class loss. The
    weight is half of JiGen's 0.7, which averages over as many whole images too.
    """
    erm(config)
    config.losses.jigsaw = 0.35
    config.jigsaw.view = "beside"
    config.jigsaw.bias_whole_image = 0.0
    config.jigsaw.head = "spatial"


def styled_puzzle(config: ConfigDict) -> None:
    """`shape`, and beside it a puzzle of which every tile wears a style of its own."""
    puzzle(config)
    jigsaw = config.jigsaw.copy_and_resolve_references()
    weight = config.losses.jigsaw
    shape(config)
    config.losses.jigsaw = weight
    config.jigsaw.update(jigsaw)
    config.diversify.p_shuffled = (1.0,)
    config.diversify.per_tile = (1.0,)


def selfsup(config: ConfigDict) -> None:
    """Trains on `puzzle`'s puzzles alone, without a class head or a label.

    The rule `val` selects by the validation puzzles that are solved. What the features
    are worth is what `evaluate --suite probe --suite retrieval` says.
    """
    puzzle(config)
    config.losses.classification = 0.0


def style_only(config: ConfigDict) -> None:
    """Ablates `ddec`: no puzzle. As many images are stylized, whole and in order."""
    ddec(config)
    p_shuffled, bias = config.diversify.p_shuffled[0], config.jigsaw.bias_whole_image
    erm(config)
    config.diversify.p_ordered = (round(p_shuffled * (1 - bias), 6),)
    config.diversify.p_shuffled = (0.0,)
    config.diversify.per_tile = (0.0,)


def whole_only(config: ConfigDict) -> None:
    """Ablates `ddec`: a stylized puzzle wears one style, never one for each tile."""
    ddec(config)
    config.diversify.per_tile = (0.0,)


def tile_only(config: ConfigDict) -> None:
    """Ablates `ddec`: a stylized puzzle wears a style for each tile, never one."""
    ddec(config)
    config.diversify.per_tile = (1.0,)


def jigsaw_0(config: ConfigDict) -> None:
    """Ablates `ddec`: the same images, stylized and shuffled, and nothing to solve."""
    ddec(config)
    config.losses.jigsaw = 0.0


PRESETS: dict[str, Callable[[ConfigDict], None]] = {
    "erm": erm,
    "jigen": jigen,
    "ddec": ddec,
    "sin": sin,
    "fourier": fourier,
    "mixstyle": mixstyle,
    "randconv": randconv,
    "dann": dann,
    "dann_style": dann_style,
    "coral": domains.coral,
    "mmd": domains.mmd,
    "cdann": domains.cdann,
    "vrex": domains.vrex,
    "irm": domains.irm,
    "groupdro": domains.groupdro,
    "fishr": domains.fishr,
    "sd": domains.sd,
    "mixup": mixed.mixup,
    "cutmix": mixed.cutmix,
    "rsc": mixed.rsc,
    "sagnet": mixed.sagnet,
    "safs": mixed.safs,
    "efdmix": mixed.efdmix,
    "dsu": mixed.dsu,
    "padain": mixed.padain,
    "augmix": mixed.augmix,
    "prime": mixed.prime,
    "fact": mixed.fact,
    "sma": weights.sma,
    "erm_plus_plus": weights.erm_plus_plus,
    "swa": weights.swa,
    "swad": weights.swad,
    "wise_ft": weights.wise_ft,
    "sam": weights.sam,
    "sagm": weights.sagm,
    "shape": shape,
    "shape_edges": shape_edges,
    "puzzle": puzzle,
    "styled_puzzle": styled_puzzle,
    "selfsup": selfsup,
    "style_only": style_only,
    "whole_only": whole_only,
    "tile_only": tile_only,
    "jigsaw_0": jigsaw_0,
}


def apply_preset(config: ConfigDict, name: str) -> ConfigDict:
    """Returns `config` with preset `name` applied to it, in place.

    Raises:
      ValueError: There is no such preset; the message lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: {', '.join(PRESETS)}")
    PRESETS[name](config)
    config.preset = name
    return config
