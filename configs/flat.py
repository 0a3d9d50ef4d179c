r"""The encoder `flat`: one thing drawn by two hands is near, for flat graphics.

    python -m jigsaw_shape.prepare emoji
    for seed in 0 1; do
      python -m jigsaw_shape.train --config configs/flat.py --config.seed=$seed \
        --workdir runs/flat-$seed
    done
    python -m jigsaw_shape.average runs/flat-0 runs/flat-1 --from-initial 0.8 \
      --out runs/flat

The data and names of configs/emoji.py. Two of three images are redrawn: in another
design's colours or amplitudes, as outlines, or as black on white, and all are
classified. The head learns first, so that the encoder does not follow random answers
(Kumar et al., ICLR 2022), and averaging goes a fifth of the way back to ImageNet's
weights, which keeps much of what they knew of photographs (WiSE-FT). Variants, to see
what each gives: `configs/emoji.py:erm` without any, `configs/flat.py:puzzle` with a
puzzle beside it, `configs/flat.py:shape` with consistency,
`--config.losses.distillation=4` held to ImageNet's weights. docs/flat.md has what was
measured.
"""

from jigsaw_shape.config import default_config
from jigsaw_shape.presets import apply_preset, recipes


def get_config(preset: str = "fourier"):
    """Returns the configuration for `preset`."""
    config = default_config()
    config.epochs = 14
    recipes.emoji(config)
    config.augment.brightness = 0.1  # designs stand on white
    config.augment.contrast = 0.2
    config.augment.saturation = 0.8
    config.augment.hue = 0.5
    config.optim.heads_first = 0.15
    config = apply_preset(config, preset)
    if config.diversify.name == "fourier" or preset == "puzzle":
        config.diversify.name = "colour,edges,two_tone,fourier"
        config.diversify.weakest = (0.5,)
    if preset in ("fourier", "puzzle"):
        config.diversify.p_ordered = (0.67,)
    return config
