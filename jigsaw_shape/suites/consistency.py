"""Error consistency between models, humans and networks: rows, tables, a figure."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.measures import error_consistency
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.table import Table, interval
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
