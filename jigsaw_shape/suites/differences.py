"""Differences between two models on the same images: rows, a table, figures."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.measures import intervals
from jigsaw_shape.reports import look
from jigsaw_shape.reports.table import Table, interval
from jigsaw_shape.suites import figure_parts, row_tables

_CLEAR, _UNCLEAR = "#0072B2", "#8C8C8C"


def rows(
    scores: Mapping[str, Mapping[str, np.ndarray | intervals.Part]], *, seed: int = 0
) -> Iterator[dict]:
    """Yields the difference between each two models on the same images, by condition.

    Conditions that only one of the two has are left out.

    Args:
      scores: `{model: {condition: ...}}`: what each image adds to a mean, [n], or to
        the numerator and the denominator of a share, [n] each.
      seed: Of the bootstrap, which draws the same images for both.
    """

    def share(part):
        return part if isinstance(part, tuple) else (part, np.ones(len(part)))

    for first, second in itertools.combinations(scores, 2):
        for condition, part in scores[first].items():
            if condition not in scores[second]:
                continue
            one, other = share(part), share(scores[second][condition])
            gap, low, high = intervals.difference(one, other, seed=seed)
            yield {
                "model": first,
                "group": "model",
                "versus": second,
                "condition": condition,
                "difference": gap,
                "low": low,
                "high": high,
                "n": len(one[0]),
            }


def title_of(condition: str) -> str:
    """Returns how tables and figures write a condition."""
    return condition.replace("_", " ")


def table(
    rows: Sequence[dict], data: str, title: Callable[[str], str] = title_of
) -> Iterator[Table]:
    """Yields the table of differences; none without two models.

    Args:
      rows: Of one suite and data set.
      data: Its name.
      title: How a condition is written.
    """
    rows = [r for r in rows if "difference" in r]
    suite = rows[0]["suite"] if rows else ""
    yield from row_tables.listed(
        f"Differences on {data} ({suite}), in points, on the same images",
        rows,
        {
            "": row_tables.WHO,
            "minus": lambda row: row["versus"],
            "in": lambda row: title(row["condition"]),
            "difference": "difference",
            "95 % interval": interval,
        },
    )


def figures(
    rows: Sequence[dict], data: str, title: Callable[[str], str] = title_of
) -> dict[str, Figure]:
    """Returns a figure for each two models, a line a condition, by file name.

    Args: See `table`.
    """
    rows = [r for r in rows if "difference" in r]
    found = {}
    for first, second in dict.fromkeys((r["model"], r["versus"]) for r in rows):
        of_pair = [r for r in rows if (r["model"], r["versus"]) == (first, second)]
        name = f"{rows[0]['suite']}_{first}_minus_{second}_{data}"
        found[name] = _figure(of_pair[::-1], data, title)
    return found


def _figure(rows, data, title) -> Figure:
    figure, axes = figure_parts.new_axes(7.2, 1.5 + 0.28 * len(rows))
    for y, row in enumerate(rows):
        ends = row["low"], row["high"]
        colour = _CLEAR if ends[0] > 0 or ends[1] < 0 else _UNCLEAR
        axes.plot(ends, [y, y], color=colour, lw=2.2, solid_capstyle="round")
        axes.plot(row["difference"], y, "o", color=colour, ms=6.5, mec="white")
    axes.axvline(0, color="#666666", lw=0.9)
    axes.set_yticks(range(len(rows)), [title(r["condition"]) for r in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    reach = 1.1 * max(max(abs(r["low"]), abs(r["high"])) for r in rows) or 0.1
    axes.set_xlim(-reach, reach)
    figure_parts.faint_grid(axes)
    first, second = rows[0]["model"], rows[0]["versus"]
    axes.set_xlabel(
        f"{first} minus {second}, on the same images (95 % interval); grey: may be 0"
    )
    axes.set_title(
        f"← {second} is better    {first} is better →", loc="center", fontsize=9
    )
    look.caption(figure, data, 95)
    return figure
