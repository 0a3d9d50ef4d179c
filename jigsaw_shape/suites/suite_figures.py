"""Distortions, puzzles and paired differences as figures, from rows. No JAX."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks, number

# Distortion -> its name and what its level is, where that is not the name itself.
DISTORTIONS = {
    "contrast": ("Contrast", "share of the contrast"),
    "low_pass": ("Low-pass", "blur, px at 224"),
    "high_pass": ("High-pass", "blur, px at 224"),
    "uniform_noise": ("Uniform noise", "half-width"),
    "phase_scrambling": ("Phase scrambling", "phase noise, degrees"),
    "power_equalisation": ("Power equalisation", "spectrum: 0 own, 1 the mean"),
    "false_colour": ("False colour", "colours: 0 own, 1 opposite"),
    "rotation": ("Rotation", "turn, degrees"),
    "eidolon_1": ("Eidolon I", "reach, px at 224"),
    "eidolon_2": ("Eidolon II", "reach, px at 224"),
    "eidolon_3": ("Eidolon III", "reach, px at 224"),
}


def named(condition: str) -> tuple[str, str]:
    """Returns a condition's name and what its level is, as figures say it."""
    kind, _, grid = condition.partition("/")
    if kind == "shuffled":
        return ("Whole" if grid == "1" else f"{grid} × {grid} tiles"), "level"
    usual = condition.replace("_", " ").capitalize(), "level"
    return DISTORTIONS.get(condition, usual)


def level_text(level) -> str:
    """Returns a level as figures and tables write it."""
    if level == "inf":
        return "∞"
    return f"{level:g}" if isinstance(level, int | float) else str(level)


def curves(rows: Sequence[dict], looks: Looks) -> Figure:
    """Returns accuracy against each distortion's levels, a panel each.

    Broken lines are the accuracies by chance of models with as many classes.

    Args:
      rows: Of suite `distortions` and one data set.
      looks: Of the models.
    """
    rows = [row for row in rows if "level" in row]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    n_columns = min(4, len(conditions))
    n_rows = math.ceil(len(conditions) / n_columns)
    with look.look():
        figure = Figure(
            figsize=(2.7 * n_columns + 0.6, 2.35 * n_rows + 0.6), layout="constrained"
        )
        grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        for axes, condition in zip(grid.flat, conditions, strict=False):
            here = [row for row in rows if row["condition"] == condition]
            levels = list(dict.fromkeys(row["level"] for row in here))
            for name in dict.fromkeys(row["model"] for row in here):
                _curve(axes, [r for r in here if r["model"] == name], levels, looks)
            for chance in _chances(rows):
                axes.axhline(chance, color="#888888", lw=0.9, ls=(0, (4, 3)), zorder=1)
            title, unit = named(condition)
            axes.set_title(title)
            axes.set_xlabel(unit, fontsize=8.5)
            axes.set_xticks(range(len(levels)), [level_text(v) for v in levels])
            axes.tick_params(
                axis="x", labelsize=8, rotation=0 if len(levels) < 7 else 45
            )
            axes.set_ylim(0, 1.02)
            axes.grid(axis="y", color=look.FAINT, lw=0.8)
            axes.set_axisbelow(True)
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy")
        for axes in list(grid.flat)[len(conditions) :]:
            axes.set_axis_off()
        look.legend_above(figure, grid[0, 0])
    return figure


def _chances(rows) -> list[float]:
    return sorted({1 / row["n_classes"] for row in rows})


def _curve(axes, rows, levels, looks) -> None:
    rows = sorted(rows, key=lambda row: levels.index(row["level"]))
    colour, mark = look.of(rows[0], looks)
    x = [levels.index(row["level"]) for row in rows]
    axes.fill_between(
        x,
        [number(row.get("low")) for row in rows],
        [number(row.get("high")) for row in rows],
        color=colour,
        alpha=0.15,
        lw=0,
    )
    axes.plot(
        x,
        [number(row["accuracy"]) for row in rows],
        marker=mark,
        color=colour,
        ms=5.5,
        mec="white",
        mew=0.5,
        lw=1.6,
        label=rows[0]["model"],
        clip_on=False,
        zorder=3,
    )


