r"""One thing, many hands: names of emoji in eleven designs, names and design unseen.

    python -m jigsaw_shape.prepare emoji
    python -m jigsaw_shape.train --config configs/emoji.py:erm

A class is a name, a domain a design. As it stands, a run learns the shaded and the flat
designs, and of the names those that the rule of docs/flat.md does not hold out. What it
finds among the names and designs that it never saw:

    python -m jigsaw_shape.evaluate --suite retrieval --out OUT \
        --model runs/emoji-erm-openmoji-s0 --data held_out=DIR

with the folder of drawings that `prepare` names. Leave one design out, all names
learned, as with PACS (a design's twins have to go with it, see docs/flat.md):

    --config.data.classes= --config.data.sources= --config.data.target=openmoji

A name has one image in a design, so accuracy on `val` is that on names which other
designs have shown. Figures, hardware and time: docs/flat.md.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 12
    recipes.emoji(config)
    return apply_preset(config, preset)
