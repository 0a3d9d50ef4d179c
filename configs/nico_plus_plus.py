r"""NICO++, leave one domain out, with JiGen's recipe.

    python -m jigsaw_shape.train --config configs/nico_plus_plus.py:jigen \
        --config.data.target=autumn --config.data.source_dir=DIR

88,866 images of 60 classes, each in six surroundings (Zhang et al., CVPR 2023; the
labelled images of its challenge of 2022, folders DOMAIN/CLASS). When they are prepared,
images are squashed to squares of 256 px. The paper leaves out two domains at a time:
`--config.data.sources` names the other four. Nothing has been measured with this file
yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.jigen(config)
    config.data.name = "nico_plus_plus"
    config.data.target = "autumn"  # or dim, grass, outdoor, rock, water
    config.data.stored_px = 256
    return apply_preset(config, preset)
