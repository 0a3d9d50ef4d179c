"""The suite `distortions`: accuracy against the strength of each distortion.

A distortion's `area` is the area under its curve of accuracy against the *index* of the
level, 0 to L - 1, by the trapezoid rule, divided by L - 1: a mean in [0, 1] of the
levels' accuracies in which the first and the last weigh half. It summarizes the
published levels, whose steps are no physical unit.
"""

import math
from collections.abc import Iterator, Sequence

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
    one_pass,
    row_tables,
)
from jigsaw_shape.suites.suite import PLAIN, Answers, Fact, Probe, Suite

GREY = Probe("grey", jax.jit(lambda rngs, images: distortions_lib.grey(images)))

# What a distortion's level is; its name is written with spaces.
_UNITS = {
    "contrast": "share of the contrast",
    "low_pass": "blur, px at 224",
    "high_pass": "blur, px at 224",
    "uniform_noise": "half-width",
    "phase_scrambling": "phase noise, degrees",
    "power_equalisation": "spectrum: 0 own, 1 the mean",
    "false_colour": "colours: 0 own, 1 opposite",
    "rotation": "turn, degrees",
    "eidolon_1": "reach, px at 224",
    "eidolon_2": "reach, px at 224",
    "eidolon_3": "reach, px at 224",
}
_TITLES = {f"eidolon_{n}": f"Eidolon {'I' * n}" for n in (1, 2, 3)}


def probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns every distortion at each of its published levels.

    The levels of no distortion share the probes `plain` and `grey`. Power equalisation
    needs the mean amplitude spectrum, for which all images are read once before.

    Args:
      stimuli: All images that are measured.
      group: Models of one size.
    """
    return list(make_probes(_amplitude(stimuli, group)).values())


def make_probes(amplitude: np.ndarray) -> dict[str, Probe]:
    """Returns the probes by name.

    Args:
      amplitude: `measures.distortions.mean_amplitude` of the images, at the size in
        which the model sees them.
    """
    found, memory = {}, _Memory()
    for name, distortion in distortions_lib.distortions(amplitude).items():
        make = _maker(distortion, memory)
        for level in distortion.levels:
            probe = _probe(name, distortion, level, make)
            found[probe.name] = probe
    return found


def _amplitude(stimuli: Stimuli, group: Sequence[Classifier]) -> np.ndarray:
    """Returns the images' mean amplitude spectrum, for which it reads all of them."""
    store = one_pass.store_of(stimuli, group)
    batches = store.batches(one_pass.chunks_of(len(stimuli.images), group))
    return distortions_lib.mean_amplitude(
        one_pass.resize(batch["image"], group[0].size_px) for batch in batches
    )


def rows(answers: Answers) -> Iterator[dict]:
    """Yields accuracies and areas of each model, then differences of areas.

    A row for each distortion and level: `condition`, the distortion's name; `level`, a
    number or `"inf"`; `probe`, the name of the version that was shown; `accuracy`. One
    for each distortion: `condition`, `area`. Differences are of each image's own area,
    so that they are paired.
    """
    table = distortions_lib.distortions(np.zeros((1, 1), np.float32))
    scores = {}
    for model in answers.models:
        base = answers.base(model.name)
        own = scores.setdefault(model.name, {})
        for name, distortion in table.items():
            names = [_probe_name(name, distortion, v) for v in distortion.levels]
            right = {n: answers.correct(model.name, n) for n in names}
            for level, probe in zip(distortion.levels, names, strict=True):
                row = {"condition": name, "level": _in_json(level), "probe": probe}
                yield base | row | accuracy.share(right[probe], seed=answers.seed)
            area = areas(np.stack([right[n] for n in names], axis=1))
            n = len(area)
            low, high = intervals.interval(area, np.ones(n), seed=answers.seed)
            row = {"condition": name, "area": float(area.mean())}
            yield base | row | {"low": low, "high": high, "n": n}
            own[name] = np.float32(area)
    yield from differences.rows(scores, seed=answers.seed)


def areas(correct: np.ndarray) -> np.ndarray:
    """Returns the area under each image's curve: float64 [n], see the module.

    Args:
      correct: bool [n, L], L at least 2, whether each image was answered rightly at
        each level.
    """
    weights = np.ones(correct.shape[1])
    weights[[0, -1]] = 0.5
    return correct @ weights / weights.sum()


def _in_json(level: float) -> float | str:
    return level if math.isfinite(level) else "inf"


def _probe_name(name: str, distortion: Distortion, level: float) -> str:
    if level == distortion.none and distortion.base:
        return distortion.base
    return f"{name}/{level:g}"


def _probe(name: str, distortion: Distortion, level: float, make) -> Probe:
    named = _probe_name(name, distortion, level)
    shared = {probe.name: probe for probe in (PLAIN, GREY)}
    return shared.get(named) or Probe(
        named, lambda rngs, images: make(rngs, images, jnp.float32(level))
    )


def _maker(distortion: Distortion, memory: "_Memory"):
    """Returns the compiled distortion, one program for all of its levels."""
    if distortion.coherence is None:
        return jax.jit(distortion.distort)
    return lambda rngs, images, level: _eidolons_of(
        memory.parts(rngs, images), level, jnp.float32(distortion.coherence)
    )


_eidolon_parts = jax.jit(distortions_lib.eidolon_parts)
_eidolons_of = jax.jit(distortions_lib.eidolons_of)


class _Memory:
    """The last batch's parts of eidolons, which all reaches and coherences share.

    They are used again for the same arrays of JAX, not for equal ones. They take 12 MB
    for each image of 224 px.
    """

    def __init__(self):
        self._of, self._parts = (None, None), None

    def parts(self, rngs, images):
        same = self._of[0] is rngs and self._of[1] is images
        if not (same and isinstance(images, jax.Array)):
            self._of, self._parts = (rngs, images), None  # free the old ones first
            self._parts = _eidolon_parts(rngs, images)
        return self._parts


def _title_of(condition: str) -> str:
    return _TITLES.get(condition, condition.replace("_", " ").capitalize())


def _tables(rows, data) -> Iterator[Table]:
    yield from row_tables.crossed(
        f"Area under the curve of accuracy on {data}, in % (95 % interval)",
        [row for row in rows if "area" in row],
        "condition",
        "model",
        lambda row: f"{percent(row['area'])} ({interval(row)})",
        name=_title_of,
    )
    yield from differences.table(rows, data, _title_of)


def _facts(rows) -> Iterator[Fact]:
    areas_of = [row["area"] for row in rows if "area" in row]
    if areas_of:
        mean = float(np.mean(areas_of))
        what = f"right under distortions, mean over {len(areas_of)}"
        yield f"{percent(mean)} %", what, mean


def _section(rows, data, results, looks) -> Section:
    panels = figure_parts.level_panels(rows, looks, _title_of, _UNITS)
    drawn = {f"distortions_{data}": panels}
    drawn |= differences.figures(rows, data, _title_of)
    lead = (
        "Accuracy as each distortion grows, from undistorted images on the left. The "
        "broken line is chance; shades are 95 % intervals over images."
    )
    samples = results.samples.get(data, {})
    shown = tuple(figure_parts.level_strips(samples, rows, _title_of, _UNITS))
    return Section("distortions", f"Distortions: {data}", lead, drawn, shown)


SUITE = Suite(
    find=labelled_images.find_probed,
    wanted=labelled_images.WANTED,
    probes=probes,
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
)
