r"""Digits-DG, leave one domain out: small images, a small network from scratch.

    python -m jigsaw_shape.train --config configs/digits_dg.py:jigen \
        --config.data.target=svhn --config.data.source_dir=DIR

MNIST, MNIST-M, SVHN and SYN with 600 images of each digit in each (Zhou et al., AAAI
2020), in the split into train and val that they are distributed with. Images are
reduced to 30 px and not flipped: a mirrored digit is another sign. The recipe is this
project's own and nothing has been measured with it yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 50
    config.data.name = "digits_dg"
    config.data.target = "svhn"  # mnist | mnist_m | svhn | syn
    config.data.split = "official"
    config.data.stored_px = 32
    config.data.image_size = 30  # tiles of 10 px
    config.data.batch_size = 128
    config.augment.flip = 0.0
    config.model.encoder = "convnet"
    config.optim.name = "sgd"
    config.optim.lr = 0.05
    config.optim.weight_decay = 5e-4
    config.optim.step_at = (0.8,)
    return apply_preset(config, preset)
