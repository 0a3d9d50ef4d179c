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
from matplotlib.figure import Figure

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import distortions as distortions_lib
from jigsaw_shape.measures import intervals
from jigsaw_shape.measures.distortions import Distortion
from jigsaw_shape.reports import look
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.page import Section, Tile
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


def _level_text(level: float | str) -> str:
    return "∞" if level == "inf" else f"{level:g}"


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
    drawn = {f"distortions_{data}": curves(rows, looks)}
    drawn |= differences.figures(rows, data, _title_of)
    lead = (
        "Accuracy as each distortion grows, from undistorted images on the left. The "
        "broken line is chance; shades are 95 % intervals over images."
    )
    shown = tuple(_levels(results.samples.get(data, {}), rows))
    return Section("distortions", f"Distortions: {data}", lead, drawn, shown)


def _levels(samples, rows) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """Yields one image at each level of each distortion, with the accuracies."""
    rows = [row for row in rows if "level" in row]
    for condition in dict.fromkeys(row["condition"] for row in rows):
        here = [row for row in rows if row["condition"] == condition]
        tiles = []
        for level in dict.fromkeys(row["level"] for row in here):
            of_level = [row for row in here if row["level"] == level]
            answers = tuple(
                (row["model"], f"{percent(row['accuracy'], 0)} %", "other")
                for row in of_level
            )
            images = samples.get(of_level[0]["probe"])
            if images is not None:
                tiles.append(Tile(images[0], _level_text(level), answers))
        if tiles:
            yield f"{_title_of(condition)} ({_UNITS[condition]})", tuple(tiles)


def curves(rows: Sequence[dict], looks: Looks) -> Figure:
    """Returns accuracy against each distortion's levels, a panel each."""
    rows = [row for row in rows if "level" in row]
    conditions = list(dict.fromkeys(row["condition"] for row in rows))
    n_columns = min(4, len(conditions))
    n_rows = math.ceil(len(conditions) / n_columns)
    size = 2.7 * n_columns + 0.6, 2.35 * n_rows + 0.6
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        here = [row for row in rows if row["condition"] == condition]
        levels = list(dict.fromkeys(row["level"] for row in here))
        figure_parts.level_curves(axes, here, levels, looks)
        axes.set_title(_title_of(condition))
        axes.set_xlabel(_UNITS[condition], fontsize=8.5)
        axes.set_xticks(range(len(levels)), [_level_text(v) for v in levels])
        rotation = 0 if len(levels) < 7 else 45
        axes.tick_params(axis="x", labelsize=8, rotation=rotation)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy")
    for axes in list(grid.flat)[len(conditions) :]:
        axes.set_axis_off()
    look.legend_above(figure, grid[0, 0])
    return figure


SUITE = Suite(
    find=labelled_images.find_probed,
    wanted=labelled_images.WANTED,
    probes=probes,
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
)
