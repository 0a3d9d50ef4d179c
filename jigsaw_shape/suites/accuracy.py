"""Accuracy of models, humans and networks from decisions: rows, a table, figures."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.measures import intervals
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks, number
from jigsaw_shape.reports.table import NONE, Table, interval, percent
from jigsaw_shape.suites import differences, figure_parts
from jigsaw_shape.suites.observers import HUMANS, as_listed, crowds
from jigsaw_shape.suites.suite import Answers, Fact


def share(right: np.ndarray, n_trials: int = 1, *, seed: int = 0) -> dict:
    """Returns `accuracy` with its interval and `n` trials.

    Args:
      right: [n], the right answers to each image.
      n_trials: Answers to each image.
      seed: Of the bootstrap.
    """
    right = np.asarray(right, np.float64)
    trials = np.full(len(right), n_trials)
    low, high = intervals.interval(right, trials, seed=seed)
    n = int(trials.sum())
    return {"accuracy": float(right.sum() / n), "low": low, "high": high, "n": n}


def rows(answers: Answers) -> Iterator[dict]:
    """Yields everyone's accuracy, overall and for each category, and differences.

    `condition` is the experiment. The overall row of a model that cannot answer some
    categories also has `shared_accuracy`, on the `shared_n` images of the others.
    """
    stimuli, models = answers.stimuli, answers.decisions
    base = {"condition": stimuli.experiment}
    for name, group, crowd in crowds(models, answers.observers):
        right = np.stack([one.correct for one in crowd]).sum(0)
        several = {"observers": len(crowd)} if len(crowd) > 1 else {}
        for category in (None, *np.unique(stimuli.category)):
            here = right if category is None else right[stimuli.category == category]
            row = {**base, "model": name, "group": group}
            row |= {} if category is None else {"category": str(category)}
            row |= share(here, len(crowd), seed=answers.seed)
            match = answers.matches.get(name) if group == "model" else None
            if category is None and match and match.missing:
                known = right[~np.isin(stimuli.category, match.missing)]
                row |= {"shared_accuracy": float(known.mean()), "shared_n": len(known)}
            yield {**row, **several}
    correct = {one.observer: {stimuli.experiment: one.correct} for one in models}
    yield from differences.rows(correct, seed=answers.seed)


def table(rows: Sequence[dict], data: str) -> Iterator[Table]:
    """Yields the table of overall accuracies, a column a condition."""
    overall = as_listed([r for r in rows if "accuracy" in r and "category" not in r])
    if not overall:
        return
    conditions = list(dict.fromkeys(r["condition"] for r in overall))
    cells = {(r["model"], r["condition"]): r for r in overall}
    some_shared = any("shared_accuracy" in r for r in overall)
    columns = []
    for condition in conditions:
        columns += [differences.title_of(condition), "95 % interval"]
        columns += ["on shared classes"] * some_shared
    body = []
    for who in dict.fromkeys(r["model"] for r in overall):
        line = [who]
        for condition in conditions:
            row = cells.get((who, condition), {})
            line += [percent(row.get("accuracy")), interval(row)]
            if some_shared:
                line.append(_shared(row))
        body.append(tuple(line))
    n = max(r["n"] // r.get("observers", 1) for r in overall)
    yield Table(
        f"Accuracy on {data}, in % of {n:,} images",
        ("", *columns),
        tuple(body),
    )


def _shared(row) -> str:
    if "shared_accuracy" not in row:
        return NONE
    return f"{percent(row['shared_accuracy'])} of {row['shared_n']:,}"


def facts(rows: Sequence[dict]) -> Iterator[Fact]:
    """Yields what a card says of each accuracy."""
    for row in rows:
        if "accuracy" in row:
            on = differences.title_of(row["condition"])
            on = row["data"] if on in ("images", row["data"]) else on
            yield f"{percent(row['accuracy'])} %", f"right on {on}", row["accuracy"]
            if "shared_accuracy" in row:
                what = f"right on the classes of {on} that it knows"
                shared = row["shared_accuracy"]
                yield f"{percent(shared)} %", what, shared


def by_condition(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns the figure of everyone's accuracy in each condition."""
    rows = [row for row in rows if "accuracy" in row and "category" not in row]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    figure, axes = figure_parts.new_axes(max(5.0, 1.4 + 1.5 * len(conditions)), 4.2)
    models = [m for m in looks if any(row["model"] == m for row in rows)]
    seen = set()
    for row in rows:
        x, y = conditions.index(row["condition"]), number(row["accuracy"])
        colour, mark = look.of(row, looks)
        if row["group"] == "model":
            label = row["model"]
            x += 0.14 * (models.index(label) - (len(models) - 1) / 2)
            reach = [[y - number(row["low"])], [number(row["high"]) - y]]
            style = {"ms": 8, "lw": 1.6, "mec": "white", "mew": 0.6, "zorder": 4}
            drawn = axes.errorbar(x, y, reach, fmt=mark, color=colour, **style)
        elif row["model"] == HUMANS:
            label = "humans, mean"
            (drawn,) = axes.plot(
                [x - 0.33, x + 0.33], [y, y], color=colour, lw=2, zorder=2
            )
        else:
            human = row["group"] == "human"
            label = "humans, each" if human else "published networks, each"
            x += -0.33 if human else 0.33
            style = {"marker": mark, "alpha": 0.5, "lw": 0, "zorder": 3}
            drawn = axes.scatter(x, y, s=20, color=colour, **style)
        if label not in seen:
            drawn.set_label(label)
        seen.add(label)
    axes.set_xticks(
        range(len(conditions)), [differences.title_of(c) for c in conditions]
    )
    axes.set_xlim(-0.6, len(conditions) - 0.4)
    axes.set_ylim(-0.02, 1.02)
    figure_parts.faint_grid(axes, "y")
    axes.set_ylabel("accuracy (95 % interval over images)")
    look.legend_above(figure, axes)
    look.caption(figure, remark, 90)
    return figure


def by_class(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns the figure of models' accuracy on each class, with means as lines."""
    rows = [row for row in rows if "accuracy" in row and row["group"] == "model"]
    categories = sorted({row["category"] for row in rows if "category" in row})
    place = {name: n for n, name in enumerate(reversed(categories))}
    figure, axes = figure_parts.new_axes(7.2, 1.6 + 0.34 * len(categories))
    for row in rows:
        colour, mark = look.of(row, looks)
        x = number(row["accuracy"])
        if "category" not in row:
            label = f"{row['model']}: {100 * x:.1f} %"
            style = {"color": colour, "lw": 1.6, "alpha": 0.8}
            axes.axvline(x, label=label, marker=mark, mec="white", **style)
            continue
        y = place[row["category"]]
        y += 0.16 * (list(looks).index(row["model"]) - (len(looks) - 1) / 2)
        ends = number(row["low"]), number(row["high"])
        axes.plot(ends, [y, y], color=colour, lw=1.4, alpha=0.6)
        style = {"ms": 7.5, "mec": "white", "mew": 0.6}
        axes.plot(x, y, mark, color=colour, clip_on=False, **style)
    axes.set_yticks(list(place.values()), list(place))
    axes.set_ylim(-0.7, len(categories) - 0.3)
    axes.set_xlim(0, 1.0)
    figure_parts.faint_grid(axes, "both")
    axes.set_xlabel("accuracy (95 % interval over images); lines: all classes")
    look.legend_above(figure, axes)
    look.caption(figure, remark, 95)
    return figure
