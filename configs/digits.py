r"""Digits from one source: MNIST, tested on SVHN, MNIST-M, USPS or SYN.

    python -m jigsaw_shape.train --config configs/digits.py:ddec \
        --config.data.target=svhn --config.data.source_dir=DIR

    python -m jigsaw_shape.benchmark --config configs/digits.py --presets erm,ddec \
        --targets svhn,mnist_m,usps,syn --out runs/digits --config.data.source_dir=DIR

DIR holds folders mnist, svhn, mnist_m, usps and syn, each with folders 0 to 9. The run
trains on `mnist` and tests on the others. The papers train on its first 10,000 images
and test on the others' test parts: a list of these in place of DIR, with
`--config.data.split=official`, does the same (docs/data.md has the script). The recipe
is that of Volpi et al., NeurIPS 2018, as in the code of Qiao et al., CVPR 2020: Adam
1e-4, batch 32, 10,000 steps, no augmentation. Departure: their images are 32 px, here
30, in tiles of 10. Grey digits are read as RGB.

*Published*, MNIST to SVHN: DDEC 53.7 % (Asadi et al., arXiv 1909.08245). Nothing has
been measured with this file yet.

With one source, styles must be external or random: use `ddec`, `sin` or `randconv`.
`fourier` and `shape` are refused without `--config.diversify.external='(1.0,)'`, and
`dann` is without `--config.data.setting=adaptation`, where the target is a domain too.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 0
    config.steps = 10_000
    config.data.name = "digits"
    config.data.sources = "mnist"
    config.data.target = "svhn"  # mnist_m | svhn | syn | usps
    config.data.stored_px = 32
    config.data.image_size = 30
    config.data.batch_size = 32
    config.augment.crop_scale = (1.0, 1.0)
    config.augment.crop_ratio = (1.0, 1.0)
    config.augment.flip = 0.0  # a mirrored digit is another sign
    config.augment.brightness = 0.0
    config.augment.contrast = 0.0
    config.augment.saturation = 0.0
    config.augment.hue = 0.0
    config.augment.tile_grayscale = 0.0
    config.model.encoder = "digits"
    config.optim.name = "adamw"
    config.optim.lr = 1e-4
    config.optim.weight_decay = 0.0
    config.optim.schedule = "constant"
    config = apply_preset(config, preset)
    # Tiles of 10 px are too small for AdaIN, images of 30 px are not.
    config.diversify.enlarge_tiles = True
    return config
