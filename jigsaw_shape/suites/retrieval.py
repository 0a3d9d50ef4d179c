"""The suite `retrieval`: finding a class in another domain; lengths of features.

It reads pooled features alone, so the classes that a model knows do not matter.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jigsaw_shape.data import domain_folders
from jigsaw_shape.data.known_sets import photographs_among
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.embedding import plane
from jigsaw_shape.measures import retrieval
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import percent
from jigsaw_shape.suites import (
    differences,
    figure_parts,
    own_data,
    retrieval_figures,
    retrieval_tables,
    seen,
    with_features,
)
from jigsaw_shape.suites.labelled_images import choice
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import PLAIN, Answers, Fact, Found, Job, Suite

_MOST_ON_MAP = 1000  # images


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
    dataset, splits = own_data.load(config)
    name = config.data.target
    made_by = f"Every image of the target {name}"
    if len(splits.val):
        name += " and validation"
        made_by += (
            f" and the images of {', '.join(splits.sources)} that were held out for "
            "validation"
        )
    stimuli = of_dataset(
        dataset,
        np.sort(np.concatenate([splits.val, splits.target])),
        name=f"{dataset.name}/{name}",
        side_px=config.data.stored_px,
    )
    return dataclasses.replace(
        stimuli, made_by=f"{made_by}; the run was trained on none of them"
    )


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
    models = {model.name: model for model in answers.models}
    for name, vectors in {**features, **answers.features}.items():
        base = {"model": name, "group": "model"}
        found = retrieval.between(vectors, labels, domains, names)
        for row in retrieval.retrieval_rows(found, seed=answers.seed):
            pair = found[row["query"], row["gallery"]]
            yield base | row | _strange(models.get(name), stimuli, row, pair)
        for row in retrieval.norm_rows(vectors, domains, names, photographs):
            yield base | row
        scores[name] = {
            f"{query} → {searched}": one.scores
            for (query, searched), one in found.items()
            if one.n_queries
        }
    yield from differences.rows(scores, seed=answers.seed)


def _strange(model, stimuli: Stimuli, row: Mapping, pair: retrieval.Retrieval) -> dict:
    """Returns which queries are of a domain or of classes that a run never saw."""
    if model is None:  # a file of features
        return {}
    domains = seen.of_domains(model, stimuli)
    found = {"query_domain_seen": domains[row["query"]]} if domains else {}
    classes = seen.of_classes(model, stimuli)
    if classes is not None:
        known = classes[pair.queries]
        found["n_unseen"] = int((~known).sum())
        for key, chosen in (("map_seen", known), ("map_unseen", ~known)):
            found[key] = float(pair.scores[chosen].mean()) if chosen.any() else None
    return found


def keep(answers: Answers) -> dict[str, np.ndarray]:
    """Returns a map of the images for the page, of at most 1,000, each class in share.

    `category` and `domain`, str [n], and under `of MODEL` each model's float32 [n, 2].
    """
    stimuli = answers.stimuli
    part = choice(stimuli, _MOST_ON_MAP, answers.seed)
    row_of = {image: row for row, image in enumerate(stimuli.images)}
    rows = [row_of[image] for image in part.images]
    features = {
        model.name: answers.outputs[model.name][PLAIN.name]["features"]
        for model in answers.models
    }
    found = {"category": part.category, "domain": part.domain}
    for name, vectors in {**features, **answers.features}.items():
        found[f"of {name}"], found["method"] = plane.place(np.float32(vectors[rows]))
    return found


def _map(kept: Mapping, data: str):
    """Returns the figure of the map."""
    places = {k.removeprefix("of "): v for k, v in kept.items() if k[:3] == "of "}
    remark = (
        f"{data}: {len(kept['category']):,} images by {kept['method']} of their "
        "features' directions. Distances between groups say little; look at whether a "
        "class lies together or each domain by itself."
    )
    return retrieval_figures.map_figure(
        places, kept["category"], kept["domain"], remark
    )


def _section(rows, data, results, looks) -> Section:
    del looks
    shown = [row for row in rows if "measure" in row]
    stimuli = results.stimuli[data]
    remark = f"{data}. {stimuli.made_by}" if stimuli.made_by else data
    if any(row.get("query_domain_seen") is False for row in shown):
        remark += ". * A domain that the run was not trained on"
    drawn = {f"retrieval_{data}": retrieval_figures.figure(shown, remark)}
    if kept := results.kept.get(("retrieval", data)):
        drawn[f"retrieval_map_{data}"] = _map(kept, data)
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
        chance = percent(retrieval_tables.mean(row["chance"] for row in used))
        share = retrieval_tables.mean(row["map"] for row in used)
        yield f"{percent(share)} %", f"mAP {where} ({mean}chance {chance} %)", share
    lengths = [r for r in rows if r["measure"] == "norm" and r.get("ratio")]
    lengths = [r for r in lengths if r["domain"] != r["reference"]]
    if lengths:
        least = min(lengths, key=lambda row: row["ratio"])
        what = f"the length of features of {least['domain']} over {least['reference']}"
        others = ", the least of the other domains" if len(lengths) > 1 else ""
        yield f"{least['ratio']:.2f}", what + others, None


SUITE = Suite(
    find=find,
    wanted=(
        f"give --data {domain_folders.EXPERIMENT}=DIR with folders DOMAIN/CLASS/IMAGE, "
        "or --model with a run, for its own images"
    ),
    rows=rows,
    tables=retrieval_tables.tables,
    section=_section,
    facts=_facts,
    keep=keep,
    by_features=True,
)
