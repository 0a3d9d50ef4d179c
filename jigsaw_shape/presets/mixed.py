"""Methods that mix images, features or what heads read."""

from ml_collections import ConfigDict

from jigsaw_shape.presets.erm import erm


def mixup(config: ConfigDict) -> None:
    """Classifies blends of two images by both their labels.

    Zhang et al., ICLR 2018; alpha 0.2, theirs on ImageNet and DomainBed's.
    """
    erm(config)
    config.mixing.name = "mixup"
    config.mixing.alpha = 0.2


def cutmix(config: ConfigDict) -> None:
    """Classifies images with a box of another in them by both their labels.

    Yun et al., ICCV 2019; alpha 1, every image, as on ImageNet.
    """
    erm(config)
    config.mixing.name = "cutmix"
    config.mixing.alpha = 1.0


def rsc(config: ConfigDict) -> None:
    """Classifies without the features that the answer rests on most.

    Huang et al., ECCV 2020; a third of the features in a third of the images.
    """
    erm(config)
    config.rsc.features = 1 / 3
    config.rsc.images = 1 / 3


def sagnet(config: ConfigDict) -> None:
    """Content without style for the class head, and features that hide style.

    Nam et al., CVPR 2021, in DomainBed's version on pooled features; its weight of 0.1.
    """
    erm(config)
    config.losses.style = 1.0
    config.sagnet.adversary = 0.1


def safs(config: ConfigDict) -> None:
    """`mixstyle`, and a head that draws the image's edges.

    After Cheraghalikhani et al., Structure-aware feature stylization, CVIU 2024, with
    the weight of 1 of their code. Departures: the head is simpler than theirs, and
    MixStyle has its own p of 0.5 and its own places, where their example for PACS has
    0.1 and two of the three.
    """
    erm(config)
    config.mixstyle.stages = "usual"
    config.losses.edges = 1.0


def efdmix(config: ConfigDict) -> None:
    """`mixstyle` with whole distributions in place of two statistics.

    Zhang et al., CVPR 2022; MixStyle's places, p and alpha. Partners are any images of
    the batch (`config.mixstyle.mix=crossdomain`: of other domains, their setting for
    several sources).
    """
    erm(config)
    config.mixstyle.name = "efdmix"
    config.mixstyle.stages = "usual"


def dsu(config: ConfigDict) -> None:
    """Noise on feature statistics, as wide as the statistics differ in a batch.

    Li et al., ICLR 2022: p 0.5, after every stage. (Theirs is after the first
    convolution too, before its BatchNorm.)
    """
    erm(config)
    config.mixstyle.name = "dsu"
    config.mixstyle.stages = "all"
    config.mixstyle.alpha = 1.0


def padain(config: ConfigDict) -> None:
    """Swaps feature statistics between images, rarely.

    Nuriel et al., CVPR 2021: p 0.01. Departure: after every stage, theirs after every
    convolution.
    """
    erm(config)
    config.mixstyle.name = "padain"
    config.mixstyle.stages = "all"
    config.mixstyle.p = 0.01


def augmix(config: ConfigDict) -> None:
    """Classifies images, and holds the answers to two augmented forms to that.

    Hendrycks et al., ICLR 2020: chains of operations, Jensen-Shannon divergence of
    weight 12. A step sees three times as many images as one of `erm`.
    """
    erm(config)
    config.diversify.name = "augmix"
    config.diversify.p_ordered = (1.0,)
    config.diversify.weakest = (1.0,)
    config.losses.jsd = 12.0
    config.classification.natural_only = True


def prime(config: ConfigDict) -> None:
    """Classifies images, and holds the answers to two forms by PRIME to that.

    Modas et al., ECCV 2022: filters, warps and colour curves in place of `augmix`'s
    operations, and its divergence, of weight 12. Their plain form classifies changed
    images alone: `config.losses.jsd=0` and `config.classification.natural_only=False`.
    """
    augmix(config)
    config.diversify.name = "prime"


def fact(config: ConfigDict) -> None:
    """Classifies images and themselves with others' amplitudes, taught by an average.

    Xu et al., CVPR 2021, whole but that partners are of other sources, as in `fourier`:
    that on every image beside itself, and answers held to those of a teacher whose
    weights follow (weight 2 after a tenth of the run, temperature 10, momentum 0.9995).
    A step sees twice as many images as one of `erm`, and the teacher sees them too.
    """
    erm(config)
    config.diversify.name = "fourier"
    config.diversify.p_ordered = (1.0,)
    config.losses.teacher = 2.0
