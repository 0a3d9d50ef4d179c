r"""A data set of your own, `DIR/{domain}/{class}/*`, with JiGen's recipe.

    python -m jigsaw_shape.train --config configs/folder.py:jigen \
        --config.data.source_dir=DIR --config.data.target=clipart

`--config.data.name` is what rows call the data set and where the prepared images are
kept. The domains and classes are the folders that are found. What to expect depends on
your images: configs/pacs.py has what was measured on PACS. With a few hundred images a
domain, on 2 CPU cores, use its flags for 84 px.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.jigen(config)
    config.data.name = "mine"
    config.data.target = "sketch"  # a folder of DIR
    config.data.stored_px = 256  # images are squashed to squares of this side, once
    return apply_preset(config, preset)
