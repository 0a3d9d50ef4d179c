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


PRESETS: dict[str, Callable[[ConfigDict], None]] = {"erm": erm, "jigen": jigen}


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
