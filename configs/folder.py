"""A data set of your own: a folder `DIR/{domain}/{class}/*`, the recipe of PACS.

    python -m jigsaw_shape.train --config configs/folder.py:jigen \
        --config.data.source_dir=DIR --config.data.target=clipart

`--config.data.name` is what rows call it and where it is kept once prepared; domains
and classes are the folders found.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "mine"
    config.data.target = "sketch"  # a folder of DIR
    config.data.stored_px = 256  # images are squashed to squares of this side, once
    config.model.init = "torchvision:resnet18.IMAGENET1K_V1"
    return apply_preset(config, preset)
