"""Retrieval across domains and lengths of features, as figure, tables and words.

All of it from rows of the suite `retrieval`. Imports no JAX.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.reports import look as look_lib
from jigsaw_shape.reports.evaluation.parts import NONE, Table, interval, percent
from jigsaw_shape.reports.look import number

_SUITE = "retrieval"
_MOST_NUMBERS = 12  # domains: beyond that numbers in cells are illegible
_LENGTH = "#0072B2"


def figure(rows: Sequence[Mapping], remark: str = "") -> Figure:
    """Returns what finds what, beside the lengths of the features: a row a model.

    Lengths are drawn over the mean of the photographs' where there are any, else over
    the mean of all domains' means, so that models compare.

    Args:
      rows: Of one data set, with `measure`; all models of the same domains.
      remark: Written below.
    """
    models = list(dict.fromkeys(row["model"] for row in rows))
    names = _domains(rows)
    side = max(1.7, 0.62 * len(names))  # inches, of a heat map
    labels = 0.085 * max(map(len, names))
    with look_lib.look():
        result = Figure(
            figsize=(2 * labels + side + 5.2, (side + 0.75) * len(models) + 1.3),
            layout="constrained",
        )
        grid = result.subplots(
            len(models), 2, squeeze=False, width_ratios=(side, 3.2), sharex="col"
        )
        scale = max(
            [
                number(row["map"])
                for row in rows
                if row["measure"] == "retrieval" and row["map"] is not None
            ],
            default=1.0,
        )
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
    """Draws mAP and, below it, chance, of each query's domain in each searched one."""
    values, chance = np.full((2, len(names), len(names)), np.nan)
    for row in rows:
        if row["measure"] == "retrieval":
            cell = names.index(row["query"]), names.index(row["gallery"])
            values[cell], chance[cell] = number(row["map"]), number(row["chance"])
    picture = axes.imshow(
        100 * values, cmap="Blues", vmin=0, vmax=100 * scale, aspect="auto"
    )
    axes.set_yticks(range(len(names)), names)
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
    """Draws each domain's lengths; returns by what they are divided."""
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
        axes.annotate(
            f"{mean:.2f}",
            (max(high, mean), y),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)  # in line with the heat map's rows
    axes.margins(x=0.15)
    axes.grid(axis="x", color=look_lib.FAINT, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(left=False)
    return unit


def tables(rows: Sequence[Mapping], data: str) -> Iterator[Table]:
    """Yields the tables of one data set: what finds what, how early, and lengths."""
    rows = [r for r in rows if r["suite"] == _SUITE and "measure" in r]
    if not rows:
        return
    models = list(dict.fromkeys(row["model"] for row in rows))
    found = [r for r in rows if r["measure"] == "retrieval"]
    cells = {(r["query"], r["gallery"], r["model"]): r for r in found}
    pairs = list(dict.fromkeys((r["query"], r["gallery"]) for r in found))
    yield Table(
        _SUITE,
        f"mAP on {data}, in % (95 % interval over queries)",
        ("query → searched", "queries", "chance", *models),
        tuple(
            (
                f"{query} → {gallery}",
                f"{cells[query, gallery, models[0]]['n_queries']:,}",
                percent(cells[query, gallery, models[0]]["chance"]),
                *(_with_interval(cells[query, gallery, model]) for model in models),
            )
            for query, gallery in pairs
        )
        + tuple(_means(found, models)),
    )
    yield Table(
        _SUITE,
        f"Precision among the first 1, 5 and 10 found on {data}, in %",
        ("query → searched", *models),
        tuple(
            (
                f"{query} → {gallery}",
                *(_precision(cells[query, gallery, model]) for model in models),
            )
            for query, gallery in pairs
        ),
    )
    yield _length_table(rows, data)


def _with_interval(row: Mapping) -> str:
    if row["map"] is None:  # no query has a match
        return NONE
    return f"{percent(row['map'])} ({interval(row)})"


def _precision(row: Mapping) -> str:
    keys = [key for key in row if key.startswith("precision_at_")]
    return " / ".join(percent(row[key]) for key in keys)


def _means(found: Sequence[Mapping], models: Sequence[str]) -> Iterator[tuple]:
    """Yields lines of means over pairs of two domains, and over single domains."""
    for title, is_cross in (("between two, mean", True), ("within one, mean", False)):
        here = [r for r in _matched(found) if (r["query"] != r["gallery"]) == is_cross]
        if len({(r["query"], r["gallery"]) for r in here}) > 1:
            chance = _mean(r["chance"] for r in here)
            of_model = [
                percent(_mean(r["map"] for r in here if r["model"] == model))
                for model in models
            ]
            yield (title, NONE, percent(chance), *of_model)


def _matched(found: Sequence[Mapping]) -> list[Mapping]:
    return [row for row in found if row["map"] is not None]


def _mean(values: Iterable[float]) -> float:
    return float(np.mean([*values]))


def _length_table(rows: Sequence[Mapping], data: str) -> Table:
    lengths = [r for r in rows if r["measure"] == "norm"]
    reference = lengths[0].get("reference")
    key = "relative" if reference is None else "ratio"
    of = "all domains'" if reference is None else f"{reference}'s"
    less = {
        (r["model"], r["domain"]): r["probability"]
        for r in rows
        if r["measure"] == "norm_shorter" and r["than"] == reference
    }
    columns = ("", "domain", "images", "mean", "median", "quartiles", f"mean ÷ {of}")
    shorter = () if reference is None else (f"shorter than {reference}, %",)
    return Table(
        _SUITE,
        f"Length of features on {data}",
        (*columns, *shorter),
        tuple(
            (
                row["model"],
                row["domain"],
                f"{row['n']:,}",
                f"{row['mean']:.2f}",
                f"{row['median']:.2f}",
                f"{row['quartile_1']:.2f} to {row['quartile_3']:.2f}",
                NONE if row[key] is None else f"{row[key]:.3f}",
                *(percent(less.get((row["model"], row["domain"]))) for _ in shorter),
            )
            for row in lengths
        ),
    )


def lead(rows: Sequence[Mapping]) -> str:
    """Returns how to read it, and what each model finds in other domains."""
    text = (
        "Each image (row) looks for images of its class in a domain (column), nearest "
        "features first; 100 % would be all of them before any other, chance is any "
        "order. On the right: how long each domain's features are; shorter ones excite "
        "the network less."
    )
    for model in dict.fromkeys(row["model"] for row in rows):
        found = _summary([row for row in rows if row["model"] == model])
        text += "".join(f" {model}: {value}, {what}." for value, what, _ in found)
    return text


def facts(rows: Sequence[Mapping]) -> list[tuple[str, str, float | None]]:
    """Returns what a card says of one model, see `parts.Card`; nothing without rows."""
    found = []
    rows = [row for row in rows if row["suite"] == _SUITE and "measure" in row]
    for data in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == data]
        found += [(v, f"{what}, {data}", share) for v, what, share in _summary(here)]
    return found


