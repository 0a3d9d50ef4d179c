r"""TerraIncognita, leave one domain out, with DomainBed's recipe.

    python -m jigsaw_shape.train --config configs/terra_incognita.py:erm \
        --config.data.target=location_100 --config.data.source_dir=DIR

Four camera traps and ten classes, nine animals and `empty`, as DomainBed distributes
them (4,741, 9,736, 3,970 and 5,883 images of locations 100, 38, 43 and 46). When they
are prepared, images are squashed to squares of 256 px. The recipe is
`recipes.domainbed` with batches of 3 x 32 images. *Published*, ResNet-50, average of
the four targets: ERM 46.1 % (Gulrajani & Lopez-Paz, ICLR 2021), SWAD 50.0 %. Nothing
has been measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.domainbed(config, n_sources=3)
    config.data.name = "terra_incognita"
    config.data.target = "location_100"  # or location_38, location_43, location_46
    config.data.stored_px = 256
    return apply_preset(config, preset)
