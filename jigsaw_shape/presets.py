"""Methods as presets: each is a change to a configuration, none a fork of the trainer.

`configs/pacs.py:jigen` applies `PRESETS["jigen"]` to what `configs/pacs.py` sets.
"""

from collections.abc import Callable

from ml_collections import ConfigDict


def erm(config: ConfigDict) -> None:
    """Cross-entropy on the pooled sources: "DeepAll" (JiGen), "ERM" (DomainBed)."""
    config.losses.jigsaw = 0.0
    config.jigsaw.bias_whole_image = 1.0


def jigen(config: ConfigDict) -> None:
    """Adds the jigsaw head on shuffled natural images.

    Carlucci et al., CVPR 2019, section 3; weights of their ResNet-18 (0.7, 0.9).
    """
    config.losses.jigsaw = 0.7
    config.jigsaw.bias_whole_image = 0.9


def fourier(config: ConfigDict) -> None:
    """Classifies natural images and ones with another source's amplitudes, half each.

    Xu et al., CVPR 2021 (FACT), section 3.2: l uniform in (0, 1). Their co-teacher
    consistency is not part of it.
    """
    erm(config)
    config.diversify.name = "fourier"
    config.diversify.p_ordered = 0.5
    config.diversify.strength = (0.0, 1.0)


def randconv(config: ConfigDict) -> None:
    """Classifies natural images and randomly convolved ones, half each.

    Xu et al., ICLR 2021, the mixing variant: the weight of the convolved image uniform
    in (0, 1). Their consistency loss is not part of it.
    """
    erm(config)
    config.diversify.name = "randconv"
    config.diversify.p_ordered = 0.5
    config.diversify.strength = (0.0, 1.0)


PRESETS: dict[str, Callable[[ConfigDict], None]] = {
    "erm": erm,
    "jigen": jigen,
    "fourier": fourier,
    "randconv": randconv,
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
