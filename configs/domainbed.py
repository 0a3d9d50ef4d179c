r"""PACS, VLCS, Office-Home or a folder of yours, with DomainBed's recipe.

    python -m jigsaw_shape.train --config configs/domainbed.py:erm \
        --config.data.name=vlcs --config.data.target=voc2007 \
        --config.data.source_dir=DIR --workdir=runs/domainbed/vlcs-erm-voc2007-s0

    python -m jigsaw_shape.benchmark --config configs/domainbed.py --targets all \
        --presets erm,jigen --out runs/domainbed/pacs --config.data.source_dir=DIR

The recipe is `recipes.domainbed`, whose docstring lists the departures, with batches of
3 x 32 images: of a data set with other than four domains give
`--config.data.batch_size`, 32 a source. DomainNet and TerraIncognita have files of
their own. *Published*, ResNet-50, average of the four targets of PACS, selected by
`val`: ERM 85.5 %, SWAD 88.1 %. Nothing has been measured with this file yet.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    recipes.domainbed(config, n_sources=3)
    config.data.name = "pacs"  # vlcs | office_home | a name of your own
    config.data.target = "sketch"  # of PACS
    config.data.stored_px = 256
    return apply_preset(config, preset)
