r"""NICO++, leave one domain out, with the recipe of its authors' code.

    python -m jigsaw_shape.train --config configs/nico_plus_plus.py:erm \
        --config.data.target=autumn --config.data.source_dir=DIR

88,866 images of 60 classes, each in six surroundings (Zhang et al., CVPR 2023; the
labelled images of its challenge of 2022, folders DOMAIN/CLASS). When they are prepared,
images are squashed to squares of 256 px. Where its lists, `autumn_train.txt`,
`autumn_test.txt` and so on, are in DIR or beside it, their split is
`--config.data.split=official`. The paper leaves out two domains at a time:
`--config.data.sources` names the other four, with `--config.data.batch_size=128`.

The recipe is that of the paper's code (github.com/xxgege/NICO-plus) with its
`--pretrain`, without which it begins with random weights. It is DomainBed's but for
these defaults: crops of 80 % or more, no jitter, 30 % grey, a cosine. Departures beside
those of `recipes.domainbed`: their cosine falls from epoch to epoch, and they validate
on lists of their own. Nothing has been measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.domainbed(config, n_sources=5)
    config.data.name = "nico_plus_plus"
    config.data.target = "autumn"  # or dim, grass, outdoor, rock, water
    config.data.stored_px = 256
    config.augment.crop_scale = (0.8, 1.0)
    config.augment.brightness = 0.0
    config.augment.contrast = 0.0
    config.augment.saturation = 0.0
    config.augment.hue = 0.0
    config.augment.tile_grayscale = 0.3
    config.optim.schedule = "cosine"
    return apply_preset(config, preset)
