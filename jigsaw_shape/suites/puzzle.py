"""The suite `puzzle`: what is left of a model's answers when the parts move.

Cut into a grid of tiles that trade places, an image keeps its textures and loses its
shape: a model that keeps its accuracy reads texture (Brendel & Bethge, "Approximating
CNNs with bag-of-local-features models", ICLR 2019, section 4). Where a model has a head
for the puzzle, it is asked for the order of shuffled images apart from ordered ones:
one that always says "ordered" is right on most of a mixed stream.
"""

from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import PLAIN, Outputs, Probe, Suite
from jigsaw_shape.measures import intervals
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.training import predict

_GRIDS = (2, 3, 4, 5, 6, 8)
_LEAST_TILE_PX = 8  # smaller tiles hold no texture
_N_PAIRS = 10  # of confused orders in the rows
_ORDER_SEED = 0
_HEAD_PROBE = "puzzle/head"


def make_suite(size_px: int, permutations: np.ndarray | None = None) -> Suite:
    """Returns the suite of shuffled images, and of the puzzle's own head.

    Rows of condition `shuffled`: `level`, tiles a side, 1 for whole images; `accuracy`
    with `low` and `high`, the ends of its 95 % interval; `n`. No tile stays in its
    place, and an image's arrangement follows from its key and the grid alone.

    With `permutations` also, of condition `jigsaw`: `ordered_accuracy` on whole images;
    `shuffled_accuracy`, with `low` and `high`, on images in one order each of 1 to K,
    decided by the image's index; `chance`, 1 / (K + 1); `share_ordered`, how often
    shuffled images are called ordered; `wrong_distance`, the mean Hamming distance
    between the true and the answered order where that is wrong, beside
    `pair_distance`, its mean over all pairs: the lower of the two says whether near
    orders are taken for each other; `confusion`, counts [K + 1][K + 1], true orders
    down, of the whole images and the shuffled ones. And, one a row of condition
    `jigsaw_pair`, the most confused pairs: `orders`, both; `count`, of wrong answers
    in both directions; `distance`, theirs.

    `scores` are right answers: by `shuffled/GRID`, and by `jigsaw` the shuffled orders.

    Args:
      size_px: The side of the squares that the model sees; it decides the grids.
      permutations: int32 [K + 1, T] of a model with a head for the puzzle; else None.
    """
    sizes = grids(size_px)
    probes = [PLAIN, *(Probe(f"puzzle/{g}", _shuffler(g)) for g in sizes)]
    if permutations is not None:
        n_orders = len(permutations)
        probes.append(Probe(_HEAD_PROBE, orders=lambda i: orders_of(i, n_orders)))

    def right(outputs, label):
        names = {1: PLAIN.name} | {g: f"puzzle/{g}" for g in sizes}
        return {
            g: outputs[name]["classification"].argmax(-1) == label
            for g, name in names.items()
        }

    def rows(outputs, label, seed):
        for g, correct in right(outputs, label).items():
            low, high = intervals.interval(correct, np.ones(len(label)), seed=seed)
            yield {
                "condition": "shuffled",
                "level": g,
                "accuracy": float(correct.mean()),
                "low": low,
                "high": high,
                "n": len(label),
            }
        if permutations is not None:
            yield from _head_rows(outputs, permutations, seed)

    def scores(outputs, label):
        found = {
            f"shuffled/{g}": np.float32(correct)
            for g, correct in right(outputs, label).items()
        }
        if permutations is not None:
            answered = outputs[_HEAD_PROBE]["jigsaw"].argmax(-1)
            truth = orders_of(np.arange(len(label)), len(permutations))
            found["jigsaw"] = np.float32(answered == truth)
        return found

    return Suite("puzzle", tuple(probes), rows, scores)


