"""The embedded data set, drawn by the program: nothing to download, minutes on a CPU.

    python -m jigsaw_shape.train --config configs/shapes.py:jigen

Eight silhouettes in four styles; in the three that show texture an object mostly wears
its class's own. Trained on photo, painting and cartoon, tested on sketch, which has no
texture, and on cue-conflict photos, whose shape and texture disagree. Measured with
`erm` on 2 CPU cores, jax 0.10.2, three seeds: sketch 63.5 +- 2.0 %, source validation
92.9 +- 0.4 %, shape bias 22.1 +- 0.2 %; the other presets, and the time that the demo
takes for two such runs, are in docs/results.md.
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
