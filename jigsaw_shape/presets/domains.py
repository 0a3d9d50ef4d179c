"""Methods that compare domains, or hold logits down."""

from ml_collections import ConfigDict

from jigsaw_shape.presets.erm import erm


def coral(config: ConfigDict) -> None:
    """Features of equal means and covariances in all domains.

    Sun & Saenko, ECCV 2016 Workshops, as in DomainBed, with its weight of 1.
    """
    erm(config)
    config.losses.coral = 1.0


def mmd(config: ConfigDict) -> None:
    """Features of equal distributions in all domains, by kernel means.

    Li et al., CVPR 2018, as in DomainBed: no autoencoder, and its weight of 1.
    """
    erm(config)
    config.losses.mmd = 1.0


def cdann(config: ConfigDict) -> None:
    """`dann` with a domain classifier for each class, every class of the same weight.

    Li et al., ECCV 2018; the weight of 1 is DomainBed's. Departure: the classifiers'
    hidden layers are DANN's, two of width 1024 (`config.dann.hidden`); DomainBed's are
    two of 256 (its `mlp_width` 256 and `mlp_depth` 3, the output layer counted).
    """
    erm(config)
    config.losses.cdann = 1.0


def vrex(config: ConfigDict) -> None:
    """Punishes the variance of the domains' risks.

    Krueger et al., ICML 2021, in DomainBed's version: weight 1 in the first tenth of
    the run, then 10. (Their optimizer starts anew then, here it goes on.)
    """
    erm(config)
    config.losses.vrex = 10.0
    config.invariance.start = 0.1
    config.invariance.early_weight = 1.0


def irm(config: ConfigDict) -> None:
    """One classifier that is optimal in every domain.

    Arjovsky et al., arXiv 1907.02893, in DomainBed's version: weight 1 in the first
    tenth of the run, then 100. (Their optimizer starts anew then, here it goes on.)
    """
    erm(config)
    config.losses.irm = 100.0
    config.invariance.start = 0.1
    config.invariance.early_weight = 1.0


def groupdro(config: ConfigDict) -> None:
    """Weighs the domains by their risks: the worst counts most.

    Sagawa et al., ICLR 2020; eta 0.01.
    """
    erm(config)
    config.losses.groupdro = 1.0


def fishr(config: ConfigDict) -> None:
    """Equal variances of the class head's gradients in all domains.

    Rame et al., ICML 2022: weight 1000 after 1500 of 5000 steps, decay 0.95. (Their
    optimizer starts anew then, here it goes on.)
    """
    erm(config)
    config.losses.fishr = 1000.0
    config.invariance.start = 0.3


def sd(config: ConfigDict) -> None:
    """Punishes squared logits: spectral decoupling.

    Pezeshki et al., NeurIPS 2021; the weight of 0.1 is DomainBed's.
    """
    erm(config)
    config.losses.sd = 0.1
