"""Accuracies as figures, from rows. Imports no JAX."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks, number
from jigsaw_shape.suites.scoring import HUMANS

_TITLES = {
    "cue_conflict": "cue conflict",
    "silhouettes": "silhouettes",
    "edges": "edges",
    "greyscale": "greyscale",
    "black_and_white": "black and white",
    "original": "original",
    "texture": "texture",
    "images": "images",
}


def title_of(condition: str) -> str:
    """Returns a condition's name as it is written in figures."""
    return _TITLES.get(condition, condition.replace("_", " "))


def accuracies(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns everyone's accuracy in each experiment.

    Args:
      rows: With `accuracy` and `condition`, without `category`; of any data.
      looks: Of the models.
      remark: Written below.
    """
    rows = [row for row in rows if "accuracy" in row and "category" not in row]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    with look.look():
        figure = Figure(
            figsize=(max(5.0, 1.4 + 1.5 * len(conditions)), 4.2), layout="constrained"
        )
        axes = figure.subplots()
        models = [m for m in looks if any(row["model"] == m for row in rows)]
        seen = set()
        for row in rows:
            x = conditions.index(row["condition"])
            colour, mark = look.of(row, looks)
            accuracy = number(row["accuracy"])
            if row["group"] == "model":
                x += 0.14 * (models.index(row["model"]) - (len(models) - 1) / 2)
                label = row["model"]
                ends = [
                    [accuracy - number(row["low"])],
                    [number(row["high"]) - accuracy],
                ]
                axes.errorbar(
                    x,
                    accuracy,
                    ends,
                    fmt=mark,
                    color=colour,
                    ms=8,
                    lw=1.6,
                    mec="white",
                    mew=0.6,
                    zorder=4,
                    label=label if label not in seen else None,
                )
            elif row["model"] == HUMANS:
                label = "humans, mean"
                axes.plot(
                    [x - 0.33, x + 0.33],
                    [accuracy] * 2,
                    color=colour,
                    lw=2,
                    zorder=2,
                    label=label if label not in seen else None,
                )
            else:
                human = row["group"] == "human"
                label = "humans, each" if human else "published networks, each"
                axes.scatter(
                    x + (-0.33 if human else 0.33),
                    accuracy,
                    s=20,
                    color=colour,
                    marker=mark,
                    alpha=0.5,
                    lw=0,
                    zorder=3,
                    label=label if label not in seen else None,
                )
            seen.add(label)
        axes.set_xticks(range(len(conditions)), [title_of(c) for c in conditions])
        axes.set_xlim(-0.6, len(conditions) - 0.4)
        axes.set_ylim(-0.02, 1.02)
        axes.grid(axis="y", color=look.FAINT, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(bottom=False)
        axes.set_ylabel("accuracy (95 % interval over images)")
        look.legend_above(figure, axes)
        look.caption(figure, remark, 90)
    return figure


def by_class(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns models' accuracy on each class, with their means as lines.

    Args:
      rows: Of one suite and data set, with `accuracy`.
      looks: Of the models.
      remark: Written below.
    """
    rows = [row for row in rows if "accuracy" in row and row["group"] == "model"]
    categories = sorted({row["category"] for row in rows if "category" in row})
    place = {name: n for n, name in enumerate(reversed(categories))}
    with look.look():
        figure = Figure(
            figsize=(7.2, 1.6 + 0.34 * len(categories)), layout="constrained"
        )
        axes = figure.subplots()
        for row in rows:
            colour, mark = look.of(row, looks)
            accuracy = number(row["accuracy"])
            if "category" not in row:
                axes.axvline(
                    accuracy,
                    color=colour,
                    lw=1.6,
                    alpha=0.8,
                    label=f"{row['model']}: {100 * accuracy:.1f} %",
                    marker=mark,
                    mec="white",
                )
                continue
            y = place[row["category"]]
            y += 0.16 * (list(looks).index(row["model"]) - (len(looks) - 1) / 2)
            axes.plot(
                [number(row["low"]), number(row["high"])],
                [y, y],
                color=colour,
                lw=1.4,
                alpha=0.6,
            )
            axes.plot(
                accuracy,
                y,
                mark,
                color=colour,
                ms=7.5,
                mec="white",
                mew=0.6,
                clip_on=False,
            )
        axes.set_yticks(list(place.values()), list(place))
        axes.set_ylim(-0.7, len(categories) - 0.3)
        axes.set_xlim(0, 1.0)
        axes.grid(axis="both", color=look.FAINT, lw=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(left=False)
        axes.set_xlabel("accuracy (95 % interval over images); lines: all classes")
        look.legend_above(figure, axes)
        look.caption(figure, remark, 95)
    return figure
