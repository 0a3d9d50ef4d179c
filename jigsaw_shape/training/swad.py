"""SWAD's window: which part of a run its weights should be averaged over."""

from collections.abc import Sequence

import numpy as np


def window(
    losses: Sequence[float],
    n_converge: int = 3,
    n_tolerance: int = 6,
    tolerance: float = 1.3,
) -> tuple[int, int]:
    """Returns the first and the last evaluation of the window, both inside.

    Cha et al., SWAD, NeurIPS 2021, algorithm 1. It begins at the first validation loss
    that none of the `n_converge - 1` next ones is below: the run has converged. It ends
    before the first `n_tolerance` losses in a row that are all above `tolerance` times
    the mean of the `n_converge` losses that it began with: the run overfits; or with
    the run. A run whose loss falls to its end has the last `n_converge` evaluations
    (in their code the last one alone; that also takes up to two segments before the
    first loss).

    Args:
      losses: The validation loss at each evaluation, at least one.
      n_converge: N_s in the paper.
      n_tolerance: N_e in the paper.
      tolerance: r in the paper.
    """
    losses = np.asarray(losses)
    n = len(losses)
    for first in range(n - n_converge + 1):
        begun_with = losses[first : first + n_converge]
        if begun_with.argmin() == 0:
            break
    else:
        return max(n - n_converge, 0), n - 1
    limit = tolerance * begun_with.mean()
    for after in range(first + 1, n - n_tolerance + 1):
        has_begun = after + n_tolerance > first + n_converge
        if has_begun and (losses[after : after + n_tolerance] > limit).all():
            return first, after - 1
    return first, n - 1
