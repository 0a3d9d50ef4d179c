"""The suite `reliance`: how much accuracy survives when one cue is taken away.

Burgert et al., NeurIPS 2025 (arXiv 2509.20234): suppress a cue and see what is lost,
where a cue conflict only says which of two cues wins. Any labelled images do. Moved
tiles take away global shape, turned tiles local shape, smoothing texture, mixing with
grey colour (`measures.suppression`).

What survives is (accuracy without the cue - chance) / (accuracy - chance), where chance
is 1 / the number of answers. 1: the cue was not needed; 0: nothing is left without it.
It is given at one level of each cue: `CUES` and `PAIRS`, those that the published pairs
hold fixed where there is such a one, and elsewhere a middle one (4 x 4 tiles that move,
8 x 8 tiles that turn). Departure: the paper divides by accuracy alone.

Some of the published levels are shown, those of `few`; `evaluate --full` shows all.
Grids whose whole tiles leave more than a tenth of the side at the border as it was,
such as 16 x 16 at 60 px, are left out, but for those of the summary.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import intervals, suppression
from jigsaw_shape.reports.look import Looks, legend_above
from jigsaw_shape.reports.page import Section
from jigsaw_shape.reports.table import Table, interval, percent
from jigsaw_shape.suites import (
    accuracy,
    differences,
    figure_parts,
    labelled_images,
    puzzle,
    row_tables,
)
from jigsaw_shape.suites.levels import GREY
from jigsaw_shape.suites.suite import PLAIN, Answers, Fact, Headline, Probe, Suite

_TILES = tuple(range(2, 17, 2))


@dataclasses.dataclass(frozen=True)
class Suppression:
    """A way to take a cue away, and where it is measured.

    Attributes:
      suppress: See `measures.suppression`.
      none: The level at which nothing is taken away.
      levels: The published ones, from the weakest to the strongest.
      few: Those that are shown without `--full`.
      unit: What a level is.
    """

    suppress: Callable[[jax.Array, jax.Array, float], jax.Array]
    none: float
    levels: tuple[float, ...]
    few: tuple[float, ...]
    unit: str


SUPPRESSIONS = {
    "patch_shuffle": Suppression(
        puzzle.shuffle, 1, _TILES, (2, 4, 8, 16), "tiles a side that move"
    ),
    "patch_rotation": Suppression(
        suppression.rotate_patches, 1, _TILES, (2, 4, 8, 16), "tiles a side that turn"
    ),
    "bilateral": Suppression(
        suppression.bilateral, 0, (4, 6, 8, 10, 12, 14), (12,), "diameter, px at 224"
    ),
    "gaussian_blur": Suppression(
        suppression.gaussian_blur, 1, tuple(range(3, 16, 2)), (7, 15), "px at 224"
    ),
    "nl_means": Suppression(
        suppression.nl_means, 0, (5, 10, 15, 20, 25), (), "h, grey levels"
    ),
    "greyscale": Suppression(
        suppression.less_colour, 0, (0.2, 0.4, 0.6, 0.8, 1), (0.6, 1), "share of grey"
    ),
    "channel_shuffle": Suppression(
        suppression.shuffle_channels, 0, (1,), (1,), "colours traded"
    ),
}
# Cue -> the suppression and the level at which it is summarized.
CUES = {
    "global_shape": ("patch_shuffle", 4),
    "local_shape": ("patch_rotation", 8),
    "texture": ("bilateral", 12),
    "colour": ("greyscale", 1),
}
# Two cues at a time, in the published order.
PAIRS = {
    "global_shape+texture": ("texture", "global_shape"),
    "global_shape+colour": ("global_shape", "colour"),
    "texture+colour": ("texture", "colour"),
}


def probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns a few levels of each suppression, and the pairs, for any images."""
    del stimuli
    return _probes(lambda one: one.few, group)


