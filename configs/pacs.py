"""PACS, leave one domain out, with JiGen's recipe for a ResNet-18.

    python -m jigsaw_shape.train --config configs/pacs.py:jigen \
        --config.data.target=sketch

The preset after the colon is one of `jigsaw_shape.presets.PRESETS`; `erm` without one.
Carlucci et al., CVPR 2019: SGD 1e-3, batch 128, 30 epochs, x0.1 at epoch 24, 222 px,
10 % of each source held out; torchvision's ImageNet weights, fetched on first use. What
was measured with this project is in docs/results.md.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "pacs"
    config.data.target = "sketch"  # art_painting | cartoon | photo | sketch
    config.model.init = "torchvision:resnet18.IMAGENET1K_V1"
    return apply_preset(config, preset)
