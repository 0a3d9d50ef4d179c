"""Whether two observers err on the same images more often than by chance.

Geirhos, Meding & Wichmann, "Beyond accuracy: quantifying trial-by-trial behaviour of
CNNs and humans by measuring error consistency", NeurIPS 2020, section 2: Cohen's kappa
of right and wrong.
"""

from collections.abc import Sequence

import numpy as np

from jigsaw_shape.measures import intervals

Pairs = Sequence[tuple[int, int]]


def error_consistency(first: np.ndarray, second: np.ndarray) -> float:
    """Returns kappa (o - e) / (1 - e): 1 for the same errors, 0 for independent ones.

    o is how often both are right or both wrong, e how often they would be by chance,
    p1 p2 + (1 - p1)(1 - p2); 1 where o is 1.

    >>> right = np.array([True, True, False, False])
    >>> error_consistency(right, right), error_consistency(right, ~right)
    (1.0, -1.0)

    Args:
      first: bool [n], whether one observer is right on each image.
      second: bool [n], another on the same images.
    """
    weights = np.ones((1, len(first)))
    return float(_kappas(np.stack([first, second]), [(0, 1)], weights)[0, 0])


def mean_consistency(
    correct: np.ndarray, pairs: Pairs, *, seed: int = 0
) -> tuple[float, float, float]:
    """Returns the mean kappa over pairs and its 95 % interval over images.

    Args:
      correct: bool [observers, n], on the same images.
      pairs: Rows of `correct`, at least one pair.
      seed: Of the bootstrap.
    """
    n = correct.shape[1]
    mean = float(_kappas(correct, pairs, np.ones((1, n))).mean())
    low, high = intervals.of_statistic(
        lambda w: _kappas(correct, pairs, w).mean(1), n, seed=seed
    )
    return mean, low, high


def likeness(
    first: np.ndarray, others: np.ndarray, condition: np.ndarray | None = None
) -> dict[str, float]:
    """Returns how alike an observer and others err, as model-vs-human's benchmark does.

    Geirhos et al., "Partial success in closing the gap between human and machine
    vision", NeurIPS 2021: each number is of one condition and one of the others, then
    a mean over conditions and over the others.

    Args:
      first: bool [n], whether the observer is right on each image.
      others: bool [m, n], whether others are.
      condition: str [n], of each image; None for one condition.

    Returns:
      `accuracy_difference`, the square of the difference of two accuracies;
      `observed_consistency`, how often both are right or both wrong;
      `mean_error_consistency`, kappa; and `counted_accuracy`, the observer's own, over
      all images.
    """
    condition = np.zeros(len(first)) if condition is None else condition
    found = []
    for name in np.unique(condition):
        here = condition == name
        for other in others:
            a, b = first[here], other[here]
            found.append(
                ((a.mean() - b.mean()) ** 2, (a == b).mean(), error_consistency(a, b))
            )
    names = ("accuracy_difference", "observed_consistency", "mean_error_consistency")
    means = map(float, np.mean(found, axis=0))
    return {
        **dict(zip(names, means, strict=True)),
        "counted_accuracy": float(first.mean()),
    }


def _kappas(correct: np.ndarray, pairs: Pairs, weights: np.ndarray) -> np.ndarray:
    """Returns kappas [r, pairs] of images weighted by [r, n]."""
    correct = np.asarray(correct, bool)
    first, second = np.asarray(pairs).T
    total = weights.sum(1, keepdims=True)
    right = weights @ correct.T / total
    agree = (correct[first] == correct[second]).T.astype(np.float64)
    observed = weights @ agree / total
    p1, p2 = right[:, first], right[:, second]
    expected = p1 * p2 + (1 - p1) * (1 - p2)
    same = observed > 1 - 1e-12
    gap = np.where(same, 1, 1 - expected)
    return np.where(same, 1, (observed - expected) / gap)
