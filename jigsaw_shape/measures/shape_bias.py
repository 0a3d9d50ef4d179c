"""Shape bias from decisions on cue-conflict images.

Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019, sec. 2.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from jigsaw_shape.measures import intervals


def shape_bias(
    decisions: np.ndarray, shape: np.ndarray, texture: np.ndarray
) -> dict[str, float]:
    """Returns shape bias S / (S + T), pooled over images, and its parts.

    S counts the decisions that name the shape's class, T those that name the
    texture's; images whose two classes agree are left out. A bias over few decided
    images means little, so `shape_accuracy` S / n, `texture_accuracy` T / n and `n`
    stand beside it. `shape_bias` is nan where nothing was decided for either cue.

    >>> decisions = np.array(["cat", "dog", "cup"])
    >>> found = shape_bias(decisions, np.array(["cat"] * 3), np.array(["dog"] * 3))
    >>> found["shape_bias"], found["n"]
    (0.5, 3)

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

    Each with `neither`, the share that named neither class, and `low` and `high`, the
    ends of the bias's 95 % bootstrap interval over images; all but the first with
    `category`. Several observers of the same images
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
        row["neither"] = 1 - row["shape_accuracy"] - row["texture_accuracy"]
        row |= {"low": low, "high": high}
        yield row if category is None else {"category": str(category), **row}


def class_ranks(
    scores: np.ndarray, groups: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """Returns the place of each class, or of the best class of each group, from 1.

    Classes of equal score share the mean of their places.

    Args:
      scores: float [n, classes].
      groups: Numbers of classes; None: each class by itself.

    Returns:
      float32 [n, classes] or [n, groups].
    """
    ranks = stats.rankdata(-np.asarray(scores), axis=1)
    if groups is not None:
        ranks = np.stack([ranks[:, list(group)].min(1) for group in groups], 1)
    return ranks.astype(np.float32)


def reciprocal_ranks(
    ranks: np.ndarray, names: Sequence[str], shape: np.ndarray, texture: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns 1 / rank of each image's shape and of its texture: float64 [n] each.

    Their means are the mean reciprocal ranks (arXiv 2603.10834): how near either class
    is to being answered, where another one is.

    Args:
      ranks: float [n, answers], see `class_ranks`.
      names: Of the answers; every shape and texture is among them.
      shape: str [n].
      texture: str [n].
    """
    column = {name: number for number, name in enumerate(names)}
    rows = np.arange(len(ranks))
    by_shape, by_texture = (
        1 / np.float64(ranks[rows, [column[name] for name in cue]])
        for cue in (shape, texture)
    )
    return by_shape, by_texture
