"""Shape bias from decisions on cue-conflict images.

Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019, sec. 2.
"""

import numpy as np


def shape_bias(
    decisions: np.ndarray, shape: np.ndarray, texture: np.ndarray
) -> dict[str, float]:
    """Returns shape bias S / (S + T), pooled over images, and its parts.

    S counts the decisions that name the shape's class, T those that name the
    texture's; images whose two classes agree are left out. A bias over few decided
    images means little, so `shape_accuracy` S / n, `texture_accuracy` T / n and `n`
    stand beside it. `shape_bias` is nan where nothing was decided for either cue.

    Args:
      decisions: int [n], the class answered for each image.
      shape: int [n], the class of its shape.
      texture: int [n], the class of its texture.
    """
    conflict = shape != texture
    n = int(conflict.sum())
    by_shape = int((conflict & (decisions == shape)).sum())
    by_texture = int((conflict & (decisions == texture)).sum())
    decided = by_shape + by_texture
    return {
        "shape_bias": by_shape / decided if decided else float("nan"),
        "shape_accuracy": by_shape / n if n else float("nan"),
        "texture_accuracy": by_texture / n if n else float("nan"),
        "n": n,
    }
