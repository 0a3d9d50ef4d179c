"""The configural shape score: pairs of which both are recognized.

Doshi et al., "Visual Anagrams Reveal Hidden Differences in Holistic Shape Processing
Across Vision Models", NeurIPS 2025 (arXiv 2507.00493).
"""

from types import MappingProxyType

import numpy as np

# Category -> indices of ImageNet-1k: Table 2 of the paper, after Baker & Elder (2022).
ANIMALS = MappingProxyType(
    {
        "bear": range(294, 298),
        "bunny": range(330, 333),
        "cat": range(281, 286),
        "elephant": (101, 385, 386),
        "frog": range(30, 33),
        "lizard": range(38, 49),
        "tiger": range(286, 294),
        "turtle": range(33, 38),
        "wolf": range(269, 276),
    }
)


def animal_scores(scores: np.ndarray) -> np.ndarray:
    """Returns the largest score of each category's classes, as published: [n, 9].

    Args:
      scores: float [n, 1000], of ImageNet's classes.
    """
    columns = [scores[:, list(indices)].max(1) for indices in ANIMALS.values()]
    return np.stack(columns, axis=1)


def both_right(correct: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Returns which pairs have two right answers: bool [P]. Their share is the score.

    Args:
      correct: bool [n], by image.
      pairs: int [P, 2], the images of each.
    """
    return correct[pairs].all(axis=1)
