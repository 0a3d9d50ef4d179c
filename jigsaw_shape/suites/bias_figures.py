"""Shape bias and error consistency as figures, from rows. Imports no JAX."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.reports import look as look_lib
from jigsaw_shape.reports.look import Looks, number
from jigsaw_shape.suites.scoring import HUMANS


def bias_by_category(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns the well-known figure: categories down, from shape to texture across.

    Args:
      rows: Of suite `shape_bias` and one data set, with `shape_bias`.
      looks: Of the models.
      remark: How the images were made.
    """
    rows = [row for row in rows if "shape_bias" in row]
    categories = sorted({row["category"] for row in rows if "category" in row})
    place = {name: n for n, name in enumerate(reversed(categories))}
    with look_lib.look():
        figure = Figure(
            figsize=(7.2, 1.9 + 0.34 * len(categories)), layout="constrained"
        )
        axes = figure.subplots()
        for y in place.values():
            axes.axhline(y, color=look_lib.FAINT, lw=0.8, zorder=0)
        axes.axvline(0.5, color="#BBBBBB", lw=0.8, ls=(0, (2, 3)), zorder=0)
        for row in rows:
            _bias_mark(axes, row, place, looks)
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
        look_lib.legend_above(figure, axes)
        look_lib.caption(figure, remark, 95)
    return figure


def _bias_mark(axes, row, place, looks) -> None:
    colour, mark = look_lib.of(row, looks)
    texture = 1 - number(row["shape_bias"])
    model, pooled = row["group"] == "model", row["model"] == HUMANS
    if "category" not in row:
        if model or pooled:
            label = f"{row['model']}: shape bias {100 * (1 - texture):.1f} %"
            axes.axvline(texture, color=colour, lw=1.6, zorder=1, alpha=0.8)
            point = {"s": 62 if model else 34, "color": colour, "marker": mark}
            axes.scatter([], [], label=label, edgecolor="white", lw=0.6, **point)
        elif row["group"] == "network" and not any(
            "published" in str(line.get_label()) for line in axes.collections
        ):
            axes.scatter(
                [],
                [],
                s=16,
                color=colour,
                marker=mark,
                label="published networks, each",
            )
        return
    if pooled:
        return
    look = {"s": 62, "zorder": 4, "edgecolor": "white", "lw": 0.6}
    offset = 0.0
    if row["group"] == "human":
        look = {"s": 22, "zorder": 3, "alpha": 0.45, "lw": 0}
        offset = 0.16
    elif row["group"] == "network":
        look = {"s": 14, "zorder": 2, "alpha": 0.45, "lw": 0}
        offset = -0.16
    y = place[row["category"]] + offset
    axes.scatter([texture], [y], color=colour, marker=mark, clip_on=False, **look)


