"""Figures of the suite `shape_bias`: each category, and everyone in one list."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks, number
from jigsaw_shape.suites import figure_parts
from jigsaw_shape.suites.observers import HUMANS, as_listed

_SHAPE, _TEXTURE, _NEITHER = "#3B6FB6", "#E3A857", "#EEEEEE"


def by_category(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns Geirhos et al.'s figure: a line a category, from shape to texture."""
    rows = [row for row in rows if "shape_bias" in row]
    categories = sorted({row["category"] for row in rows if "category" in row})
    place = {name: n for n, name in enumerate(reversed(categories))}
    figure, axes = figure_parts.new_axes(7.2, 1.9 + 0.34 * len(categories))
    for y in place.values():
        axes.axhline(y, color=look.FAINT, lw=0.8, zorder=0)
    axes.axvline(0.5, color="#BBBBBB", lw=0.8, ls=(0, (2, 3)), zorder=0)
    _lines(axes, [row for row in rows if "category" not in row], looks)
    for row in rows:
        if "category" in row and row["model"] != HUMANS:
            _point(axes, row, place[row["category"]], looks)
    axes.set_yticks(list(place.values()), list(place))
    axes.set_ylim(-0.7, len(categories) - 0.3)
    axes.set_xlim(-0.02, 1.02)
    axes.tick_params(left=False)
    axes.spines[["left"]].set_visible(False)
    axes.set_xlabel("share of texture decisions (of those for shape or texture)")
    axes.set_ylabel("category of the shape")
    above = axes.secondary_xaxis("top", functions=(lambda x: 1 - x,) * 2)
    above.set_xlabel("shape bias: share of shape decisions")
    above.spines["top"].set_color("#666666")
    look.legend_above(figure, axes)
    look.caption(figure, remark, 95)
    return figure


def _lines(axes, overall, looks) -> None:
    """Draws the overall biases of models and pooled humans, and the legend's marks."""
    for row in overall:
        colour, mark = look.of(row, looks)
        if row["group"] == "model" or row["model"] == HUMANS:
            bias = number(row["shape_bias"])
            axes.axvline(1 - bias, color=colour, lw=1.6, zorder=1, alpha=0.8)
            label = f"{row['model']}: shape bias {100 * bias:.1f} %"
            style = {"s": 62 if row["group"] == "model" else 34, "edgecolor": "white"}
            axes.scatter([], [], color=colour, marker=mark, label=label, **style)
    networks = [row for row in overall if row["group"] == "network"]
    if networks:
        colour, mark = look.of(networks[0], looks)
        label = "published networks, each"
        axes.scatter([], [], s=16, color=colour, marker=mark, label=label)


def _point(axes, row, y, looks) -> None:
    size, alpha, offset, order = {
        "model": (62, 1, 0, 4),
        "human": (22, 0.45, 0.16, 3),
        "network": (14, 0.45, -0.16, 2),
    }[row["group"]]
    colour, mark = look.of(row, looks)
    style = {"edgecolor": "white", "lw": 0.6} if alpha == 1 else {"lw": 0}
    style |= {"color": colour, "marker": mark, "alpha": alpha, "zorder": order}
    x = 1 - number(row["shape_bias"])
    axes.scatter(x, y + offset, size, clip_on=False, **style)


def ranking(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns everyone's shape bias with its interval, beside S / n and T / n."""
    rows = [row for row in rows if "shape_bias" in row and "category" not in row]
    if any(row["model"] == HUMANS for row in rows):
        rows = as_listed(rows)
    rows = sorted(
        rows, key=lambda row: np.nan_to_num(number(row["shape_bias"]), nan=-1)
    )
    names = [look.two_lines(row["model"]) for row in rows]
    figure = Figure(figsize=figure_parts.size_of_list(9.2, names), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    figure_parts.interval_list(
        left, rows, "shape_bias", names, looks, text="{:.1f}", scale=100
    )
    left.set_xlim(0, 1.08)
    left.set_xticks(np.linspace(0, 1, 6))
    left.set_xlabel("shape bias, with 95 % interval over images")
    left.set_title("of the decided, % for the shape")
    for y, row in enumerate(rows):
        shape, texture = (
            number(row[key]) for key in ("shape_accuracy", "texture_accuracy")
        )
        style = {"edgecolor": "white", "lw": 0.5}
        right.barh(y, shape, 0.72, color=_SHAPE, **style)
        right.barh(y, texture, 0.72, shape, color=_TEXTURE, hatch="//", **style)
        rest = 1 - shape - texture
        right.barh(y, rest, 0.72, shape + texture, color=_NEITHER, **style)
    right.set_xlim(0, 1)
    right.tick_params(left=False)
    right.spines[["left"]].set_visible(False)
    n = min(row["n"] // row.get("observers", 1) for row in rows)
    right.set_xlabel(f"share of the {n:,} images with a conflict")
    right.set_title("of all: shape, texture (hatched), neither", fontsize=8.5)
    look.caption(figure, remark, 125)
    return figure