def _summary(rows: Sequence[Mapping]) -> Iterator[tuple[str, str, float | None]]:
    """Yields the mean mAP, and the domain whose features are the shortest."""
    found = _matched([row for row in rows if row["measure"] == "retrieval"])
    cross = [row for row in found if row["query"] != row["gallery"]]
    used = cross or found
    if used:
        where = "between domains" if cross else "within a domain"
        mean = f"mean over {len(used)} pairs; " if len(used) > 1 else ""
        chance = percent(_mean(row["chance"] for row in used))
        share = _mean(row["map"] for row in used)
        yield f"{percent(share)} %", f"mAP {where} ({mean}chance {chance} %)", share
    lengths = [r for r in rows if r["measure"] == "norm" and r.get("ratio")]
    lengths = [r for r in lengths if r["domain"] != r["reference"]]
    if lengths:
        least = min(lengths, key=lambda row: row["ratio"])
        what = f"the length of features of {least['domain']} over {least['reference']}"
        others = ", the least of the other domains" if len(lengths) > 1 else ""
        yield f"{least['ratio']:.2f}", what + others, None


def _domains(rows: Sequence[Mapping]) -> list[str]:
    named = (row["domain"] for row in rows if row["measure"] == "norm")
    return list(dict.fromkeys(named))
