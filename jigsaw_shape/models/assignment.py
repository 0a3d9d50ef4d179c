"""Which tile stands at which place, as a matrix of probabilities.

T scores for each of T places become log probabilities whose rows and columns both sum
to one (Sinkhorn), as Mena et al., Learning latent permutations with Gumbel-Sinkhorn
networks, ICLR 2018, section 3, have it, without their noise.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

_N_ROUNDS = 20  # Mena et al. take 20; rows end exact, columns to about 1e-3


def sinkhorn(scores: jax.Array, n_rounds: int = _N_ROUNDS) -> jax.Array:
    """Returns log probabilities of tiles at places: float32 [B, T, T].

    Columns and rows are normalized in turn, rows last: row t sums to one exactly, a
    column u to within what so many rounds leave.

    Args:
      scores: float32 [B, T, T], of original tile u at place t.
      n_rounds: Of normalizing both.
    """
    for _ in range(n_rounds):
        scores = jax.nn.log_softmax(scores, axis=-2)
        scores = jax.nn.log_softmax(scores, axis=-1)
    return scores


def order_scores(
    positions: jax.Array, permutations: Sequence[Sequence[int]]
) -> jax.Array:
    """Returns the score of each order of a set: float32 [B, K + 1].

    The sum over the places of the log probability of the tile that the order puts
    there.

    Args:
      positions: float32 [B, T, T], of `sinkhorn`.
      permutations: [K + 1, T], see `pixels.puzzle`.
    """
    chosen = jnp.asarray(permutations)
    return positions[:, jnp.arange(chosen.shape[1]), chosen].sum(-1)


def place_tiles(positions: np.ndarray) -> np.ndarray:
    """Returns the most probable permutation of each image: int32 [B, T].

    Over all T! of them, by the Hungarian method (Kuhn, 1955), as scipy has it.

    Args:
      positions: float32 [B, T, T], of `sinkhorn`.
    """
    rows = [optimize.linear_sum_assignment(-matrix)[1] for matrix in positions]
    return np.asarray(rows, np.int32)
