"""Shape bias from decisions on cue-conflict images.

Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019, sec. 2.
"""

from collections.abc import Iterator

import numpy as np

from jigsaw_shape.measures import intervals


def shape_bias(
    decisions: np.ndarray, shape: np.ndarray, texture: np.ndarray
) -> dict[str, float]:
    """Returns shape bias S / (S + T), pooled over images, and its parts.

    S counts the decisions that name the shape's class, T those that name the
    texture's; images whose two classes agree are left out. A bias over few decided
    images means little, so `shape_accuracy` S / n, `texture_accuracy` T / n and `n`
    stand beside it. `shape_bias` is nan where nothing was decided for either cue.

    Args:
      decisions: [n], the class answered for each image, as a number or a name.
      shape: [n], the class of its shape.
      texture: [n], the class of its texture.
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


def by_image(
    decisions: np.ndarray, shape: np.ndarray, texture: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what each image adds to S and to S + T: int64 [n] each.

    Args:
      decisions: str [observers, n].
      shape: str [n].
      texture: str [n].
    """
    by_shape = ((decisions == shape) & (shape != texture)).sum(0)
    by_texture = ((decisions == texture) & (shape != texture)).sum(0)
    return by_shape, by_shape + by_texture


def shape_bias_rows(
    decisions: np.ndarray, shape: np.ndarray, texture: np.ndarray, *, seed: int = 0
) -> Iterator[dict]:
    """Yields the measures of `shape_bias` over all images, then for each shape's class.

    Each with `low` and `high`, the ends of the bias's 95 % bootstrap interval over
    images, and all but the first with `category`. Several observers of the same images
    are pooled over trials; an image is then drawn with all of its trials.

    Args:
      decisions: str [n], or [observers, n].
      shape: str [n].
      texture: str [n].
      seed: Of the bootstrap.
    """
    decisions = np.atleast_2d(decisions)
    for category in (None, *np.unique(shape)):
        chosen = np.ones(len(shape), bool) if category is None else shape == category
        answers, s, t = decisions[:, chosen], shape[chosen], texture[chosen]
        pooled = (np.tile(cue, len(answers)) for cue in (s, t))
        row = shape_bias(answers.ravel(), *pooled)
        low, high = intervals.interval(*by_image(answers, s, t), seed=seed)
        row |= {"low": low, "high": high}
        yield row if category is None else {"category": str(category), **row}
