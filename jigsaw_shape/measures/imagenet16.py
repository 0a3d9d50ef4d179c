"""From ImageNet's 1,000 classes to 16 everyday categories.

Geirhos et al., "Generalisation in humans and deep neural networks", NeurIPS 2018 (the
classes of each category), and "ImageNet-trained CNNs are biased towards texture", ICLR
2019 (the mean of their probabilities). 207 of the classes belong to a category.
"""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np

N_CLASSES = 1000

# Category -> indices of ImageNet-1k (ILSVRC 2012, sorted by WordNet id).
_RANGES = {
    "airplane": "404",
    "bear": "294-297",
    "bicycle": "444 671",
    "bird": "8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145",
    "boat": "472 554 625 814 914",
    "bottle": "440 720 737 898-899 901 907",
    "car": "436 511 817",
    "cat": "281-286",
    "chair": "423 559 765 857",
    "clock": "409 530 892",
    "dog": "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268",
    "elephant": "385-386",
    "keyboard": "508 878",
    "knife": "499",
    "oven": "766",
    "truck": "555 569 656 675 717 734 864 867",
}


def _indices(ranges: str) -> tuple[int, ...]:
    ends = [tuple(map(int, part.split("-"))) for part in ranges.split()]
    return tuple(i for low, *high in ends for i in range(low, (high or [low])[0] + 1))


INDICES = MappingProxyType({name: _indices(text) for name, text in _RANGES.items()})
CATEGORIES = tuple(INDICES)


def category_scores(scores: np.ndarray) -> np.ndarray:
    """Returns the logarithm of each category's mean probability: float32 [n, 16].

    The mean, not the sum, of the probabilities over all 1,000 classes: a category of
    many classes has no advantage.

    Args:
      scores: float [n, 1000], logits or probabilities (see `log_probabilities`).
    """
    return mean_log_probabilities(scores, tuple(INDICES.values()))


def mean_log_probabilities(
    scores: np.ndarray, groups: Sequence[Sequence[int]]
) -> np.ndarray:
    """Returns the logarithm of the mean probability of groups of classes.

    Args:
      scores: float [n, classes], logits or probabilities (see `log_probabilities`).
      groups: The classes of each group, at least one.

    Returns:
      float32 [n, groups].
    """
    logs = log_probabilities(scores)
    columns = [
        np.logaddexp.reduce(logs[:, list(indices)], 1) - np.log(len(indices))
        for indices in groups
    ]
    return np.stack(columns, 1).astype(np.float32)


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Returns logarithms of probabilities: float64 [n, classes].

    Scores of at least 0 whose rows all sum to 1 are taken as probabilities, which a
    trained classifier's logits never are by chance; others go through a softmax.

    Args:
      scores: float [n, classes].
    """
    scores = np.asarray(scores, np.float64)
    sums_to_1 = np.allclose(scores.sum(1), 1, atol=1e-3)
    if scores.size and scores.min() >= 0 and sums_to_1:
        return np.log(np.maximum(scores, np.finfo(np.float64).tiny))
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
