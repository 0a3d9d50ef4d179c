r"""A data set of your own, `DIR/{domain}/{class}/*`, with the recipe for PACS.

    python -m jigsaw_shape.train --config configs/folder.py:jigen \
        --config.data.source_dir=DIR --config.data.target=clipart

`--config.data.name` is what rows call the data set and where the prepared images are
kept. The domains and classes are the folders that are found. What to expect depends on
your images: configs/pacs.py has what was measured on PACS. With a few hundred images a
domain, on 2 CPU cores, use its flags for 84 px.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "mine"
    config.data.target = "sketch"  # a folder of DIR
    config.data.stored_px = 256  # images are squashed to squares of this side, once

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
