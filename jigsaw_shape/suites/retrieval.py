"""The suite `retrieval`: finding a class in another domain; lengths of features.

It reads pooled features alone, so the classes that a model knows do not matter.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.data import domain_folders
from jigsaw_shape.data.known_sets import photographs_among
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.measures import retrieval
from jigsaw_shape.reports import look as look_lib
from jigsaw_shape.reports.look import number
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import NONE, Table, interval, percent
from jigsaw_shape.suites import differences, figure_parts, row_tables, with_features
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import PLAIN, Answers, Fact, Found, Job, Suite
from jigsaw_shape.training import learner

_MOST_NUMBERS = 12  # domains: beyond that numbers in cells are illegible
_LENGTH = "#0072B2"


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns images of domains, and the models that give features.

    These are the given images; without any, each run's own, for other models too.
    """
    del suites
    able, left_out = with_features.models(opened, "retrieval")
    given = [s for s in opened.data if s.experiment == domain_folders.EXPERIMENT]
    if given:
        left_out += with_features.refused_files(opened, "retrieval")
        found = [(s, able) for s in given if able or opened.features]
    else:
        found = with_features.with_others(opened.of_runs(own_images), able)
    jobs, notes = [], []
    for stimuli, models in found:
        try:
            retrieval.check(stimuli.category, stimuli.name)
        except ValueError as error:
            left_out.append(str(error))
        else:
            jobs.append(Job(stimuli, tuple(models)))
            notes += [f"{stimuli.name}: {stimuli.made_by}"] * bool(stimuli.made_by)
    return Found(jobs, left_out, notes)


def own_images(config) -> Stimuli:
    """Returns a run's target and its sources' validation images."""
    dataset, splits = learner.load_data(config)
    stimuli = of_dataset(
        dataset,
        np.sort(np.concatenate([splits.val, splits.target])),
        name=f"{dataset.name}/{config.data.target} and validation",
        side_px=config.data.stored_px,
    )
    made_by = (
        f"Every image of the target {config.data.target} and the images of "
        f"{', '.join(splits.sources)} that were held out for validation; the run was "
        "trained on none of them"
    )
    return dataclasses.replace(stimuli, made_by=made_by)


def rows(answers: Answers) -> Iterator[dict]:
    """Yields retrieval between domains, lengths of features, then differences of mAP.

    See `measures.retrieval` for the rows of each `measure`. The `condition` of a
    difference names the two domains.
    """
    stimuli, scores = answers.stimuli, {}
    _, labels = np.unique(stimuli.category, return_inverse=True)
    names = tuple(dict.fromkeys(stimuli.domain.tolist()))
    domains = np.array([names.index(name) for name in stimuli.domain])
    photographs = photographs_among(names)
    features = {
        model.name: answers.outputs[model.name][PLAIN.name]["features"]
        for model in answers.models
    }
    for name, vectors in {**features, **answers.features}.items():
        base = {"model": name, "group": "model"}
        found = retrieval.between(vectors, labels, domains, names)
        for row in retrieval.retrieval_rows(found, seed=answers.seed):
            yield base | row
        for row in retrieval.norm_rows(vectors, domains, names, photographs):
            yield base | row
        scores[name] = {
            f"{query} → {searched}": one.scores
            for (query, searched), one in found.items()
            if one.n_queries
        }
    yield from differences.rows(scores, seed=answers.seed)


def _section(rows, data, results, looks) -> Section:
    del looks
    shown = [row for row in rows if "measure" in row]
    stimuli = results.stimuli[data]
    remark = f"{data}. {stimuli.made_by}" if stimuli.made_by else data
    drawn = {f"retrieval_{data}": figure(shown, remark)}
    drawn |= differences.figures(rows, data, str)
    firsts = zip(*np.unique(stimuli.domain, return_index=True), strict=True)
    tiles = [Tile(figure_parts.thumbnail(stimuli, i), str(d)) for d, i in firsts]
    return Section(
        "retrieval",
        f"Finding a class in another domain: {data}",
        _lead(shown),
        drawn,
        (("An image of each domain", tiles),),
    )


def _lead(rows: Sequence[Mapping]) -> str:
    text = (
        "Each image of a domain (row) searches a domain (column) for images of its "
        "class, nearest features first. At 100 % all of these come before any other; "
        "chance is a random order. On the right: how long each domain's features are; "
        "shorter ones excite the network less."
    )
    for model in dict.fromkeys(row["model"] for row in rows):
        found = _summary([row for row in rows if row["model"] == model])
        text += "".join(f" {model}: {value}, {what}." for value, what, _ in found)
    return text


