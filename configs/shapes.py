r"""The embedded data set, drawn by the program: nothing to download, minutes on a CPU.

    python -m jigsaw_shape.train --config configs/shapes.py:shape

Eight silhouettes in four styles. In photo, painting and cartoon an object mostly wears
its class's own texture; these three are the sources. The target, sketch, has no
texture. Shape bias is measured on cue-conflict photos, whose shape and texture
disagree.

Measured on 2 CPU cores, jax 0.10.2 (2026-11-23 to -25), accuracy and shape bias in % at
the last step, mean +- standard error of three seeds; about a minute a run, two for
`shape`:

    preset   sketch         source val     shape bias
    erm      63.5 +- 2.0    92.9 +- 0.4    22.1 +- 0.2
    shape    72.1           91.9           45.9

All presets and ablations: docs/results.md.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset


def get_config(preset: str = "erm"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 12

    config.data.name = "shapes"
    config.data.target = "sketch"  # photo | painting | cartoon | sketch
    config.data.draw_seed = 0  # decides every picture
    config.data.n_per_class = 112  # of each of 8 classes in each of 4 domains
    config.data.texture_correlation = 0.95  # how often an object wears its own texture
    config.data.n_cue_conflict_per_class = 84
    config.data.stored_px = 64
    config.data.image_size = 60
    config.data.batch_size = 64

    config.model.encoder = "convnet"
    config.optim.name = "adamw"
    config.optim.lr = 2e-3
    config.optim.weight_decay = 1e-4
    config.optim.schedule = "cosine"
    config.optim.warmup = 0.05
    return apply_preset(config, preset)
