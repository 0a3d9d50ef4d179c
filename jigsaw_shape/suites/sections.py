"""What is shown of an evaluation, in which order and words; drawn elsewhere. No JAX."""

from collections.abc import Iterator, Sequence

import numpy as np

from jigsaw_shape.reports.evaluation.parts import Card, Report, Section, Tile
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.suites import (
    accuracy_figures,
    bias_figures,
    retrieval_parts,
    suite_figures,
    tables,
)
from jigsaw_shape.suites.findings import Findings
from jigsaw_shape.suites.scoring import HUMANS

_N_TILES = 12
_N_SHOWN = 8  # of a published set
_THUMB_PX = 224


def make_report(findings: Findings, models: Sequence[str]) -> Report:
    """Returns all that is shown of an evaluation; `models` are in their order."""
    looks = Looks(models)
    return Report(
        cards(findings, looks),
        sections(findings, looks),
        tables.all_tables(findings.rows),
    )


def cards(findings: Findings, looks: Looks) -> list[Card]:
    """Returns a card a model, with what was measured of it over all categories."""
    rows = [
        row
        for row in findings.rows
        if "category" not in row and "difference" not in row
    ]
    found = []
    for name, (colour, _) in looks.items():
        own = [row for row in rows if row["model"] == name]
        facts = []
        for row in own:
            if "shape_bias" in row and row["shape_bias"] == row["shape_bias"]:
                decided = row["shape_accuracy"] + row["texture_accuracy"]
                what = (
                    f"shape bias on {row['data']} ({tables.interval(row)}), over the "
                    f"{tables.percent(decided, 0)} % that were decided"
                )
                facts.append(_fact(row["shape_bias"], what))
            elif row["suite"] in ("target", "experiments") and "accuracy" in row:
                what = accuracy_figures.title_of(row["condition"])
                what = row["data"] if what in ("images", row["data"]) else what
                facts.append(_fact(row["accuracy"], f"right on {what}"))
            elif row.get("versus") == HUMANS and row["suite"] == "shape_bias":
                kappa = f"{row['error_consistency']:.3f}"
                facts.append((kappa, "error consistency with humans", None))
        areas = [row["area"] for row in own if "area" in row]
        if areas:
            what = f"right under distortions, mean over {len(areas)}"
            facts.append(_fact(float(np.mean(areas)), what))
        for row in own:
            if row.get("condition") == "jigsaw" and "chance" in row:
                what = (
                    f"of shuffled puzzles solved (chance {100 * row['chance']:.1f} %)"
                )
                facts.append(_fact(row["shuffled_accuracy"], what))
        facts += retrieval_parts.facts(own)
        found.append(Card(name, colour, tuple(facts)))
    return found


def _fact(share: float, what: str) -> tuple[str, str, float]:
    return f"{100 * share:.1f} %", what, share


def sections(findings: Findings, looks: Looks) -> list[Section]:
    """Returns the page's parts, each with its figures drawn."""
    makers = {
        "shape_bias": _shape_bias,
        "experiments": _experiments,
        "target": _target,
        "distortions": _distortions,
        "puzzle": _puzzle,
        "retrieval": _retrieval,
    }
    found = []
    for suite, make in makers.items():
        rows = [row for row in findings.rows if row["suite"] == suite]
        if suite == "experiments" and rows:
            found.append(_experiments(findings, rows, "", looks))
            continue
        for data in dict.fromkeys(row["data"] for row in rows):
            here = [row for row in rows if row["data"] == data]
            found.append(make(findings, here, data, looks))
    return found


def _shape_bias(findings, rows, data, looks) -> Section:
    stimuli = findings.stimuli[data]
    conflict = stimuli.category != stimuli.texture
    remark = f"{data}: {int(conflict.sum())} images with a conflict"
    remark += f" (of {len(conflict)}). {stimuli.made_by}".rstrip()
    if any(row["group"] != "model" for row in rows):
        remark += " Humans and networks are scored on these same images."
    drawn = {
        f"shape_bias_{data}": bias_figures.bias_by_category(rows, looks, remark),
        f"shape_bias_ranking_{data}": bias_figures.bias_ranking(rows, looks, remark),
    }
    kappas = bias_figures.consistency(
        rows, looks, f"{data}: all {len(conflict)} images"
    )
    if kappas is not None:
        drawn[f"error_consistency_{data}"] = kappas
    overall = [r for r in rows if "shape_bias" in r and "category" not in r]
    lead = " ".join(_said(row) for row in overall if row["group"] == "model")
    people = [row for row in overall if row["model"] == HUMANS]
    for row in people:
        lead += f" {_said(row)}"
    lead += (
        " Of each image one thing has the shape and another the texture; images where "
        "both are one category are left out."
    )
    tiles = ("What was shown, and what was answered", tuple(_tiles(findings, stimuli)))
    return Section("shape_bias", f"Shape or texture: {data}", lead, drawn, (tiles,))


