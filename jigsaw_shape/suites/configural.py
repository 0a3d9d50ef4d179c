"""The suite `configural`: is the arrangement seen, or only the parts?

Pairs of images of the same tiles in two arrangements show two classes (`data.anagrams`;
Doshi et al., NeurIPS 2025, arXiv 2507.00493). The configural shape score is the share
of pairs in which both are named rightly. Who reads the tiles without their places gives
both images one answer, and scores 0.

Published pairs are `--data anagrams=DIR`. ImageNet's 1,000 classes answer them as in
the paper, by the largest score of a category's classes. Without such a folder, runs on
the embedded data set are shown pairs of its silhouettes, and other models pairs that
are composed of labelled images. These are as legible as two images of the same tiles
can be, which the score on the images that were composed, whole, does not say: compare
models with each other, and read both scores.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.classifiers.imagenet_labels import in_animals
from jigsaw_shape.data import anagrams, sources
from jigsaw_shape.data.embedded import anagrams as drawn_anagrams
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import configural
from jigsaw_shape.reports.look import Looks, legend_above
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import NONE, Table, interval, percent
from jigsaw_shape.suites import (
    accuracy,
    differences,
    figure_parts,
    labelled_images,
    row_tables,
)
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import Answers, Fact, Found, Headline, Job, Suite

_N_SHOWN = 8


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns the given anagrams; else the runs' own, and others of labelled images."""
    given = [s for s in opened.data if s.experiment == anagrams.EXPERIMENT]
    if given:
        return Found([Job(one, _answering(opened.models, one)) for one in given])
    found = [Job(one, runs) for one, runs in opened.of_runs(own_anagrams)]
    drawn = {model.name for job in found for model in job.models}
    left_out = []
    for job in labelled_images.find(opened, suites).jobs:
        models = tuple(m for m in job.models if m.name not in drawn)
        if models and len(set(job.stimuli.category)) < 2:
            left_out.append(f"{job.stimuli.name} has one class: anagrams need two")
        elif models:
            found.append(Job(anagrams.of_stimuli(job.stimuli), models))
    return Found(found, left_out)


def own_anagrams(config) -> Stimuli | None:
    """Returns anagrams of the embedded silhouettes for a run on them, else None."""
    if config.data.name != "shapes":
        return None
    return drawn_anagrams.load(sources.class_names(config.data))


def _answering(models, stimuli):
    """Returns models with the nine published classes, where they know ImageNet's."""
    animals = set(stimuli.category) <= set(configural.ANIMALS)
    return tuple(
        in_animals(model) if animals and model.thousand is not None else model
        for model in models
    )


def rows(answers: Answers) -> Iterator[dict]:
    """Yields each model's score, then differences.

    `condition` is `anagrams`; `both`, the score; `chance`, 1 / answers^2; `single`, the
    accuracy on single images; `foil`, how often the answer is the partner's class;
    `whole_both`, the score on the images that were composed, null for published pairs;
    `n` pairs.
    """
    pairs = anagrams.pairs_of(answers.stimuli)
    category, scores = answers.stimuli.category, {}
    partner = category[pairs.rows[:, ::-1]]
    everyone = [
        (one.observer, one.correct, one.response, answers.matches.get(one.observer))
        for one in answers.decisions
    ]
    for name, correct, response, match in everyone:
        both = configural.both_right(correct, pairs.rows)
        share = accuracy.share(both, seed=answers.seed)
        n_answers = len(match.names) if match else len(set(category))
        whole = None
        if pairs.wholes is not None:
            whole = float(configural.both_right(correct, pairs.wholes).mean())
        yield {
            "model": name,
            "group": "model",
            "n_classes": n_answers,
            "condition": anagrams.EXPERIMENT,
            "both": share["accuracy"],
            "low": share["low"],
            "high": share["high"],
            "chance": 1 / n_answers**2,
            "single": float(correct[pairs.rows].mean()),
            "foil": float((response[pairs.rows] == partner).mean()),
            "whole_both": whole,
            "n": share["n"],
        }
        scores[name] = {anagrams.EXPERIMENT: np.float32(both)}
    yield from differences.rows(scores, seed=answers.seed)


def _scores(rows) -> list[dict]:
    return [row for row in rows if "both" in row]


def _tables(rows, data) -> Iterator[Table]:
    yield from row_tables.listed(
        f"Configural shape score on {data}: pairs with both right, in %",
        _scores(rows),
        {
            "": row_tables.WHO,
            "both right": "both",
            "95 % interval": interval,
            "chance": "chance",
            "whole: both right": _whole,
            "single images": "single",
            "partner's class": "foil",
            "pairs": lambda row: f"{row['n']:,}",
        },
    )
    yield from differences.table(rows, data)


def _whole(row) -> str:
    return NONE if row["whole_both"] is None else percent(row["whole_both"])


def _facts(rows) -> Iterator[Fact]:
    for row in _scores(rows):
        what = f"of {row['n']:,} anagram pairs on {row['data']}: both right"
        if row["whole_both"] is not None:
            what += f" (whole images: {percent(row['whole_both'], 0)} %)"
        yield f"{percent(row['both'])} %", what, row["both"]


def _headlines(rows) -> Iterator[Headline]:
    for row in _scores(rows):
        clause = "names both arrangements of the same tiles in {} of 100 pairs"
        yield Headline(
            "both of an anagram right",
            *(row[key] for key in ("both", "low", "high")),
            clause=clause.format(percent(row["both"], 0)),
        )


def _section(rows, data, results, looks) -> Section:
    stimuli = results.stimuli[data]
    lead = (
        "Two images of the same tiles in two arrangements, of two classes. The score "
        "is the share of pairs in which both are named: tiles alone cannot tell them "
        "apart."
    )
    if stimuli.made_by:
        lead += f" {stimuli.made_by}"
    drawn = {f"configural_{data}": scores(rows, looks)}
    drawn |= differences.figures(rows, data)
    return Section(
        "configural", f"Arrangement: {data}", lead, drawn, (_shown(stimuli),)
    )


def _shown(stimuli: Stimuli) -> tuple[str, tuple[Tile, ...]]:
    pairs = anagrams.pairs_of(stimuli).rows[: _N_SHOWN // 2]
    tiles = tuple(
        Tile(figure_parts.thumbnail(stimuli, i), str(stimuli.category[i]))
        for i in pairs.ravel()
    )
    return "Pairs of the same tiles", tiles


def scores(rows: Sequence[dict], looks: Looks) -> Figure:
    """Returns each model's score, beside that on whole images."""
    rows = _scores(rows)
    names = ["both right"]
    points = [(0, "both", row) for row in rows]
    if any(row["whole_both"] is not None for row in rows):
        names.append("both right, whole images")
        unknown = {"low": None, "high": None}
        points += [(1, "whole_both", {**row, **unknown}) for row in rows]
    figure, axes = figure_parts.new_axes(7.2, 1.6 + 0.6 * len(names))
    figure_parts.interval_groups(axes, points, names, looks)
    axes.set_xlabel("share of pairs (95 % interval over pairs)")
    legend_above(figure, axes)
    return figure


SUITE = Suite(
    find=find,
    wanted="give --data anagrams=DIR, or labelled images of two classes or more",
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
    headlines=_headlines,
)
