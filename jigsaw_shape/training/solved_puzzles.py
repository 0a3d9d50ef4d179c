"""Validation images as puzzles, and put together as the network answers."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.models.assignment import place_tiles
from jigsaw_shape.pixels import puzzle, resampling, shortcuts
from jigsaw_shape.training.predict import PredictFn, predict_all

Row = tuple[str, np.ndarray, Sequence[str]]  # of `reports.figures.sheet`


def solved_puzzles(
    predict_fn: PredictFn,
    store: ImageStore,
    indices: np.ndarray,
    config: ConfigDict,
    permutations: np.ndarray,
) -> list[Row]:
    """Returns rows of pictures: images as shuffled, and put together by the answers.

    Args:
      predict_fn: See `predict.make_predict_fn`.
      store: Where the images are.
      indices: int64 [n], of the images; image i gets order i + 1, as far as there are.
      config: The run's.
      permutations: int32 [K + 1, T].
    """
    n_tiles = permutations.shape[1]
    orders = np.arange(len(indices)) % (len(permutations) - 1) + 1
    outputs = predict_all(
        predict_fn,
        store,
        indices,
        batch_size=config.eval.batch_size,
        orders=orders.astype(np.int32),
    )
    answered = answered_permutations(outputs, permutations, config.jigsaw)
    n_right = (answered == permutations[orders]).sum(-1)
    stored = jnp.asarray(np.stack([store.dataset.read(i) for i in indices]))
    shuffled = shortcuts.as_puzzles(
        resampling.resize(stored, config.data.image_size),
        config.jigsaw.grid,
        orders,
        permutations,
        shortcuts.at_evaluation(config.jigsaw),
    ).images
    tiles = puzzle.cut_tiles(shuffled, config.jigsaw.grid)
    restored = puzzle.permute_tiles(tiles, jnp.asarray(np.argsort(answered, -1)))
    titles = ["solved" if n == n_tiles else f"{n} of {n_tiles}" for n in n_right]
    return [
        ("shuffled", np.asarray(shuffled), [f"order {order}" for order in orders]),
        ("answered", np.asarray(puzzle.join_tiles(restored)), titles),
    ]


def answered_permutations(outputs, permutations, jigsaw: ConfigDict) -> np.ndarray:
    """Returns the permutation that the head names for each image: int32 [n, T].

    Args:
      outputs: Of the network, by head.
      permutations: int32 [K + 1, T].
      jigsaw: `config.jigsaw`.
    """
    if jigsaw.all_permutations:
        return place_tiles(outputs["jigsaw_positions"])
    return permutations[outputs["jigsaw"].argmax(-1)]
