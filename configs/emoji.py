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
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 12

    config.data.name = "emoji"
    config.data.classes = "learned"
    config.data.sources = (
        "noto,noto_v1,twemoji,fluent_emoji,fluent_emoji_flat,emojione,emojione_v1,"
        "fxemoji"
    )
    config.data.target = "openmoji"  # fluent_emoji_high_contrast | emojione_monotone
    config.data.split = "jigen"  # 10 % of each source is held out for validation
    config.data.stored_px = 112
    config.data.image_size = 96  # tiles of 32 px
    config.data.batch_size = 64

    config.augment.crop_scale = (0.6, 1.0)

    config.model.encoder = "efficientnet_lite0"
    config.model.init = "pretrained:efficientnet_lite0"

    config.optim.lr = 0.02
    config.optim.weight_decay = 5e-4
    config.optim.schedule = "cosine"
    config.optim.warmup = 0.05
    return apply_preset(config, preset)
