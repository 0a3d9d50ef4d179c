"""The suite `shape_bias`: shape or texture, where the two disagree.

Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR 2019, sec. 2.
S / n and T / n, how often each cue was named at all, are always given with the bias.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from jigsaw_shape.data.shared_classes import some
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.measures.shape_bias import (
    by_image,
    reciprocal_ranks,
    shape_bias_rows,
)
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import NONE, Table, interval, percent
from jigsaw_shape.suites import (
    consistency,
    differences,
    figure_parts,
    own_data,
    row_tables,
    shape_bias_figures,
)
from jigsaw_shape.suites.observers import HUMANS, as_listed, crowds
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

_N_TILES = 12


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns the given cue conflicts, or without any the runs' own.

    Where a model lacks categories, only images of the categories that all models know
    are used.
    """
    del suites
    given = [s for s in opened.data if s.experiment == "cue_conflict"]
    pairs = [(stimuli, opened.models) for stimuli in given]
    jobs, left_out, notes = [], [], []
    for stimuli, models in pairs or opened.of_runs(own_conflict):
        known = set(stimuli.categories)
        lacking = []
        for model in models:
            missing = opened.match(model, stimuli).missing
            known -= set(missing)
            lacking += [model.name] if missing else []
        if not lacking:
            jobs.append(Job(stimuli, models))
            continue
        part = _shared(stimuli, sorted(known))
        if len(known) < 2 or part is None:
            left_out.append(
                f"{stimuli.name} shows {some(stimuli.categories)}: "
                f"{', '.join(lacking)} can answer "
                f"{some(sorted(known)) or 'none of them'}; two are needed. "
                "Give --mapping FILE with lines CLASS,CATEGORY"
            )
            continue
        jobs.append(Job(part, models))
        notes.append(
            f"{part.name}: {part.made_by} ({', '.join(lacking)} cannot answer the "
            "others; --mapping FILE can say which classes stand for them)"
        )
    return Found(jobs, left_out, notes)


def _shared(stimuli: Stimuli, known: Sequence[str]) -> Stimuli | None:
    """Returns the images whose shape and texture are known; None without a conflict."""
    chosen = np.isin(stimuli.category, known) & np.isin(stimuli.texture, known)
    if not (chosen & (stimuli.category != stimuli.texture)).any():
        return None
    text = (
        f"{stimuli.made_by} Only the {int(chosen.sum())} images whose shape and "
        f"texture are of the {len(known)} classes that all models share: {some(known)}"
    )
    return dataclasses.replace(
        stimuli.subset(np.flatnonzero(chosen)),
        name=f"{stimuli.name}, {len(known)} shared classes",
        made_by=text.strip(),
    )


def own_conflict(config) -> Stimuli | None:
    """Returns the cue conflict of a run's data set; None without one."""
    dataset = own_data.load_conflict(config)
    if dataset is None:
        return None
    return of_dataset(
        dataset,
        np.arange(len(dataset)),
        name=f"{config.data.name}/cue conflict",
        side_px=config.data.stored_px,
        conflict=True,
    )


def rows(answers: Answers) -> Iterator[dict]:
    """Yields everyone's shape bias, overall and for each shape; then comparisons."""
    stimuli, models = answers.stimuli, answers.decisions
    shape, texture = stimuli.category, stimuli.texture
    places = {model.name: _places(answers, model) for model in answers.models}
    for name, group, crowd in crowds(models, answers.observers):
        responses = np.stack([one.response for one in crowd])
        for row in shape_bias_rows(responses, shape, texture, seed=answers.seed):
            if len(crowd) > 1:
                row["observers"] = len(crowd)
            if group == "model" and name in places and row["n"]:
                chosen = shape != texture
                chosen &= shape == row.get("category", shape)
                by_shape, by_texture, n_ranked = places[name]
                row["shape_mrr"] = float(by_shape[chosen].mean())
                row["texture_mrr"] = float(by_texture[chosen].mean())
                row["n_ranked"] = n_ranked
            yield {"model": name, "group": group, **row}
    biases = {
        one.observer: {"shape_bias": by_image(one.response[None], shape, texture)}
        for one in models
    }
    yield from differences.rows(biases, seed=answers.seed)
    yield from consistency.rows(models, answers.observers, seed=answers.seed)
    yield from consistency.likeness_rows(models, answers.observers)


