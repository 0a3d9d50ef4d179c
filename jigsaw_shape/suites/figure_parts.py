"""What the suites' figures have in common.

Functions that draw a figure are called inside `look.look()`. They take rows of one data
set, the models' `Looks` if they use them, and a `remark` to be written below.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks, number
from jigsaw_shape.reports.page import Tile
from jigsaw_shape.reports.table import percent

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


def level_panels(
    rows: Sequence[dict],
    looks: Looks,
    title_of: Callable[[str], str],
    units: Mapping[str, str],
) -> Figure:
    """Returns accuracy against each condition's levels, a panel each.

    Args:
      rows: As for `level_curves`, with `condition`; others are left out.
      looks: Of the models.
      title_of: How a condition is written.
      units: What a condition's level is.
    """
    rows = [row for row in rows if "level" in row]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    n_columns = min(4, len(conditions))
    n_rows = math.ceil(len(conditions) / n_columns)
    size = 2.7 * n_columns + 0.6, 2.35 * n_rows + 0.6
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        here = [row for row in rows if row["condition"] == condition]
        levels = list(dict.fromkeys(row["level"] for row in here))
        level_curves(axes, here, levels, looks)
        axes.set_title(title_of(condition))
        axes.set_xlabel(units[condition], fontsize=8.5)
        axes.set_xticks(range(len(levels)), [_level_text(v) for v in levels])
        rotation = 0 if len(levels) < 7 else 45
        axes.tick_params(axis="x", labelsize=8, rotation=rotation)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy")
    for axes in list(grid.flat)[len(conditions) :]:
        axes.set_axis_off()
    look.legend_above(figure, grid[0, 0])
    return figure


def level_strips(
    samples: Mapping[str, np.ndarray],
    rows: Sequence[dict],
    title_of: Callable[[str], str],
    units: Mapping[str, str],
) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """Yields one image at each level of each condition, with the accuracies.

    Args:
      samples: Images of each probe.
      rows: With `condition`, `level`, `probe` and `accuracy`; others are left out.
      title_of: How a condition is written.
      units: What a condition's level is.
    """
    rows = [row for row in rows if "level" in row]
    for condition in dict.fromkeys(row["condition"] for row in rows):
        here = [row for row in rows if row["condition"] == condition]
        tiles = []
        for level in dict.fromkeys(row["level"] for row in here):
            of_level = [row for row in here if row["level"] == level]
            answers = tuple(
                (row["model"], f"{percent(row['accuracy'], 0)} %", "other")
                for row in of_level
            )
            images = samples.get(of_level[0]["probe"])
            if images is not None:
                tiles.append(Tile(images[0], _level_text(level), answers))
        if tiles:
            yield f"{title_of(condition)} ({units[condition]})", tuple(tiles)


def _level_text(level: float | str) -> str:
    return "∞" if level == "inf" else f"{level:g}"


def interval_groups(
    axes: Axes,
    points: Sequence[tuple[int, str, dict]],
    names: Sequence[str],
    looks: Looks,
) -> None:
    """Draws shares with their intervals, a line of all models for each name.

    Args:
      axes: The panel; its x axis holds 0 to 1.
      points: Line, counted from above; key of the measure; row with `low` and `high`.
      names: Of the lines.
      looks: Of the models.
    """
    models = [m for m in looks if any(row["model"] == m for _, _, row in points)]
    step = min(0.2, 0.8 / max(1, len(models)))
    for line, key, row in points:
        place = models.index(row["model"]) - (len(models) - 1) / 2
        y = len(names) - 1 - line - step * place
        colour, mark = look.of(row, looks)
        value, low, high = (number(row[k]) for k in (key, "low", "high"))
        axes.plot([low, high], [y, y], color=colour, lw=1.8, solid_capstyle="round")
        style = {"ms": 7, "mec": "white", "mew": 0.6, "lw": 0}
        axes.plot(value, y, mark, color=colour, **style)
    for name in models:
        colour, mark = looks[name]
        axes.plot([], [], mark, color=colour, label=name)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_ylim(-0.6, len(names) - 0.4)
    low, high = axes.get_xlim()
    axes.set_xlim(min(-0.02, low), max(1.02, high))
    faint_grid(axes)