def bias_ranking(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns everyone's shape bias with its interval, beside how it comes about.

    Args:
      rows: Of suite `shape_bias` and one data set, with `shape_bias`.
      looks: Of the models.
      remark: Written below.
    """
    rows = [row for row in rows if "shape_bias" in row and "category" not in row]
    several = any(row["model"] == HUMANS for row in rows)
    rows = [
        r for r in rows if r["group"] != "human" or r["model"] == HUMANS or not several
    ]
    rows.sort(key=lambda row: np.nan_to_num(number(row["shape_bias"]), nan=-1))
    names = [look_lib.two_lines(row["model"]) for row in rows]
    with look_lib.look():
        figure = Figure(figsize=_size(9.2, names), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for y, row in enumerate(rows):
            colour, mark = look_lib.of(row, looks)
            bias = number(row["shape_bias"])
            left.plot(
                [number(row["low"]), number(row["high"])],
                [y, y],
                color=colour,
                lw=2,
                solid_capstyle="round",
            )
            left.plot(bias, y, mark, color=colour, ms=7, mec="white", mew=0.6)
            left.annotate(
                f"{100 * bias:.1f}",
                (number(row["high"]), y),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=look_lib.INK,
            )
            shape, texture = row["shape_accuracy"], row["texture_accuracy"]
            parts = (
                (number(shape), "#3B6FB6", ""),
                (number(texture), "#E3A857", "//"),
                (1 - number(shape) - number(texture), "#EEEEEE", ""),
            )
            start = 0.0
            for share, fill, hatch in parts:
                right.barh(
                    y,
                    share,
                    0.72,
                    start,
                    color=fill,
                    hatch=hatch,
                    edgecolor="white",
                    lw=0.5,
                )
                start += share
        left.set_yticks(range(len(rows)), names)
        for tick, row in zip(left.get_yticklabels(), rows, strict=True):
            if row["group"] != "network":
                tick.set(color=look_lib.of(row, looks)[0], fontweight="bold")
        left.set_xlim(0, 1.08)
        left.set_ylim(-0.7, len(rows) - 0.3)
        left.set_xticks(np.linspace(0, 1, 6))
        left.grid(axis="x", color=look_lib.FAINT, lw=0.8)
        left.set_axisbelow(True)
        left.tick_params(left=False)
        left.set_xlabel("shape bias, with 95 % interval over images")
        left.set_title("of the decided, % for the shape")
        right.set_xlim(0, 1)
        right.tick_params(left=False)
        right.spines[["left"]].set_visible(False)
        right.set_xlabel(f"share of the {_n_images(rows)} images with a conflict")
        right.set_title(
            "of all: shape, texture (hatched), neither",
            fontsize=8.5,
        )
        look_lib.caption(figure, remark, 125)
    return figure


def _size(width: float, names: Sequence[str]) -> tuple[float, float]:
    """Returns inches: a row of each name, and room for what usual names leave none."""
    lines = [line for name in names for line in name.splitlines()]
    longest = max(map(len, lines), default=0)
    row = 0.36 if any("\n" in name for name in names) else 0.3
    return width + 0.09 * max(0, longest - 14), 1.6 + row * len(names)


def _n_images(rows) -> str:
    return f"{min(row['n'] // row.get('observers', 1) for row in rows):,}"


def consistency(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure | None:
    """Returns everyone's error consistency with humans; None without humans.

    Args:
      rows: Of one suite and data set, with `error_consistency`.
      looks: Of the models.
      remark: Written below.
    """
    rows = [r for r in rows if "error_consistency" in r and r["versus"] == HUMANS]
    if not rows:
        return None
    rows = sorted(rows, key=lambda row: row["error_consistency"])
    names = [
        "humans among themselves"
        if row["model"] == HUMANS
        else look_lib.two_lines(row["model"])
        for row in rows
    ]
    with look_lib.look():
        figure = Figure(figsize=_size(7.2, names), layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(rows):
            colour, mark = look_lib.of(row, looks)
            axes.plot(
                [row["low"], row["high"]],
                [y, y],
                color=colour,
                lw=2,
                solid_capstyle="round",
            )
            axes.plot(
                row["error_consistency"],
                y,
                mark,
                color=colour,
                ms=7,
                mec="white",
                mew=0.6,
            )
            axes.annotate(
                f"{row['error_consistency']:.3f}",
                (row["high"], y),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
            if row["model"] == HUMANS:
                axes.axvspan(row["low"], row["high"], color=colour, alpha=0.08, lw=0)
        axes.set_yticks(range(len(rows)), names)
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            if row["group"] != "network":
                tick.set(color=look_lib.of(row, looks)[0], fontweight="bold")
        axes.axvline(0, color="#999999", lw=0.8)
        axes.set_xlim(min(-0.02, *(row["low"] - 0.02 for row in rows)), None)
        axes.margins(x=0.1)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.grid(axis="x", color=look_lib.FAINT, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(left=False)
        axes.set_xlabel(
            "error consistency with humans, mean over pairs, with 95 % interval\n"
            "(Cohen's kappa of right and wrong: 0 by chance, 1 the same errors)"
        )
        look_lib.caption(figure, remark, 95)
    return figure