def _places(answers: Answers, model) -> tuple[np.ndarray, np.ndarray, int]:
    """Returns reciprocal ranks of each image's shape and texture, among how many."""
    match, stimuli = answers.matches[model.name], answers.stimuli
    ranks = match.ranks(answers.outputs[model.name][PLAIN.name])
    found = reciprocal_ranks(ranks, match.names, stimuli.category, stimuli.texture)
    n_scores = 0 if match.members else model.n_scores
    return *found, n_scores or len(model.classes)


def cues_of(data: str) -> tuple[str, str]:
    """Returns what the two cues of a set are called, by the set's name.

    Of a set such as Gavrikov et al.'s `low-vs-high-frequency-cue-conflict` (arXiv
    2403.09193), whose files are named as Geirhos et al.'s, the first cue is the lower
    band of frequencies and the second the higher one.
    """
    if "frequency" in data.lower():
        return "low frequencies", "high frequencies"
    return "shape", "texture"


def _tables(rows, data) -> Iterator[Table]:
    first, second = cues_of(data)
    biases = [r for r in rows if "shape_bias" in r]
    overall = as_listed([r for r in biases if "category" not in r])
    yield from row_tables.listed(
        f"{_bias_named(data)} on {data}, in %; mean reciprocal ranks",
        overall,
        {
            "": row_tables.WHO,
            _bias_named(data).lower(): "shape_bias",
            "95 % interval": interval,
            f"{first} S/n": "shape_accuracy",
            f"{second} T/n": "texture_accuracy",
            "neither": "neither",
            f"MRR {first}": lambda row: _rank(row, "shape_mrr"),
            f"MRR {second}": lambda row: _rank(row, "texture_mrr"),
            "of classes": lambda row: str(row.get("n_ranked", NONE)),
            "trials n": lambda row: f"{row['n']:,}",
        },
    )
    names = [row["model"] for row in overall if row["group"] != "network"]
    yield from row_tables.crossed(
        f"{_bias_named(data)} by category of the {first} on {data}, in % (S/n, T/n)",
        [row for row in biases if "category" in row and row["model"] in names],
        "category",
        "model",
        _with_parts,
    )
    yield from consistency.make_tables(rows, data)
    yield from differences.table(rows, data)


def _with_parts(row) -> str:
    parts = percent(row["shape_accuracy"], 0), percent(row["texture_accuracy"], 0)
    return f"{percent(row['shape_bias'])} ({', '.join(parts)})"


def _bias_named(data: str) -> str:
    return "Shape bias" if cues_of(data)[0] == "shape" else "Low-frequency bias"


def _rank(row, key: str) -> str:
    return f"{row[key]:.3f}" if key in row else NONE


def _facts(rows) -> Iterator[Fact]:
    for row in rows:
        if row.get("shape_bias", np.nan) == row.get("shape_bias"):
            decided = row["shape_accuracy"] + row["texture_accuracy"]
            what = (
                f"shape bias on {row['data']} ({interval(row)}), over the "
                f"{percent(decided, 0)} % that were decided"
            )
            yield f"{percent(row['shape_bias'])} %", what, row["shape_bias"]
        elif row.get("versus") == HUMANS:
            kappa = f"{row['error_consistency']:.3f}"
            yield kappa, "error consistency with humans", None


def _headlines(rows) -> Iterator[Headline]:
    for row in rows:
        bias = row.get("shape_bias", np.nan)
        if bias is not None and np.isfinite(bias):
            first, second = cues_of(row["data"])
            first = "outlines" if first == "shape" else first
            clause = (
                f"follows {first} where they disagree with {second} in "
                f"{percent(bias, 0)} of 100 images that it decides by either"
            )
            ends = row["low"], row["high"]
            yield Headline("shape bias", bias, *ends, clause=clause)


