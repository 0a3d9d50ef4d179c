"""PACS, leave one domain out, with JiGen's recipe for a ResNet-18.

    python -m jigsaw_shape.train --config configs/pacs.py:jigen \
        --config.data.target=sketch --config.model.init=resnet18.pth

The preset after the colon is one of `jigsaw_shape.presets.PRESETS`; `erm` without one.
Carlucci et al., CVPR 2019: SGD 1e-3, batch 128, 30 epochs, x0.1 at epoch 24, 222 px,
ImageNet weights, 10 % of each source held out. Their numbers, and what was measured
with this project, stand side by side in docs/results.md.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.data.name = "pacs"
    config.data.target = "sketch"  # art_painting | cartoon | photo | sketch
    return apply_preset(config, preset)
