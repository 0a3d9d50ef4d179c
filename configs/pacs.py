r"""PACS, leave one domain out, with JiGen's recipe for a ResNet-18.

    python -m jigsaw_shape.train --config configs/pacs.py:jigen \
        --config.data.target=sketch --config.data.source_dir=DIR

The preset after the colon is a key of `jigsaw_shape.presets.PRESETS`, `erm` without
one. The recipe, `recipes.jigen`, is that of Carlucci et al., CVPR 2019, section 4. It
has not been run to its end with this project. *Published*, average of the four targets:
DeepAll (our `erm`) 79.05 %, JiGen 80.51 %, DDEC (Asadi et al., arXiv 1909.08245) 84.46
%.

Measured with this file and the flags below, accuracy on `sketch` at the last step:

- 2 CPU cores, 84 px, 3 epochs, 4 to 6.5 minutes a run, two seeds (2026-11-26):
  `erm` 62.7 +- 0.1 %, `jigen` 63.0 +- 1.1 %, `shape` 65.0 +- 0.4 %.

      --config.model.encoder=efficientnet_lite0 \
      --config.model.init=pretrained:efficientnet_lite0 \
      --config.data.image_size=84 --config.data.batch_size=64 \
      --config.optim.lr=0.01 --config.epochs=3

- One H200, 222 px, 1,500 steps, eight runs at once in 9.5 minutes, seed 0 (2026-11-26):
  `erm` 77.2 %, `shape` 79.3 %.

      --config.model.encoder=efficientnet_lite0 \
      --config.model.init=pretrained:efficientnet_lite0 \
      --config.model.dtype=bfloat16 --config.optim.lr=0.01 \
      --config.steps=1500 --config.epochs=0

All targets, seeds and presets: docs/results.md.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.jigen(config)
    config.data.name = "pacs"
    config.data.target = "sketch"  # art_painting | cartoon | photo | sketch
    config.data.stored_px = 227  # as PACS is distributed
    return apply_preset(config, preset)
