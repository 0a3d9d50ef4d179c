"""SWAD's window: which part of a run its weights should be averaged over."""

from collections.abc import Sequence

import numpy as np

_N_CONVERGE, _N_TOLERANCE, _TOLERANCE = 3, 6, 1.3  # N_s, N_e and r in the paper


def window(losses: Sequence[float]) -> tuple[int, int]:
    """Returns the first and the last evaluation of the window, both inside.

    Cha et al., SWAD, NeurIPS 2021, algorithm 1. It begins at the first validation loss
    that none of the two next ones is below: the run has converged. It ends before the
    first six losses in a row that are all above 1.3 times the mean of the three losses
    that it began with: the run overfits; or with the run. A run whose loss falls to its
    end has the last three evaluations (in their code the last one alone; that also
    takes up to two segments before the first loss).

    Departure: a run of this project evaluates the mean of a segment's weights, so its
    losses are of these; in their code they are of the segment's last weights.

    Args:
      losses: The validation loss at each evaluation, at least one.
    """
    losses = np.asarray(losses)
    n = len(losses)
    for first in range(n - _N_CONVERGE + 1):
        begun_with = losses[first : first + _N_CONVERGE]
        if begun_with.argmin() == 0:
            break
    else:
        return max(n - _N_CONVERGE, 0), n - 1
    limit = _TOLERANCE * begun_with.mean()
    for after in range(first + 1, n - _N_TOLERANCE + 1):
        has_begun = after + _N_TOLERANCE > first + _N_CONVERGE
        if has_begun and (losses[after : after + _N_TOLERANCE] > limit).all():
            return first, after - 1
    return first, n - 1
