"""VLCS, leave one domain out, with the recipe of configs/pacs.py.

    python -m jigsaw_shape.train --config configs/vlcs.py:jigen \
        --config.data.target=voc2007 --config.data.source_dir=DIR

Caltech101, LabelMe, SUN09 and VOC2007 with five classes (1,415, 2,656, 3,282 and 3,376
images, as DomainBed distributes them). The images differ in size: they are squashed to
256 px squares once, when read. JiGen's own numbers on VLCS are AlexNet's.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "vlcs"
    config.data.target = "voc2007"  # caltech101 | labelme | sun09 | voc2007
    config.data.stored_px = 256
    config.model.init = "torchvision:resnet18.IMAGENET1K_V1"
    return apply_preset(config, preset)
