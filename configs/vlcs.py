r"""VLCS, leave one domain out, with JiGen's recipe.

    python -m jigsaw_shape.train --config configs/vlcs.py:jigen \
        --config.data.target=voc2007 --config.data.source_dir=DIR

Caltech101, LabelMe, SUN09 and VOC2007 with five classes (1,415, 2,656, 3,282 and 3,376
images, as DomainBed distributes them). Their sizes differ: when they are prepared,
images are squashed to squares of 256 px. *Published*, AlexNet, average of the four
targets: JiGen 75.14 %, DDEC 75.79 %. Nothing has been measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.jigen(config)
    config.data.name = "vlcs"
    config.data.target = "voc2007"  # caltech101 | labelme | sun09 | voc2007
    config.data.stored_px = 256
    return apply_preset(config, preset)
