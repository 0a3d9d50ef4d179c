"""The suite `puzzle`: what is left of a model's answers when the tiles move.

Cut into a grid of tiles that trade places, an image keeps its textures and loses its
shape: a model that keeps its accuracy reads texture (Brendel & Bethge, "Approximating
CNNs with bag-of-local-features models", ICLR 2019, section 4). A jigsaw head is asked
for the order of shuffled and of ordered images apart: where most images are ordered, a
head that always says "ordered" is mostly right.
"""

import functools
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import intervals
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import NONE, Table, interval, percent
from jigsaw_shape.suites import (
    accuracy,
    differences,
    figure_parts,
    labelled_images,
    row_tables,
)
from jigsaw_shape.suites.suite import PLAIN, Answers, Fact, Outputs, Probe, Suite
from jigsaw_shape.training import predict

_GRIDS = (2, 3, 4, 5, 6, 8)
_LEAST_TILE_PX = 8  # smaller tiles hold no texture
_N_PAIRS = 10  # of confused orders in the rows
_ORDER_SEED = 0
# A head that reads tiles encoded apart answers only where orders are asked about.
_WHOLE_PROBE, _HEAD_PROBE = "puzzle/ordered", "puzzle/head"


def probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns a version shuffled in each grid, and two for jigsaw heads.

    Args:
      stimuli: Not used.
      group: Models of one size, which decides the grids, and of one puzzle if any.
    """
    del stimuli
    found = [Probe(f"puzzle/{g}", _shuffler(g)) for g in grids(group[0].size_px)]
    tables = [m.permutations for m in group if m.permutations is not None]
    if tables:
        n_orders = len(tables[0])
        found.append(Probe(_WHOLE_PROBE, orders=lambda i: np.zeros(len(i), np.int32)))
        found.append(Probe(_HEAD_PROBE, orders=lambda i: orders_of(i, n_orders)))
    return found


def rows(answers: Answers) -> Iterator[dict]:
    """Yields accuracies of each model by grid and of its jigsaw head, then differences.

    Rows of condition `shuffled`: `level`, tiles a side, 1 for whole images; `accuracy`.
    No tile stays in its place, and an image's arrangement follows from its key and the
    grid alone.

    A row of condition `jigsaw` for models with a jigsaw head: `ordered_accuracy` on
    whole images; `shuffled_accuracy`, with `low` and `high`, on images in one order
    each of 1 to K, decided by the image's index; `chance`, 1 / (K + 1);
    `share_ordered`, how often shuffled images are called ordered; `wrong_distance`, the
    mean Hamming distance between the true and a wrongly answered order, and
    `pair_distance`, the mean over all pairs of orders: near orders are taken for each
    other if the first is the lower; `confusion`, counts [K + 1][K + 1], a line for each
    true order, of whole and shuffled images.

    Rows of condition `jigsaw_pair` for the most confused pairs: `orders`, both;
    `count`, wrong answers in both directions; `distance` between them.
    """
    scores = {}
    for model in answers.models:
        outputs = answers.outputs[model.name]
        base = answers.base(model.name)
        own = scores.setdefault(model.name, {})
        for g in (1, *grids(model.size_px)):
            name = PLAIN.name if g == 1 else f"puzzle/{g}"
            right = answers.correct(model.name, name)
            own[f"shuffled/{g}"] = np.float32(right)
            row = {"condition": "shuffled", "level": g}
            yield base | row | accuracy.share(right, seed=answers.seed)
        if model.permutations is not None:
            for row in head_rows(outputs, model.permutations, answers.seed):
                yield base | row
            answered = outputs[_HEAD_PROBE]["jigsaw"].argmax(-1)
            truth = orders_of(np.arange(len(answered)), len(model.permutations))
            own["jigsaw"] = np.float32(answered == truth)
    yield from differences.rows(scores, seed=answers.seed)


def grids(size_px: int) -> tuple[int, ...]:
    """Returns the tiles a side that are measured: 2 and on, of 8 px at the least."""
    return tuple(g for g in _GRIDS if size_px // g >= _LEAST_TILE_PX)


def orders_of(indices: np.ndarray, n_orders: int) -> np.ndarray:
    """Returns the orders in which images are shown: int32 [n] in [1, n_orders).

    All shuffles follow each other in a seeded sequence, so that each is shown equally
    often, to within one.

    Args:
      indices: int64 [n], of the images.
      n_orders: K + 1.
    """
    sequence = np.random.default_rng(_ORDER_SEED).permutation(n_orders - 1) + 1
    return sequence[np.asarray(indices) % len(sequence)].astype(np.int32)


def shuffle(rngs: jax.Array, images: jax.Array, grid: int) -> jax.Array:
    """Returns images whose tiles all changed places: [B, S, S, 3].

    Where `grid` does not divide S, up to `grid - 1` pixels at the right and lower
    border stay in place.

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


@functools.cache
def _shuffler(grid: int):
    return jax.jit(lambda rngs, images: shuffle(rngs, images, grid))


