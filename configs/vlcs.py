r"""VLCS, leave one domain out, with the recipe of configs/pacs.py.

    python -m jigsaw_shape.train --config configs/vlcs.py:jigen \
        --config.data.target=voc2007 --config.data.source_dir=DIR

Caltech101, LabelMe, SUN09 and VOC2007 with five classes (1,415, 2,656, 3,282 and 3,376
images, as DomainBed distributes them). Their sizes differ: when they are prepared,
images are squashed to squares of 256 px. *Published*, AlexNet, average of the four
targets: JiGen 75.14 %, DDEC 75.79 %. Nothing has been measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "vlcs"
    config.data.target = "voc2007"  # caltech101 | labelme | sun09 | voc2007
    config.data.stored_px = 256

    # The recipe of configs/pacs.py.
    config.epochs = 30
    config.data.split = "jigen"  # 10 % of each source is held out for validation
    config.data.image_size = 222  # tiles of 74 px
    config.data.batch_size = 128
    config.model.encoder = "resnet18"
    config.model.init = "torchvision:resnet18.IMAGENET1K_V1"
    config.optim.lr = 1e-3
    config.optim.weight_decay = 5e-4
    config.optim.step_at = (0.8,)  # x0.1 at epoch 24
    return apply_preset(config, preset)
