r"""DomainNet, leave one domain out, with DomainBed's recipe.

    python -m jigsaw_shape.train --config configs/domainnet.py:erm \
        --config.data.target=clipart --config.data.source_dir=DIR

345 classes in six domains (Peng et al., ICCV 2019), four of which are drawings. What
counts is what its lists name, `clipart_train.txt`, `clipart_test.txt` and so on, in DIR
or beside it: 586,575 images, as in DomainBed. Their split is
`--config.data.split=official`. The recipe is `recipes.domainbed` with batches of 5 x 32
images; others' are longer, `--config.steps=15000`. *Published*, ResNet-50, average of
the six targets: ERM 40.9 % (Gulrajani & Lopez-Paz, ICLR 2021), SWAD 46.5 %. Nothing has
been measured with this file yet; docs/scaling.md says what it would take.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.domainbed(config, n_sources=5)
    config.data.name = "domainnet"
    config.data.target = "clipart"  # or infograph, painting, quickdraw, real, sketch
    config.data.stored_px = 256
    return apply_preset(config, preset)