def _said(row) -> str:
    who = "The humans" if row["model"] == HUMANS else row["model"]
    return (
        f"{who} followed the shape in {tables.percent(row['shape_bias'])} % of the "
        f"decisions for either cue (95 % interval {tables.interval(row)}): "
        f"{tables.percent(row['shape_accuracy'])} % of all decisions named the shape, "
        f"{tables.percent(row['texture_accuracy'])} % the texture."
    )


def _tiles(findings: Findings, stimuli) -> Iterator[Tile]:
    """Yields some cue conflicts, of as many shapes as there are, with the answers."""
    conflict = np.flatnonzero(stimuli.category != stimuli.texture)
    order = np.random.default_rng(0).permutation(conflict)
    chosen, used = [], []
    for i in order:  # new shapes first, and new textures among those
        cues = {("s", stimuli.category[i]), ("t", stimuli.texture[i])}
        if len(chosen) < _N_TILES and not cues & set(used):
            chosen.append(int(i))
            used += cues
    for i in order:
        if len(chosen) < _N_TILES and int(i) not in chosen:
            chosen.append(int(i))
    for i in chosen:
        shape, texture = str(stimuli.category[i]), str(stimuli.texture[i])
        answers = []
        for one in findings.decisions:
            if one.experiment == "cue_conflict" and one.images == stimuli.images:
                said = str(one.response[i])
                answers.append((one.observer, said, _kind(said, shape, texture)))
        people = [
            str(o.response[i])
            for o in findings.observers
            if o.kind == "human" and o.images == stimuli.images
        ]
        if people:
            said = max(sorted(set(people)), key=people.count)
            text = f"{said} ({people.count(said)} of {len(people)})"
            answers.append((HUMANS, text, _kind(said, shape, texture)))
        image = stimuli.read(i, stimuli.side_px or _THUMB_PX)
        yield Tile(image, f"shape {shape}, texture {texture}", tuple(answers))


def _kind(said, shape, texture) -> str:
    return {texture: "texture", shape: "shape"}.get(said, "other")


def _experiments(findings, rows, data, looks) -> Section:
    del data
    sets = list(dict.fromkeys(row["data"] for row in rows))
    drawn = {"experiments": accuracy_figures.accuracies(rows, looks, ", ".join(sets))}
    for name in sets:
        kappas = bias_figures.consistency(
            [row for row in rows if row["data"] == name], looks, name
        )
        if kappas is not None:
            drawn[f"error_consistency_{name}"] = kappas
    lead = (
        "One cue at a time: what is still recognized when colour, texture or inner "
        "detail is gone."
    )
    return Section(
        "experiments", "One cue at a time", lead, drawn, tuple(_strips(findings, rows))
    )


def _strips(findings: Findings, rows) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """Yields some images of each published set, or one in each version made of it."""
    rows = [row for row in rows if "condition" in row and "difference" not in row]
    for data in dict.fromkeys(row["data"] for row in rows):
        conditions = dict.fromkeys(r["condition"] for r in rows if r["data"] == data)
        stimuli = findings.stimuli[data]
        if list(conditions) == [stimuli.experiment]:
            spread = np.linspace(0, len(stimuli.images) - 1, _N_SHOWN).astype(int)
            side_px = stimuli.side_px or _THUMB_PX
            tiles = tuple(
                Tile(stimuli.read(int(i), side_px), str(stimuli.category[i]))
                for i in dict.fromkeys(spread)
            )
            yield data, tiles
            continue
        samples = findings.samples.get(data, {})
        shared = {"original": "plain", "greyscale": "grey"}
        names = {c: shared.get(c, c) for c in conditions}
        tiles = tuple(
            Tile(samples[name][0], accuracy_figures.title_of(condition))
            for condition, name in names.items()
            if name in samples
        )
        if tiles:
            yield data, tiles