def _facts(rows: Sequence[Mapping]) -> Iterator[Fact]:
    rows = [row for row in rows if "measure" in row]
    for data in dict.fromkeys(row["data"] for row in rows):
        for value, what, share in _summary([r for r in rows if r["data"] == data]):
            yield value, f"{what}, {data}", share


def _summary(rows: Sequence[Mapping]) -> Iterator[Fact]:
    """Yields the mean mAP, and the domain whose features are the shortest."""
    found = [r for r in rows if r["measure"] == "retrieval" and r["map"] is not None]
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


def _tables(rows: Sequence[Mapping], data: str) -> Iterator[Table]:
    all_rows, rows = rows, [r for r in rows if "measure" in r]
    models = list(dict.fromkeys(row["model"] for row in rows))
    found = [r for r in rows if r["measure"] == "retrieval"]
    found = [{**r, "pair": f"{r['query']} → {r['gallery']}"} for r in found]
    by_pair: dict[str, list[Mapping]] = {}  # of each pair a row a model, in their order
    for row in found:
        by_pair.setdefault(row["pair"], []).append(row)
    body = [
        (
            pair,
            f"{here[0]['n_queries']:,}",
            percent(here[0]["chance"]),
            *map(_with_interval, here),
        )
        for pair, here in by_pair.items()
    ]
    yield Table(
        f"mAP on {data}, in % (95 % interval over queries)",
        ("query → searched", "queries", "chance", *models),
        (*body, *_means(found, models)),
    )
    yield from row_tables.crossed(
        f"Precision among the first 1, 5 and 10 found on {data}, in %",
        found,
        "pair",
        "model",
        _precision,
    )
    yield from _length_table(rows, data)
    yield from differences.table(all_rows, data, str)


def _with_interval(row: Mapping) -> str:
    if row["map"] is None:  # no query has a match
        return NONE
    return f"{percent(row['map'])} ({interval(row)})"


def _precision(row: Mapping) -> str:
    keys = [key for key in row if key.startswith("precision_at_")]
    return " / ".join(percent(row[key]) for key in keys)


def _means(found: Sequence[Mapping], models: Sequence[str]) -> Iterator[tuple]:
    """Yields lines of means over pairs of two domains, and over single domains."""
    found = [row for row in found if row["map"] is not None]
    for title, is_cross in (("between two, mean", True), ("within one, mean", False)):
        here = [r for r in found if (r["query"] != r["gallery"]) == is_cross]
        if len({r["pair"] for r in here}) > 1:
            chance = _mean(r["chance"] for r in here)
            of_model = [
                percent(_mean(r["map"] for r in here if r["model"] == model))
                for model in models
            ]
            yield (title, NONE, percent(chance), *of_model)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean([*values]))


def _length_table(rows: Sequence[Mapping], data: str) -> Iterator[Table]:
    lengths = [r for r in rows if r["measure"] == "norm"]
    reference = lengths[0].get("reference")
    key = "relative" if reference is None else "ratio"
    of = "all domains'" if reference is None else f"{reference}'s"
    less = {
        (r["model"], r["domain"]): r["probability"]
        for r in rows
        if r["measure"] == "norm_shorter" and r["than"] == reference
    }
    columns = {
        "": row_tables.WHO,
        "domain": lambda row: row["domain"],
        "images": lambda row: f"{row['n']:,}",
        "mean": lambda row: f"{row['mean']:.2f}",
        "median": lambda row: f"{row['median']:.2f}",
        "quartiles": lambda row: f"{row['quartile_1']:.2f} to {row['quartile_3']:.2f}",
        f"mean ÷ {of}": lambda row: NONE if row[key] is None else f"{row[key]:.3f}",
    }
    if reference is not None:
        columns[f"shorter than {reference}, %"] = lambda row: percent(
            less.get((row["model"], row["domain"]))
        )
    yield from row_tables.listed(f"Length of features on {data}", lengths, columns)


SUITE = Suite(
    find=find,
    wanted=(
        f"give --data {domain_folders.EXPERIMENT}=DIR with folders DOMAIN/CLASS/IMAGE, "
        "or --model with a run, for its own images"
    ),
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
    by_features=True,
)