def head_rows(
    outputs: dict[str, Outputs], permutations: np.ndarray, seed: int
) -> Iterator[dict]:
    """Yields the rows of a jigsaw head, see `rows`.

    Args:
      outputs: Of the probes `puzzle/ordered` and `puzzle/head`, with `jigsaw`.
      permutations: int32 [K + 1, T].
      seed: Of the bootstrap.
    """
    whole = outputs[_WHOLE_PROBE]["jigsaw"].argmax(-1)
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


def _title_of(condition: str) -> str:
    kind, _, grid = condition.partition("/")
    if kind != "shuffled":
        return condition
    return "whole" if grid == "1" else f"{grid} × {grid} tiles"


def _heads(rows) -> list[dict]:
    return [r for r in rows if r.get("condition") == "jigsaw" and "chance" in r]


def _tables(rows, data) -> Iterator[Table]:
    yield from row_tables.crossed(
        f"Accuracy on {data} with all tiles moved, in %",
        [row for row in rows if "level" in row],
        "model",
        "level",
        "accuracy",
        name=_grid_text,
    )
    yield from row_tables.listed(
        f"The jigsaw head on {data}, in % (distances in tiles)",
        _heads(rows),
        {
            "": row_tables.WHO,
            "shuffled": "shuffled_accuracy",
            "95 % interval": interval,
            "chance": "chance",
            "ordered": "ordered_accuracy",
            "said “ordered”": "share_ordered",
            "distance of wrong answers": lambda row: _tiles(row["wrong_distance"]),
            "of any two orders": lambda row: _tiles(row["pair_distance"]),
        },
    )
    yield from differences.table(rows, data, _title_of)


def _tiles(distance: float) -> str:
    return NONE if math.isnan(distance) else f"{distance:.2f}"


def _grid_text(level: int) -> str:
    return "whole" if level == 1 else f"{level} × {level}"


def _facts(rows) -> Iterator[Fact]:
    for row in _heads(rows):
        what = f"of shuffled puzzles solved (chance {percent(row['chance'])} %)"
        solved = row["shuffled_accuracy"]
        yield f"{percent(solved)} %", what, solved


def _section(rows, data, results, looks) -> Section:
    drawn = {f"shuffled_{data}": shuffled(rows, looks)}
    lead = (
        "Images cut into tiles that all change places keep their textures and lose "
        "their shapes: a model that keeps its accuracy reads texture."
    )
    for row in _heads(rows):
        drawn[f"jigsaw_{row['model']}_{data}"] = confusion(row)
        lead += (
            f" {row['model']}'s jigsaw head names the order of "
            f"{percent(row['shuffled_accuracy'])} % of shuffled images (chance "
            f"{percent(row['chance'])} %)."
        )
    drawn |= differences.figures(rows, data, _title_of)
    samples = results.samples.get(data, {})
    of_heads = (_WHOLE_PROBE, _HEAD_PROBE)
    names = [n for n in samples if n.startswith("puzzle/") and n not in of_heads]
    tiles = tuple(
        Tile(samples[name][0], name.removeprefix("puzzle/"))
        for name in ([PLAIN.name, *names] if names else [])
    )
    shown = (("What was shown (tiles a side)", tiles),) if tiles else ()
    return Section("puzzle", f"Puzzles: {data}", lead, drawn, shown)


def shuffled(rows: Sequence[dict], looks: Looks) -> Figure:
    """Returns accuracy on images whose tiles trade places, for growing grids."""
    rows = [row for row in rows if "level" in row]
    levels = sorted({row["level"] for row in rows})
    figure, axes = figure_parts.new_axes(5.6, 3.8)
    figure_parts.level_curves(axes, rows, levels, looks)
    for chance in {1 / row["n_classes"] for row in rows}:
        style = {"textcoords": "offset points", "fontsize": 8, "ha": "center"}
        axes.annotate("chance", (0, chance), (0, -11), color="#666666", **style)
    axes.set_xticks(range(len(levels)), [_grid_text(n) for n in levels])
    axes.set_xlabel("grid of tiles, all of which change places")
    axes.set_ylabel("accuracy (95 % interval over images)")
    look.legend_above(figure, axes)
    return figure


def confusion(row: dict) -> Figure:
    """Returns which orders a model's jigsaw head takes for which.

    Args:
      row: Of condition `jigsaw`.
    """
    counts = np.asarray(row["confusion"], float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = figure_parts.new_axes(5.6, 4.9)
    picture = axes.imshow(shares, cmap="Blues", vmin=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answered order (0: not shuffled)")
    axes.set_ylabel("true order")
    axes.set_title(
        f"{row['model']}: right on {percent(row['shuffled_accuracy'])} % of shuffled "
        f"images (chance {percent(row['chance'])} %),\n"
        f"on {percent(row['ordered_accuracy'])} % of ordered ones"
    )
    figure.colorbar(picture, ax=axes, shrink=0.8, label="share of the true order")
    return figure


SUITE = Suite(
    find=labelled_images.find_probed,
    wanted=labelled_images.WANTED,
    probes=probes,
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
)