def grids(size_px: int) -> tuple[int, ...]:
    """Returns the tiles a side that are measured: 2 and on, of 8 px at the least."""
    return tuple(g for g in _GRIDS if size_px // g >= _LEAST_TILE_PX)


def orders_of(indices: np.ndarray, n_orders: int) -> np.ndarray:
    """Returns the orders in which images are shown: int32 [n] in [1, n_orders).

    One seeded order of all shuffles after the other, so that each is asked as often,
    to within one.

    Args:
      indices: int64 [n], of the images.
      n_orders: K + 1.
    """
    sequence = np.random.default_rng(_ORDER_SEED).permutation(n_orders - 1) + 1
    return sequence[np.asarray(indices) % len(sequence)].astype(np.int32)


def shuffle(rngs: jax.Array, images: jax.Array, grid: int) -> jax.Array:
    """Returns images whose tiles all changed places: [B, S, S, 3].

    Where `grid` does not divide S, the border of up to `grid - 1` pixels, right and
    below, stays.

    Args:
      rngs: Typed keys [B]; the arrangement follows from them and `grid`.
      images: float32 [B, S, S, 3].
      grid: Tiles a side, at least 2.
    """
    b, size_px = images.shape[:2]
    images = jnp.asarray(images)
    side = size_px // grid * grid
    tiles = puzzle.cut_tiles(images[:, :side, :side], grid)

    def arrange(rng):
        # A cycle through the tiles in a random sequence leaves none where it was.
        noise = jax.random.bits(jax.random.fold_in(rng, grid), (grid * grid,))
        sequence = jnp.argsort(noise)
        return jnp.zeros_like(sequence).at[sequence].set(jnp.roll(sequence, -1))

    arrangements = jax.vmap(arrange)(rngs)
    shuffled = puzzle.shuffle_tiles(tiles, jnp.arange(b), arrangements)
    return images.at[:, :side, :side].set(puzzle.join_tiles(shuffled))


def _shuffler(grid: int):
    return jax.jit(lambda rngs, images: shuffle(rngs, images, grid))


def _head_rows(
    outputs: Mapping[str, Outputs], permutations: np.ndarray, seed: int
) -> Iterator[dict]:
    whole = outputs[PLAIN.name]["jigsaw"].argmax(-1)
    answered = outputs[_HEAD_PROBE]["jigsaw"].argmax(-1)
    n, n_orders = len(answered), len(permutations)
    truth = orders_of(np.arange(n), n_orders)
    confusion = predict.confusion_matrix(
        np.concatenate([np.zeros(n, np.int32), truth]),
        np.concatenate([whole, answered]),
        n_orders,
    )
    distance = (permutations[:, None] != permutations[None]).sum(-1)
    right = answered == truth
    low, high = intervals.interval(right, np.ones(n), seed=seed)
    wrong = distance[truth, answered][~right]
    yield {
        "condition": "jigsaw",
        "ordered_accuracy": float((whole == 0).mean()),
        "shuffled_accuracy": float(right.mean()),
        "low": low,
        "high": high,
        "chance": 1 / n_orders,
        "share_ordered": float((answered == 0).mean()),
        "wrong_distance": float(wrong.mean()) if len(wrong) else float("nan"),
        "pair_distance": float(puzzle.hamming_distances(permutations).mean()),
        "confusion": confusion.tolist(),
        "n": n,
    }
    for i, j, count in most_confused(confusion, _N_PAIRS):
        yield {
            "condition": "jigsaw_pair",
            "orders": [i, j],
            "count": count,
            "distance": int(distance[i, j]),
        }


def most_confused(confusion: np.ndarray, n_most: int) -> Sequence[tuple[int, int, int]]:
    """Returns pairs of orders and how often one was taken for the other.

    The most frequent first, ties by the smaller orders; none without a mistake.

    Args:
      confusion: Counts [K + 1, K + 1].
      n_most: Pairs at most.
    """
    both = np.triu(confusion + confusion.T, k=1)
    found = sorted(zip(*np.nonzero(both), strict=True), key=lambda ij: -both[ij])
    return [(int(i), int(j), int(both[i, j])) for i, j in found[:n_most]]
