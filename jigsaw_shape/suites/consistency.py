"""Error consistency between models, humans and networks: rows, tables, a figure.

And the ranks of model-vs-human's benchmark, over all sets of images that humans saw.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from jigsaw_shape.data.decisions import NOT_COUNTED, Decisions
from jigsaw_shape.measures import error_consistency
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.table import NONE, Table, interval
from jigsaw_shape.suites import figure_parts, row_tables
from jigsaw_shape.suites.observers import HUMANS, as_listed


def rows(
    models: Sequence[Decisions], observers: Sequence[Decisions], *, seed: int = 0
) -> Iterator[dict]:
    """Yields Cohen's kappa of everyone with humans, then of models with the others.

    Args:
      models: Decisions on the same images as the observers'.
      observers: Humans and published networks.
      seed: Of the bootstrap.
    """
    everyone = [*models, *observers]
    if len(everyone) < 2:
        return
    correct = np.stack([one.correct for one in everyone])
    humans = [n for n, one in enumerate(everyone) if one.kind == "human"]

    def row(name, group, versus, pairs):
        mean, low, high = error_consistency.mean_consistency(correct, pairs, seed=seed)
        return {
            "model": name,
            "group": group,
            "versus": versus,
            "error_consistency": mean,
            "low": low,
            "high": high,
            "pairs": len(pairs),
            "n": correct.shape[1],
        }

    if len(humans) > 1:
        pairs = [(i, j) for i in humans for j in humans if i < j]
        yield row(HUMANS, "human", HUMANS, pairs)
    for n, one in enumerate(everyone):
        if humans and one.kind != "human":
            yield row(one.observer, one.kind, HUMANS, [(n, i) for i in humans])
    for n, model in enumerate(models):
        for i, other in enumerate(everyone):
            if i > n and other.kind != "human":
                yield row(model.observer, "model", other.observer, [(n, i)])


def likeness_rows(
    models: Sequence[Decisions],
    observers: Sequence[Decisions],
    condition: np.ndarray | None = None,
) -> Iterator[dict]:
    """Yields how alike models, networks and humans are to humans on one set.

    `condition` is the experiment; the measures are those of
    `error_consistency.likeness`, on the conditions that the benchmark counts. None
    without two humans.

    Args:
      models: See `rows`.
      observers: See `rows`.
      condition: str [n], of each image; None for one condition.
    """
    humans = [one for one in observers if one.kind == "human"]
    if len(humans) < 2:
        return
    experiment = humans[0].experiment
    counted = np.ones(len(humans[0].category), bool)
    if condition is not None:
        counted = ~np.isin(condition, NOT_COUNTED.get(experiment, ()))
        condition = condition[counted]
    if not counted.any():
        return
    theirs = np.stack([one.correct[counted] for one in humans])

    def likeness(own, others):
        return error_consistency.likeness(own, others, condition)

    base = {"condition": experiment, "n": int(counted.sum())}
    among = [likeness(one, np.delete(theirs, i, 0)) for i, one in enumerate(theirs)]
    means = {key: float(np.mean([one[key] for one in among])) for key in among[0]}
    yield {"model": HUMANS, "group": "human", **base, **means}
    for one in (*models, *observers):
        if one.kind != "human":
            row = {"model": one.observer, "group": one.kind, **base}
            yield row | likeness(one.correct[counted], theirs)


def ranks(rows: Sequence[dict]) -> Iterator[Table]:
    """Yields the table of ranks over sets, of everyone who answered all sets.

    Three ranks, by accuracy difference, observed and error consistency, each a mean
    over sets, are averaged; ties share a rank. Humans have none.

    Args:
      rows: Of all suites; those of `likeness_rows` count.
    """
    rows = [row for row in rows if "mean_error_consistency" in row]
    sets = {(row["data"], row["condition"]) for row in rows}
    by_model: dict[str, list[dict]] = {}
    for row in rows:
        by_model.setdefault(row["model"], []).append(row)
    means = {
        name: [float(np.mean([row[key] for row in own])) for key in _RANKED]
        for name, own in by_model.items()
        if len(own) == len(sets)
    }
    ranked = [name for name in means if name != HUMANS]
    if not ranked:
        return
    table = np.array([means[name] for name in ranked])
    signs = np.array([1, -1, -1, 0])  # the smallest is best, the largest, the largest
    columns = [stats.rankdata(signs[i] * table[:, i]) for i in range(3)]
    mean_rank = dict(zip(ranked, np.mean(columns, axis=0), strict=True))
    order = sorted(ranked, key=mean_rank.__getitem__)
    body = [
        [name, *(_kappa(v) for v in means[name]), f"{mean_rank[name]:.2f}"]
        for name in order
    ]
    if HUMANS in means:
        body.append([HUMANS, *(_kappa(v) for v in means[HUMANS]), NONE])
    header = ("", *_RANKED.values(), "mean rank")
    names = ", ".join(sorted(condition for _, condition in sets))
    title = f"Likeness to humans, a mean over {names}"
    yield Table(title, header, body)


_RANKED = {
    "accuracy_difference": "accuracy difference",
    "observed_consistency": "observed consistency",
    "mean_error_consistency": "error consistency",
    "counted_accuracy": "accuracy",
}


def make_tables(rows: Sequence[dict], data: str) -> Iterator[Table]:
    """Yields the table of consistencies with humans, and that with all others."""
    rows = [r for r in rows if "error_consistency" in r]
    with_humans = as_listed([r for r in rows if r["versus"] == HUMANS])
    others = [r for r in rows if r["versus"] != HUMANS]

    numbers = {
        "kappa": lambda row: _kappa(row["error_consistency"]),
        "95 % interval": lambda row: interval(row, _kappa),
    }
    yield from row_tables.listed(
        f"Error consistency with humans on {data} (kappa, mean over pairs)",
        with_humans,
        {"": _name} | numbers,
    )
    yield from row_tables.listed(
        f"Error consistency with networks and models on {data} (kappa)",
        others,
        {"": row_tables.WHO, "with": lambda row: row["versus"]} | numbers,
    )


def _kappa(value: float) -> str:
    return f"{value:.3f}"


def figure(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure | None:
    """Returns everyone's error consistency with humans; None without humans."""
    rows = [r for r in rows if r.get("versus") == HUMANS and "error_consistency" in r]
    if not rows:
        return None
    rows = sorted(rows, key=lambda row: row["error_consistency"])
    names = [look.two_lines(_name(row)) for row in rows]
    figure, axes = figure_parts.new_axes(*figure_parts.size_of_list(7.2, names))
    figure_parts.interval_list(axes, rows, "error_consistency", names, looks)
    for row in rows:
        if row["model"] == HUMANS:
            axes.axvspan(row["low"], row["high"], color=look.HUMAN, alpha=0.08, lw=0)
    axes.axvline(0, color="#999999", lw=0.8)
    axes.margins(x=0.1)
    axes.set_xlim(min(-0.02, *(row["low"] - 0.02 for row in rows)), None)
    axes.set_xlabel(
        "error consistency with humans, mean over pairs, with 95 % interval\n"
        "(Cohen's kappa of right and wrong: 0 by chance, 1 the same errors)"
    )
    look.caption(figure, remark, 95)
    return figure


def _name(row: dict) -> str:
    return "humans among themselves" if row["model"] == HUMANS else row["model"]
