r"""Features for flat graphics: one thing drawn by two hands should be near.

    python -m jigsaw_shape.prepare emoji
    python -m jigsaw_shape.train --config configs/flat.py

The data, names and recipe of configs/emoji.py with everything else of this project:
every image beside itself in another style, an outline, another design's colours or
another design's amplitudes, both classified and held to the same answer; and beside it
a puzzle of which every tile wears a style of its own. Parts of it, to see what each
gives: `configs/flat.py:shape` without the puzzle, `configs/flat.py:fourier` without
consistency, `configs/flat.py:erm` without styles. Halfway back to the weights that it
started from, which keeps what they knew of photographs (WiSE-FT):

    python -m jigsaw_shape.average runs/emoji-styled_puzzle-openmoji-s0 \
        --from-initial 0.5 --out runs/flat

Nothing has been measured with this file yet; docs/flat.md has what has been.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "styled_puzzle"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 12

    config.data.name = "emoji"
    config.data.classes = "learned"
    config.data.sources = (
        "noto,noto_v1,twemoji,fluent_emoji,fluent_emoji_flat,emojione,emojione_v1,"
        "fxemoji"
    )
    config.data.target = "openmoji"
    config.data.split = "jigen"
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
    config = apply_preset(config, preset)
    if config.diversify.name == "fourier":
        config.diversify.name = "fourier,colour,edges"
    return config