def shuffled(rows: Sequence[dict], looks: Looks) -> Figure:
    """Returns accuracy on images whose tiles trade places, for growing grids.

    Broken lines are the accuracies by chance of models with as many classes.

    Args:
      rows: Of suite `puzzle` and one data set.
      looks: Of the models.
    """
    rows = [r for r in rows if r.get("condition") == "shuffled" and "level" in r]
    levels = sorted({row["level"] for row in rows})
    with look.look():
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        for name in dict.fromkeys(row["model"] for row in rows):
            _curve(axes, [r for r in rows if r["model"] == name], levels, looks)
        for chance in _chances(rows):
            axes.axhline(chance, color="#888888", lw=0.9, ls=(0, (4, 3)))
            axes.annotate(
                "chance",
                (0, chance),
                (0, -11),
                textcoords="offset points",
                fontsize=8,
                ha="center",
                color="#666666",
            )
        ticks = ["whole" if n == 1 else f"{n} × {n}" for n in levels]
        axes.set_xticks(range(len(levels)), ticks)
        axes.set_ylim(0, 1.02)
        axes.grid(axis="y", color=look.FAINT, lw=0.8)
        axes.set_axisbelow(True)
        axes.set_xlabel("grid of tiles, all of which change places")
        axes.set_ylabel("accuracy (95 % interval over images)")
        look.legend_above(figure, axes)
    return figure


def jigsaw_confusion(row: dict) -> Figure:
    """Returns which orders a model's jigsaw head takes for which.

    Args:
      row: Of suite `puzzle`, condition `jigsaw`.
    """
    counts = np.asarray(row["confusion"], float)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with look.look():
        figure = Figure(figsize=(5.6, 4.9), layout="constrained")
        axes = figure.subplots()
        picture = axes.imshow(shares, cmap="Blues", vmin=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("answered order (0: not shuffled)")
        axes.set_ylabel("true order")
        axes.set_title(
            f"{row['model']}: right on {100 * number(row['shuffled_accuracy']):.1f} % "
            f"of shuffled images (chance {100 * row['chance']:.1f} %),\n"
            f"on {100 * number(row['ordered_accuracy']):.1f} % of ordered ones"
        )
        figure.colorbar(picture, ax=axes, shrink=0.8, label="share of the true order")
    return figure


def differences(rows: Sequence[dict], remark: str = "") -> Figure:
    """Returns paired differences between two models, a line a condition.

    Args:
      rows: With `difference`, of one pair of models, suite and data set.
      remark: Written below.
    """
    rows = list(reversed(rows))
    with look.look():
        figure = Figure(figsize=(7.2, 1.5 + 0.28 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for y, row in enumerate(rows):
            clear = row["low"] > 0 or row["high"] < 0
            colour = "#0072B2" if clear else "#8C8C8C"
            axes.plot(
                [row["low"], row["high"]],
                [y, y],
                color=colour,
                lw=2.2,
                solid_capstyle="round",
            )
            axes.plot(row["difference"], y, "o", color=colour, ms=6.5, mec="white")
        axes.axvline(0, color="#666666", lw=0.9)
        axes.set_yticks(range(len(rows)), [named(r["condition"])[0] for r in rows])
        axes.set_ylim(-0.7, len(rows) - 0.3)
        reach = 1.1 * max(max(abs(r["low"]), abs(r["high"])) for r in rows) or 0.1
        axes.set_xlim(-reach, reach)
        axes.grid(axis="x", color=look.FAINT, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(left=False)
        first, second = rows[0]["model"], rows[0]["versus"]
        axes.set_xlabel(
            f"{first} minus {second}, on the same images (95 % interval); "
            "grey: may be 0"
        )
        axes.set_title(
            f"← {second} is better    {first} is better →", loc="center", fontsize=9
        )
        look.caption(figure, remark, 95)
    return figure