def full_probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns every published level of each suppression, and the pairs."""
    del stimuli
    return _probes(lambda one: one.levels, group)


def _probes(levels_of, group) -> list[Probe]:
    found = {
        (name, level): _probe(name, level)
        for name, one in SUPPRESSIONS.items()
        for level in levels_of(one)
        if (name, level) in CUES.values() or _reaches_all(name, level, group)
    }
    # The slow filter is computed once for the cue and for the pairs with it.
    texture = found[CUES["texture"]]
    found[CUES["texture"]] = dataclasses.replace(texture, make=_Once(texture.make))

    def one_after_the_other(pair):
        first, second = (found[CUES[cue]].make for cue in PAIRS[pair])
        return lambda rngs, images: second(rngs, first(rngs, images))

    return [*found.values(), *(Probe(p, one_after_the_other(p)) for p in PAIRS)]


def _reaches_all(name, level, group) -> bool:
    """Returns whether tiles leave less than a tenth of each side as it was."""
    if not name.startswith("patch_") or not group:
        return True
    return 10 * (group[0].size_px % level) <= group[0].size_px


@functools.cache
def _probe(name: str, level: float) -> Probe:
    probe_name = name_of(name, level)
    if probe_name == GREY.name:
        return GREY
    suppress = SUPPRESSIONS[name].suppress
    make = jax.jit(lambda rngs, images: suppress(rngs, images, level))
    return Probe(probe_name, make)


def name_of(name: str, level: float) -> str:
    """Returns the name of a suppression's probe, shared with other suites' equals."""
    if level == SUPPRESSIONS[name].none:
        return PLAIN.name
    if (name, level) == CUES["colour"]:
        return GREY.name
    if name == "patch_shuffle":
        return f"puzzle/{level}"
    return f"{name}/{level:g}"


class _Once:
    """Remembers the last result, for the same arrays and not for equal ones."""

    def __init__(self, make):
        self._make, self._of, self._made = make, (None, None), None

    def __call__(self, rngs, images):
        same = self._of[0] is rngs and self._of[1] is images
        if not (same and isinstance(images, jax.Array)):
            self._of, self._made = (rngs, images), self._make(rngs, images)
        return self._made


def rows(answers: Answers) -> Iterator[dict]:
    """Yields accuracies of each model, what survives, then differences of that.

    A row for each suppression and level that was shown, from the level of none on:
    `condition`, a key of `SUPPRESSIONS`; `level`; `probe`, the name of the version;
    `accuracy`. One for each cue or pair of cues: `condition`, a key of `CUES` or
    `PAIRS`; `survives`, null where the accuracy on whole images is not above `chance`,
    by its interval.
    """
    scores = {}
    for model in answers.models:
        base, own = answers.base(model.name), scores.setdefault(model.name, {})
        chance = 1 / base["n_classes"]
        whole = answers.correct(model.name)
        shown = answers.outputs[model.name]
        for name, one in SUPPRESSIONS.items():
            levels = [v for v in one.levels if name_of(name, v) in shown]
            for level in (one.none, *levels) if levels else ():
                probe = name_of(name, level)
                right = answers.correct(model.name, probe)
                row = {"condition": name, "level": level, "probe": probe}
                yield base | row | accuracy.share(right, seed=answers.seed)
        above = accuracy.share(whole, seed=answers.seed)["low"] > chance
        for condition in (*CUES, *PAIRS):
            probe = name_of(*CUES[condition]) if condition in CUES else condition
            right = answers.correct(model.name, probe)
            part = np.float64(right) - chance, np.float64(whole) - chance
            row = {"condition": condition, "survives": None, "low": None, "high": None}
            if above:
                row |= _survival(part, answers.seed)
                own[condition] = part
            yield base | row | {"chance": chance, "n": len(right)}
    yield from differences.rows(scores, seed=answers.seed)


def _survival(part: intervals.Part, seed: int) -> dict:
    """Returns `survives` with its interval, of what is above chance in each image."""
    top, bottom = part
    low, high = intervals.of_ratio(top, bottom, seed=seed)
    return {"survives": float(top.sum() / bottom.sum()), "low": low, "high": high}


def _title_of(condition: str) -> str:
    return condition.replace("_", " ").replace("+", " and ")


def _survivals(rows) -> list[dict]:
    return [row for row in rows if "survives" in row]


def _cell(row) -> str:
    return f"{percent(row['survives'])} ({interval(row)})"


def _tables(rows, data) -> Iterator[Table]:
    yield from row_tables.crossed(
        f"Accuracy above chance that survives on {data}, in % (95 % interval)",
        _survivals(rows),
        "condition",
        "model",
        _cell,
        name=lambda condition: f"without {_title_of(condition)}",
    )
    yield from differences.table(rows, data, _title_of)


def _facts(rows) -> Iterator[Fact]:
    for row in _survivals(rows):
        if row["condition"] in CUES and row["survives"] is not None:
            what = f"of its accuracy survives without {_title_of(row['condition'])}"
            yield f"{percent(row['survives'])} %", what, row["survives"]


def _headlines(rows) -> Iterator[Headline]:
    clauses = {
        "global_shape": "keeps {} % of its accuracy above chance when 4 × 4 patches "
        "are shuffled",
        "local_shape": "{} % when 8 × 8 patches are turned",
        "texture": "{} % without texture",
        "colour": "{} % without colour",
    }
    for row in _survivals(rows):
        cue = row["condition"]
        if cue in clauses and row["survives"] is not None:
            yield Headline(
                f"accuracy kept without {_title_of(cue)}",
                *(row[key] for key in ("survives", "low", "high")),
                clause=clauses[cue].format(percent(row["survives"], 0)),
            )


def _section(rows, data, results, looks) -> Section:
    units = {name: one.unit for name, one in SUPPRESSIONS.items()}
    drawn = {
        f"reliance_{data}": survivors(rows, looks),
        f"reliance_levels_{data}": figure_parts.level_panels(
            rows, looks, _title_of, units
        ),
    }
    drawn |= differences.figures(rows, data, _title_of)
    lead = (
        "What is left of the accuracy when one cue is taken away, or two: 100 % where "
        "the cue was not needed, 0 where nothing is left but chance. Global shape goes "
        "when tiles move, local shape when they turn in place, texture by smoothing."
    )
    shown = figure_parts.level_strips(
        results.samples.get(data, {}), rows, _title_of, units
    )
    return Section("reliance", f"Reliance on cues: {data}", lead, drawn, tuple(shown))


def survivors(rows: Sequence[dict], looks: Looks) -> Figure:
    """Returns what survives without each cue and each pair, for every model."""
    rows = _survivals(rows)
    conditions = [*CUES, *PAIRS]
    figure, axes = figure_parts.new_axes(7.2, 1.6 + 0.45 * len(conditions))
    figure_parts.interval_groups(
        axes,
        [(conditions.index(row["condition"]), "survives", row) for row in rows],
        [f"without {_title_of(condition)}" for condition in conditions],
        looks,
    )
    axes.set_xlabel("accuracy above chance that survives (95 % interval over images)")
    legend_above(figure, axes)
    return figure


SUITE = Suite(
    find=labelled_images.find_probed,
    wanted=labelled_images.WANTED,
    probes=probes,
    full_probes=full_probes,
    rows=rows,
    tables=_tables,
    section=_section,
    facts=_facts,
    headlines=_headlines,
)
