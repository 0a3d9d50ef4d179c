"""What suites of distortions that grow have in common: curves, and a number for each.

A suite of them is a `Kind`: which distortions, what summarizes a curve, and words.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import distortions as distortions_lib
from jigsaw_shape.measures import intervals
from jigsaw_shape.measures.distortions import Distortion
from jigsaw_shape.reports.page import Section
from jigsaw_shape.reports.table import Table, interval, percent
from jigsaw_shape.suites import (
    accuracy,
    differences,
    figure_parts,
    labelled_images,
    row_tables,
)
from jigsaw_shape.suites.suite import PLAIN, Answers, Fact, Probe, Suite

GREY = Probe("grey", jax.jit(lambda rngs, images: distortions_lib.grey(images)))

# (rngs [B], images [B, S, S, 3], level) -> images, compiled once for all levels.
Make = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A suite's distortions and its words.

    Attributes:
      name: Of the suite.
      table: Each distortion's levels by its name; `distort` is not called.
      summary: The key of the rows that sum a curve up.
      weights: `weights(n)`: what each of a curve's n levels counts there, [n].
      heading: Of the table of these rows, without unit.
      fact: What their mean over conditions is, for a model's card; ends before the
        number of conditions.
      lead: Above the figure.
      units: What the level of each distortion is.
      titles: Names that are not written as their identifiers are.
    """

    name: str
    table: Mapping[str, Distortion]
    summary: str
    weights: Callable[[int], np.ndarray]
    heading: str
    fact: str
    lead: str
    units: Mapping[str, str]
    titles: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def title(self, condition: str) -> str:
        """Returns how a condition is written."""
        plain = condition.replace("_", " ").capitalize()
        return self.titles.get(condition, plain)


def make_probes(
    table: Mapping[str, Distortion], maker: Callable[[Distortion], Make]
) -> dict[str, Probe]:
    """Returns every distortion at each of its levels, by the probes' names.

    The levels of no distortion share the probes `plain` and `grey`.

    Args:
      table: The distortions.
      maker: Compiles one.
    """
    shared, found = {probe.name: probe for probe in (PLAIN, GREY)}, {}
    for name, distortion in table.items():
        make = maker(distortion)
        for level in distortion.levels:
            named = _probe_name(name, distortion, level)
            found[named] = shared.get(named) or _probe(named, make, level)
    return found


def _probe(name: str, make: Make, level: float) -> Probe:
    return Probe(name, lambda rngs, images: make(rngs, images, jnp.float32(level)))


def _probe_name(name: str, distortion: Distortion, level: float) -> str:
    if level == distortion.none and distortion.base:
        return distortion.base
    return f"{name}/{level:g}"


def scores(correct: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns each image's weighted mean over levels: float64 [n].

    Args:
      correct: bool [n, L], whether each image was answered rightly at each level.
      weights: [L], not all 0.
    """
    return correct @ weights / weights.sum()


def make_suite(
    kind: Kind, probes: Callable[[Stimuli, Sequence[Classifier]], list[Probe]]
) -> Suite:
    """Returns the suite of a kind.

    Its rows are one for each distortion and level: `condition`, the distortion's name;
    `level`, a number or `"inf"`; `probe`, the name of the version that was shown;
    `accuracy`; one for each distortion: `condition` and `kind.summary`; and differences
    of these between models, of each image's own, so that they are paired.

    Args:
      kind: Its distortions and words.
      probes: `probes(stimuli, group)`: what it shows to models of one size.
    """
    return Suite(
        find=labelled_images.find_probed,
        wanted=labelled_images.WANTED,
        probes=probes,
        rows=lambda answers: _rows(kind, answers),
        tables=lambda rows, data: _tables(kind, rows, data),
        section=lambda *given: _section(kind, *given),
        facts=lambda rows: _facts(kind, rows),
    )


def _rows(kind: Kind, answers: Answers) -> Iterator[dict]:
    of_models = {}
    for model in answers.models:
        base = answers.base(model.name)
        own = of_models.setdefault(model.name, {})
        for name, distortion in kind.table.items():
            names = [_probe_name(name, distortion, v) for v in distortion.levels]
            right = {n: answers.correct(model.name, n) for n in names}
            for level, probe in zip(distortion.levels, names, strict=True):
                row = {"condition": name, "level": _in_json(level), "probe": probe}
                yield base | row | accuracy.share(right[probe], seed=answers.seed)
            each = np.stack([right[n] for n in names], axis=1)
            score = scores(each, kind.weights(len(names)))
            n = len(score)
            low, high = intervals.interval(score, np.ones(n), seed=answers.seed)
            row = {"condition": name, kind.summary: float(score.mean())}
            yield base | row | {"low": low, "high": high, "n": n}
            own[name] = np.float32(score)
    yield from differences.rows(of_models, seed=answers.seed)


def _in_json(level: float) -> float | str:
    return level if math.isfinite(level) else "inf"


def _tables(kind: Kind, rows, data) -> Iterator[Table]:
    yield from row_tables.crossed(
        f"{kind.heading} on {data}, in % (95 % interval)",
        [row for row in rows if kind.summary in row],
        "condition",
        "model",
        lambda row: f"{percent(row[kind.summary])} ({interval(row)})",
        name=kind.title,
    )
    yield from differences.table(rows, data, kind.title)


def _facts(kind: Kind, rows) -> Iterator[Fact]:
    found = [row[kind.summary] for row in rows if kind.summary in row]
    if found:
        mean = float(np.mean(found))
        yield f"{percent(mean)} %", f"{kind.fact} {len(found)}", mean


def _section(kind: Kind, rows, data, results, looks) -> Section:
    panels = figure_parts.level_panels(rows, looks, kind.title, kind.units)
    drawn = {f"{kind.name}_{data}": panels}
    drawn |= differences.figures(rows, data, kind.title)
    samples = results.samples.get(data, {})
    shown = tuple(figure_parts.level_strips(samples, rows, kind.title, kind.units))
    return Section(
        kind.name, f"{kind.name.capitalize()}: {data}", kind.lead, drawn, shown
    )
