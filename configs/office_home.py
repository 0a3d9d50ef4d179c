r"""Office-Home, leave one domain out, with JiGen's recipe.

    python -m jigsaw_shape.train --config configs/office_home.py:jigen \
        --config.data.target=clipart --config.data.source_dir=DIR

Art, Clipart, Product and Real World with 65 classes (2,427, 4,365, 4,439 and 4,357
images). When they are prepared, images are squashed to squares of 256 px. *Published*,
ResNet-18, average of the four targets: JiGen 61.2 %, DDEC 68.8 %. Nothing has been
measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.jigen(config)
    config.data.name = "office_home"
    config.data.target = "clipart"  # art | clipart | product | real_world
    config.data.stored_px = 256
    return apply_preset(config, preset)