def _target(findings, rows, data, looks) -> Section:
    overall = [r for r in rows if "accuracy" in r and "category" not in r]
    lead = " ".join(
        f"{r['model']} is right on {tables.percent(r['accuracy'])} % of "
        f"{r['n']:,} images (95 % interval {tables.interval(r)})."
        for r in overall
    )
    drawn = {f"target_{data}": accuracy_figures.by_class(rows, looks, data)}
    return Section("target", f"Accuracy: {data}", lead, drawn)


def _distortions(findings, rows, data, looks) -> Section:
    drawn = {f"distortions_{data}": suite_figures.curves(rows, looks)}
    drawn |= dict(_difference_figures(rows, "distortions", data))
    lead = (
        "Accuracy as each distortion grows, from images as they are on the left. The "
        "broken line is chance; shades are 95 % intervals over images."
    )
    return Section(
        "distortions",
        f"Distortions: {data}",
        lead,
        drawn,
        tuple(_levels(findings.samples.get(data, {}), rows)),
    )


def _levels(samples, rows) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """Yields one image at each level of each distortion, with the accuracies."""
    rows = [row for row in rows if "level" in row]
    for condition in dict.fromkeys(row["condition"] for row in rows):
        here = [row for row in rows if row["condition"] == condition]
        tiles = []
        for level in dict.fromkeys(row["level"] for row in here):
            of_level = [row for row in here if row["level"] == level]
            answers = tuple(
                (row["model"], f"{100 * row['accuracy']:.0f} %", "other")
                for row in of_level
            )
            images = samples.get(of_level[0]["probe"])
            if images is not None:
                title = suite_figures.level_text(level)
                tiles.append(Tile(images[0], title, answers))
        title, unit = suite_figures.named(condition)
        if tiles:
            yield f"{title} ({unit})", tuple(tiles)


def _puzzle(findings, rows, data, looks) -> Section:
    drawn = {f"shuffled_{data}": suite_figures.shuffled(rows, looks)}
    heads = [r for r in rows if r.get("condition") == "jigsaw" and "chance" in r]
    for row in heads:
        name = f"jigsaw_{row['model']}_{data}"
        drawn[name] = suite_figures.jigsaw_confusion(row)
    lead = (
        "Images cut into tiles that all change places keep their textures and lose "
        "their shapes: who keeps the accuracy reads texture."
    )
    for row in heads:
        lead += (
            f" {row['model']}'s jigsaw head names the order of "
            f"{tables.percent(row['shuffled_accuracy'])} % of shuffled images (chance "
            f"{tables.percent(row['chance'])} %)."
        )
    samples = findings.samples.get(data, {})
    tiles = tuple(
        Tile(samples[name][0], name.removeprefix("puzzle/"))
        for name in ("plain", *(n for n in samples if n.startswith("puzzle/")))
        if name in samples and name != "puzzle/head"
    )
    shown = (("What was shown (tiles a side)", tiles),) if tiles else ()
    return Section("puzzle", f"Puzzles: {data}", lead, drawn, shown)


def _retrieval(findings, rows, data, looks) -> Section:
    shown = [row for row in rows if "measure" in row]
    stimuli = findings.stimuli[data]
    remark = f"{data}. {stimuli.made_by}" if stimuli.made_by else data
    drawn = {f"retrieval_{data}": retrieval_parts.figure(shown, remark)}
    drawn |= dict(_difference_figures(rows, "retrieval", data))
    side_px = stimuli.side_px or _THUMB_PX
    firsts = zip(*np.unique(stimuli.domain, return_index=True), strict=True)
    tiles = tuple(Tile(stimuli.read(int(i), side_px), str(d)) for d, i in firsts)
    return Section(
        "retrieval",
        f"Finding a class in another domain: {data}",
        retrieval_parts.lead(shown),
        drawn,
        (("An image of each domain", tiles),),
    )


def _difference_figures(rows: Sequence[dict], suite: str, data: str):
    rows = [row for row in rows if "difference" in row]
    pairs = dict.fromkeys((row["model"], row["versus"]) for row in rows)
    for first, second in pairs:
        of_pair = [r for r in rows if (r["model"], r["versus"]) == (first, second)]
        name = f"{suite}_{first}_minus_{second}_{data}"
        yield name, suite_figures.differences(of_pair, data)
