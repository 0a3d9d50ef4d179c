"""Digits-DG, leave one domain out: small images, a small network from scratch.

    python -m jigsaw_shape.train --config configs/digits_dg.py:jigen \
        --config.data.target=svhn --config.data.source_dir=DIR

MNIST, MNIST-M, SVHN and SYN, 600 images of each digit in each (Zhou et al., AAAI 2020),
with its own split into train and val. A mirrored digit is another sign, so nothing is
flipped.
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
    config.data.image_size = 30
    config.augment.flip = 0.0
    config.model.encoder = "convnet"
    config.optim.lr = 0.05
    return apply_preset(config, preset)
