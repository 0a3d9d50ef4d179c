"""Office-Home, leave one domain out, with the recipe of configs/pacs.py.

    python -m jigsaw_shape.train --config configs/office_home.py:jigen \
        --config.data.target=clipart --config.data.source_dir=DIR

Art, Clipart, Product and Real World with 65 classes (2,427, 4,365, 4,439 and 4,357
images), squashed to 256 px squares once, when read.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "office_home"
    config.data.target = "clipart"  # art | clipart | product | real_world
    config.data.stored_px = 256
    config.model.init = "torchvision:resnet18.IMAGENET1K_V1"
    return apply_preset(config, preset)
