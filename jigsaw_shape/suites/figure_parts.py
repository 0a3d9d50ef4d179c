"""What the suites' figures have in common.

Functions that draw a figure are called inside `look.look()`. They take rows of one data
set, the models' `Looks` if they use them, and a `remark` to be written below.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks, number

_THUMB_PX = 224


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Returns a figure of so many inches and its one panel."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def faint_grid(axes: Axes, axis: str = "x") -> None:
    """Draws lines behind everything in place of ticks, along one axis or both."""
    axes.grid(axis=axis)
    axes.tick_params(left=axis == "y", bottom=axis == "x")


def size_of_list(width: float, names: Sequence[str]) -> tuple[float, float]:
    """Returns inches for a figure with a line a name; long names get more width."""
    lines = [line for name in names for line in name.splitlines()]
    longest = max(map(len, lines), default=0)
    height = 0.36 if any("\n" in name for name in names) else 0.3
    return width + 0.09 * max(0, longest - 14), 1.6 + height * len(names)


def interval_list(
    axes: Axes,
    rows: Sequence[dict],
    key: str,
    names: Sequence[str],
    looks: Looks,
    *,
    text: str = "{:.3f}",
    scale: float = 1,
) -> None:
    """Draws a measure of each row with its interval, one below the other.

    Args:
      axes: The panel.
      rows: From the bottom up, with `low` and `high`.
      key: Of the measure.
      names: Of the rows.
      looks: Of the models.
      text: Format of the number beside.
      scale: Multiplies that number.
    """
    for y, row in enumerate(rows):
        colour, mark = look.of(row, looks)
        value, low, high = (number(row[k]) for k in (key, "low", "high"))
        axes.plot([low, high], [y, y], color=colour, lw=2, solid_capstyle="round")
        axes.plot(value, y, mark, color=colour, ms=7, mec="white", mew=0.6)
        number_beside(axes, text.format(scale * value), high, y)
    axes.set_yticks(range(len(rows)), names)
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        if row["group"] != "network":
            tick.set(color=look.of(row, looks)[0], fontweight="bold")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    faint_grid(axes)


def number_beside(axes: Axes, text: str, x: float, y: float) -> None:
    """Writes a number to the right of a point."""
    style = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    axes.annotate(text, (x, y), (5, 0), color=look.INK, **style)


def thumbnail(stimuli: Stimuli, i: int) -> np.ndarray:
    """Returns an image for the page: uint8 [S, S, 3]."""
    return stimuli.read(int(i), stimuli.side_px or _THUMB_PX)


def level_curves(
    axes: Axes, rows: Sequence[dict], levels: Sequence, looks: Looks
) -> None:
    """Draws each model's accuracy at each level, with its interval.

    Broken lines are chance, one for each number of classes that models have.

    Args:
      axes: The panel.
      rows: With `accuracy`, `level` and `n_classes`.
      levels: From left to right.
      looks: Of the models.
    """
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        own.sort(key=lambda row: levels.index(row["level"]))
        colour, mark = look.of(own[0], looks)
        x = [levels.index(row["level"]) for row in own]
        low, high, accuracy = (
            [number(row[key]) for row in own] for key in ("low", "high", "accuracy")
        )
        axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
        style = {"ms": 5.5, "mec": "white", "mew": 0.5, "lw": 1.6, "zorder": 3}
        style |= {"color": colour, "marker": mark, "clip_on": False}
        axes.plot(x, accuracy, label=name, **style)
    for chance in sorted({1 / row["n_classes"] for row in rows}):
        axes.axhline(chance, color="#888888", lw=0.9, ls=(0, (4, 3)), zorder=1)
    axes.set_ylim(0, 1.02)
    axes.grid(axis="y")
