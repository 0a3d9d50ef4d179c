"""Figures of the suite `retrieval`: mAP beside lengths of features; a map of images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jigsaw_shape.reports import look as look_lib
from jigsaw_shape.reports.look import number
from jigsaw_shape.reports.table import NONE
from jigsaw_shape.suites import figure_parts

_MOST_NUMBERS = 12  # domains: beyond that numbers in cells are illegible
_MOST_CLASSES = 20  # in a map's legend
_LENGTH = "#0072B2"
_MARKS = "os^vDPX*"
NOT_SEEN = "*"  # after a domain that a run was not trained on


def figure(rows: Sequence[Mapping], remark: str = "") -> Figure:
    """Returns mAP between domains beside the lengths of features: a row a model.

    Lengths are divided by the photographs' mean if there are any, else by the mean of
    all domains' means, so that models can be compared.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    lengths = (row["domain"] for row in rows if row["measure"] == "norm")
    names = list(dict.fromkeys(lengths))
    side = max(1.7, 0.62 * len(names))  # inches, of a heat map
    labels = 0.085 * max(map(len, names))
    result = Figure(
        figsize=(2 * labels + side + 5.2, (side + 0.75) * len(models) + 1.3),
        layout="constrained",
    )
    grid = result.subplots(
        len(models), 2, squeeze=False, width_ratios=(side, 3.2), sharex="col"
    )
    scale = max((row["map"] for row in rows if row.get("map")), default=1)
    for (left, right), model in zip(grid, models, strict=True):
        own = [row for row in rows if row["model"] == model]
        picture = _precisions(left, own, names, scale)
        left.set_title(model, fontweight="bold")
        unit = _lengths(right, own, names)
    _name_columns(grid, names, unit)
    result.colorbar(
        picture,
        ax=list(grid[:, 0]),
        shrink=min(1.0, 2.4 / ((side + 0.75) * len(models))),
        label="mAP, %",
    )
    look_lib.caption(result, remark, int(14 * result.get_figwidth()))
    return result


def _name_columns(grid, names, unit: str) -> None:
    left, right = grid[-1]
    left.set_xticks(range(len(names)), names, rotation=40, ha="right")
    left.set_xlabel("searched")
    right.set_xlim(0, 1.1 * right.get_xlim()[1])  # room for the numbers
    right.set_xlabel(f"length of features ÷ {unit}")
    grid[0][1].set_title("◆ mean, | median, bar: middle half", fontsize=8.5)


def _precisions(axes, rows: Sequence[Mapping], names: Sequence[str], scale: float):
    """Draws mAP, with chance below it, of each query's domain in each searched one."""
    values, chance = np.full((2, len(names), len(names)), np.nan)
    for row in rows:
        if row["measure"] == "retrieval":
            cell = names.index(row["query"]), names.index(row["gallery"])
            values[cell], chance[cell] = number(row["map"]), number(row["chance"])
    picture = axes.imshow(
        100 * values, cmap="Blues", vmin=0, vmax=100 * scale, aspect="auto"
    )
    strange = {row["query"] for row in rows if row.get("query_domain_seen") is False}
    marked = [name + NOT_SEEN * (name in strange) for name in names]
    axes.set_yticks(range(len(names)), marked)
    axes.set_ylabel("query")
    axes.tick_params(left=False, bottom=False)
    axes.spines[:].set_visible(False)
    small = len(names) > 6
    for i, j in np.argwhere(np.isfinite(values)):
        if len(names) > _MOST_NUMBERS:
            break
        ink = "white" if values[i, j] > 0.6 * scale else look_lib.INK
        look = {"ha": "center", "color": ink}
        text = f"{100 * values[i, j]:.0f}" if small else f"{100 * values[i, j]:.1f}"
        axes.text(j, i - (0 if small else 0.08), text, va="center", **look)
        if not small:
            text = f"chance {100 * chance[i, j]:.0f}"
            axes.text(j, i + 0.32, text, va="center", fontsize=5.5, **look)
    for i, j in np.argwhere(np.isnan(values)):  # no query has a match
        axes.text(j, i, NONE, va="center", ha="center", color="#888888")
    return picture


def _lengths(axes, rows: Sequence[Mapping], names: Sequence[str]) -> str:
    """Draws each domain's lengths; returns the name of what they are divided by."""
    lengths = {row["domain"]: row for row in rows if row["measure"] == "norm"}
    reference = next(iter(lengths.values())).get("reference")
    if reference is None:
        by = float(np.mean([row["mean"] for row in lengths.values()]))
        unit = "the mean of the domains"
    else:
        by, unit = lengths[reference]["mean"], f"the mean of {reference}"
    by = by or 1.0
    axes.axvline(1, color="#BBBBBB", lw=0.9, ls=(0, (2, 3)), zorder=0)
    for y, name in enumerate(names):
        row = lengths[name]
        low, middle, high, mean = (
            row[key] / by for key in ("quartile_1", "median", "quartile_3", "mean")
        )
        axes.plot(
            [low, high], [y, y], color=_LENGTH, lw=7, alpha=0.3, solid_capstyle="butt"
        )
        axes.plot(middle, y, "|", color=_LENGTH, ms=11, mew=1.8)
        axes.plot(mean, y, "D", color=_LENGTH, ms=5.5, mec="white", mew=0.6)
        figure_parts.number_beside(axes, f"{mean:.2f}", max(high, mean), y)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)  # in line with the heat map's rows
    axes.margins(x=0.15)
    figure_parts.faint_grid(axes)
    return unit


def map_figure(
    places: Mapping[str, np.ndarray],
    classes: np.ndarray,
    domains: np.ndarray,
    remark: str = "",
) -> Figure:
    """Returns where images lie by each model's features: colour class, mark domain.

    Args:
      places: float32 [n, 2] in [0, 1] by model.
      classes: str [n].
      domains: str [n].
      remark: Written below.
    """
    n_columns = min(3, len(places))
    n_rows = -(-len(places) // n_columns)
    size = (1.8 + 3.6 * n_columns, 0.6 + 3.7 * n_rows)
    result = Figure(figsize=size, layout="constrained")
    panels = result.subplots(n_rows, n_columns, squeeze=False).ravel()
    names, kinds = np.unique(classes), list(dict.fromkeys(domains.tolist()))
    few = len(names) <= _MOST_CLASSES
    shades = colormaps["tab20" if few else "hsv"]
    colours = [shades(n if few else n / len(names)) for n in range(len(names))]
    for axes, (model, where) in zip(panels, places.items(), strict=False):
        for n, name in enumerate(names):
            for m, kind in enumerate(kinds):
                here = (classes == name) & (domains == kind)
                style = {"marker": _MARKS[m % len(_MARKS)], "lw": 0, "alpha": 0.75}
                axes.scatter(*where[here].T, s=13, color=[colours[n]], **style)
        axes.set_title(model, fontweight="bold")
    for axes in panels:
        axes.set_axis_off()
    handles = [
        Line2D(
            [], [], ls="", color="#555555", marker=_MARKS[m % len(_MARKS)], label=kind
        )
        for m, kind in enumerate(kinds)
    ]
    if few:
        handles += [
            Patch(color=colour, label=name)
            for colour, name in zip(colours, names, strict=True)
        ]
    result.legend(handles=handles, loc="outside right upper", fontsize=8)
    result.set_label(
        f"Map of {len(classes)} images by features, for {', '.join(places)}: near "
        "images have similar features; colours are classes and marks are domains"
    )
    look_lib.caption(result, remark, int(14 * result.get_figwidth()))
    return result
