"""The suite `triplets`: is an image nearer to one of its shape or of its texture?

Tartaglini et al., arXiv 2202.08340: features of cue-conflict images are compared by
cosine similarity (`measures.triplets`), so any network's features will do.
"""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import intervals, triplets
from jigsaw_shape.measures.triplets import Triplets
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import Table, interval, percent
from jigsaw_shape.suites import (
    differences,
    figure_parts,
    row_tables,
    shape_bias,
    with_features,
)
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import (
    PLAIN,
    Answers,
    Fact,
    Found,
    Headline,
    Job,
    Suite,
)

_N_SHOWN = 4  # triplets on the page


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns the given cue conflicts, or without any the runs' own."""
    del suites
    able, left_out = with_features.models(opened, "triplets")
    given = [s for s in opened.data if s.experiment == "cue_conflict"]
    if given:
        left_out += with_features.refused_files(opened, "triplets")
        found = [(s, able) for s in given if able or opened.features]
    else:
        found = with_features.with_others(opened.of_runs(shape_bias.own_conflict), able)
    jobs = []
    for stimuli, models in found:
        if matched(stimuli)[0]:
            jobs.append(Job(stimuli, tuple(models)))
        else:
            left_out.append(
                f"{stimuli.name}: no image has both another of its shape and another "
                "of its texture to be compared with"
            )
    return Found(jobs, left_out)


def matched(stimuli: Stimuli) -> tuple[list[Triplets], str]:
    """Returns the triplets of cue-conflict images, and by what they match.

    By "source" where images share what they were made of, as in `cat3-boat2.png` and
    `cat3-dog1.png`, else by "class".
    """
    shape, texture = stimuli.category, stimuli.texture
    words = [pathlib.PurePath(name).stem.split("_")[-1] for name in stimuli.images]
    parts = [word.split("-") for word in words]
    if all(len(part) == 2 for part in parts):
        found = list(
            triplets.find(shape, texture, *map(np.array, zip(*parts, strict=True)))
        )
        if found:
            return found, "source"
    return list(triplets.find(shape, texture, shape, texture)), "class"


def rows(answers: Answers) -> Iterator[dict]:
    """Yields the share decided for the shape, overall and for each shape's class.

    `n` counts anchors, `n_triplets` their triplets, `match` says by what they match.
    Then differences between models.
    """
    found, match = matched(answers.stimuli)
    shape = answers.stimuli.category[[one.anchor for one in found]]
    features = {
        model.name: answers.outputs[model.name][PLAIN.name]["features"]
        for model in answers.models
    }
    decided = {}
    for name, vectors in {**features, **answers.features}.items():
        parts = triplets.decided_for_shape(vectors, found)
        decided[name] = {"shape_matches": parts}
        for category in (None, *np.unique(shape)):
            chosen = slice(None) if category is None else shape == category
            top, bottom = (part[chosen] for part in parts)
            low, high = intervals.interval(top, bottom, seed=answers.seed)
            row = {"model": name, "group": "model"}
            row |= {} if category is None else {"category": str(category)}
            yield row | {
                "shape_matches": float(top.sum() / bottom.sum()),
                "low": low,
                "high": high,
                "n": len(top),
                "n_triplets": int(bottom.sum()),
                "match": match,
            }
    yield from differences.rows(decided, seed=answers.seed)


def _overall(rows) -> list[dict]:
    return [r for r in rows if "shape_matches" in r and "category" not in r]


def _tables(rows, data) -> Iterator[Table]:
    yield from row_tables.listed(
        f"Triplets on {data}: nearer to the image of the same shape, in %",
        _overall(rows),
        {
            "": row_tables.WHO,
            "shape matches": "shape_matches",
            "95 % interval": interval,
            "anchors": lambda row: f"{row['n']:,}",
            "triplets": lambda row: f"{row['n_triplets']:,}",
            "match by": lambda row: row["match"],
        },
    )
    yield from row_tables.crossed(
        f"Triplets by the anchor's shape on {data}, in %",
        [r for r in rows if "shape_matches" in r and "category" in r],
        "category",
        "model",
        "shape_matches",
    )
    yield from differences.table(rows, data)


def _facts(rows) -> Iterator[Fact]:
    for row in _overall(rows):
        share = row["shape_matches"]
        what = f"of triplets on {row['data']} by shape ({interval(row)}), by features"
        yield f"{percent(share)} %", what, share


def _headlines(rows) -> Iterator[Headline]:
    for row in _overall(rows):
        share = row["shape_matches"]
        clause = f"has features that go by shape in {percent(share, 0)} of 100 triplets"
        yield Headline(
            "triplets by shape", share, row["low"], row["high"], clause=clause
        )


def _section(rows, data, results, looks) -> Section:
    stimuli = results.stimuli[data]
    found, match = matched(stimuli)
    by = "taken from the same image" if match == "source" else "of the same class"
    lead = (
        f"Each image is compared with one whose shape is {by} and one whose texture "
        f"is {by}. The features decide which is nearer (cosine); by chance the shape's "
        "is in 50 % of the triplets."
    )
    for row in _overall(rows):
        lead += (
            f" {row['model']}: {percent(row['shape_matches'])} % "
            f"(95 % interval {interval(row)})."
        )
    drawn = {f"triplets_{data}": figure(_overall(rows), looks, data)}
    drawn |= differences.figures(rows, data)
    shown = (("Triplets", tuple(_tiles(stimuli, found))),)
    title = f"Nearer in shape or in texture: {data}"
    return Section("triplets", title, lead, drawn, shown)


def _tiles(stimuli: Stimuli, found: Sequence[Triplets]) -> Iterator[Tile]:
    for i in np.unique(np.linspace(0, len(found) - 1, _N_SHOWN).astype(int)):
        one = found[i]
        for index, what in (
            (one.anchor, "compared"),
            (one.shapes[0], "same shape"),
            (one.textures[0], "same texture"),
        ):
            title = f"{what}: {stimuli.category[index]}, {stimuli.texture[index]}"
            yield Tile(figure_parts.thumbnail(stimuli, index), title)


def figure(rows: Sequence[dict], looks: Looks, remark: str = "") -> Figure:
    """Returns the share decided for the shape of each model, with its interval."""
    rows = sorted(rows, key=lambda row: row["shape_matches"])
    names = [look.two_lines(row["model"]) for row in rows]
    result, axes = figure_parts.new_axes(*figure_parts.size_of_list(7.2, names))
    axes.axvline(0.5, color="#BBBBBB", lw=0.9, ls=(0, (2, 3)), zorder=0)
    figure_parts.interval_list(
        axes, rows, "shape_matches", names, looks, text="{:.1f}", scale=100
    )
    axes.set_xlim(0, 1.08)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_xlabel("share nearer to the same shape (95 % interval over images)")
    result.set_label(
        "Share of triplets decided for the shape: "
        + ", ".join(f"{r['model']} {percent(r['shape_matches'])} %" for r in rows)
    )
    look.caption(result, remark, 95)
    return result


SUITE = Suite(
    find=find,
    wanted="give --data with a folder whose name says cue-conflict",
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
    headlines=_headlines,
    by_features=True,
)