def _section(rows, data, results, looks) -> Section:
    stimuli = results.stimuli[data]
    conflict = stimuli.category != stimuli.texture
    remark = f"{data}: {int(conflict.sum())} images with a conflict"
    remark += f" (of {len(conflict)}). {stimuli.made_by}".rstrip()
    if any(row["group"] != "model" for row in rows):
        remark += " Humans and networks are scored on these same images."
    first, second = cues_of(data)
    meaning = f" Here, shape stands for {first} and texture for {second}."
    remark += meaning if first != "shape" else ""
    drawn = {
        f"shape_bias_{data}": shape_bias_figures.by_category(rows, looks, remark),
        f"shape_bias_ranking_{data}": shape_bias_figures.ranking(rows, looks, remark),
    }
    kappas = consistency.figure(rows, looks, f"{data}: all {len(conflict)} images")
    if kappas is not None:
        drawn[f"error_consistency_{data}"] = kappas
    overall = as_listed([r for r in rows if "shape_bias" in r and "category" not in r])
    lead = " ".join(_said(row) for row in overall if row["group"] != "network")
    lead += (
        " The shape of each image is of one class and its texture of another; images "
        "where both are one class are left out."
    )
    ranked = [row for row in overall if "shape_mrr" in row]
    if ranked:
        lead += (
            " The mean reciprocal rank (MRR) also counts the classes that came second "
            "or later: 1 if the cue's class is always first. "
        ) + " ".join(
            f"{row['model']}: {row['shape_mrr']:.3f} shape, {row['texture_mrr']:.3f} "
            f"texture, among {row['n_ranked']:,} classes."
            for row in ranked
        )
    lead += meaning if first != "shape" else ""
    shown = ("What was shown, and the answers", tuple(_tiles(results, stimuli)))
    return Section("shape_bias", f"Shape or texture: {data}", lead, drawn, (shown,))


def _said(row) -> str:
    who = "The humans" if row["model"] == HUMANS else row["model"]
    return (
        f"{who} followed the shape in {percent(row['shape_bias'])} % of the decisions "
        f"for either cue (95 % interval {interval(row)}): "
        f"{percent(row['shape_accuracy'])} % of all decisions named the shape, "
        f"{percent(row['texture_accuracy'])} % the texture."
    )


def _tiles(results, stimuli) -> Iterator[Tile]:
    """Yields some cue conflicts, of as many classes as possible, with the answers."""
    order = np.random.default_rng(0).permutation(
        np.flatnonzero(stimuli.category != stimuli.texture)
    )
    chosen, used = [], set()
    for i in order:  # new shapes first, and new textures among those
        cues = {("s", stimuli.category[i]), ("t", stimuli.texture[i])}
        if not cues & used:
            chosen.append(i)
            used |= cues
    chosen += [i for i in order if i not in set(chosen)]
    decided = [d for d in results.decisions if _is_of(d, stimuli)]
    humans = [d for d in results.observers if _is_of(d, stimuli) and d.kind == "human"]
    for i in map(int, chosen[:_N_TILES]):
        shape, texture = str(stimuli.category[i]), str(stimuli.texture[i])
        kinds = {texture: "texture", shape: "shape"}
        answers = []
        for one in decided:
            said = str(one.response[i])
            answers.append((one.observer, said, kinds.get(said, "other")))
        people = [str(one.response[i]) for one in humans]
        if people:
            said = max(sorted(set(people)), key=people.count)
            text = f"{said} ({people.count(said)} of {len(people)})"
            answers.append((HUMANS, text, kinds.get(said, "other")))
        image = figure_parts.thumbnail(stimuli, i)
        yield Tile(image, f"shape {shape}, texture {texture}", tuple(answers))


def _is_of(decisions, stimuli) -> bool:
    return decisions.experiment == "cue_conflict" and decisions.images == stimuli.images


SUITE = Suite(
    find=find,
    wanted="give --data with a folder whose name says cue-conflict",
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
    headlines=_headlines,
)
