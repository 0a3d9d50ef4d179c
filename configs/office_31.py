r"""Office-31, leave one domain out, with JiGen's recipe.

    python -m jigsaw_shape.train --config configs/office_31.py:jigen \
        --config.data.target=webcam --config.data.source_dir=DIR

Amazon, DSLR and Webcam with 31 classes (2,817, 498 and 795 images), as folders
`{domain}/images/{class}`. When they are prepared, images are squashed to squares of 256
px. Nothing has been measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.jigen(config)
    config.data.name = "office_31"
    config.data.target = "webcam"  # amazon | dslr | webcam
    config.data.stored_px = 256
    return apply_preset(config, preset)
