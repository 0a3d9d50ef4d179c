"""Means over seeds, averages over targets, paired differences: pure functions."""

import collections
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scipy import special

from jigsaw_shape.runs.records import Record

CONFIDENCE = 0.95
ACCURACY, VAL = "target/accuracy", "val/accuracy"
SHAPE_BIAS = "cue_conflict/shape_bias"
# Always shown beside a bias: how often each cue was named at all, S / n and T / n.
NAMED = ("cue_conflict/shape_accuracy", "cue_conflict/texture_accuracy")

# {target: {seed: record}}
Cells = Mapping[str, Mapping[int, Record]]


class Mean(NamedTuple):
    """A mean over seeds: `error` is its standard error, None of a single one."""

    mean: float
    error: float | None
    n: int


class Difference(NamedTuple):
    """A mean of paired differences, and its confidence interval where n is above 1."""

    mean: float
    low: float | None
    high: float | None
    n: int


def mean(values: Iterable[float]) -> Mean | None:
    """Returns mean and standard error; None of nothing."""
    values = list(values)
    if not values:
        return None
    error = None
    if len(values) > 1:
        error = statistics.stdev(values) / math.sqrt(len(values))
    return Mean(statistics.fmean(values), error, len(values))


def difference(values: Iterable[float]) -> Difference | None:
    """Returns the mean of paired differences with a two-sided t interval of 95 %."""
    found = mean(values)
    if found is None or found.error is None:
        return found and Difference(found.mean, None, None, 1)
    reach = special.stdtrit(found.n - 1, (1 + CONFIDENCE) / 2) * found.error
    return Difference(found.mean, found.mean - reach, found.mean + reach, found.n)


def of_average(
    cells: Cells, targets: Sequence[str], rule: str, measure: str
) -> Mean | None:
    """Returns the mean over seeds of the average over targets.

    A seed counts where it has every target: an average over other targets is another
    number.
    """
    seeds = sorted({seed for by_seed in cells.values() for seed in by_seed})
    averages = []
    for seed in seeds:
        records = [cells.get(target, {}).get(seed) for target in targets]
        values = [r and r.results[rule].get(measure) for r in records]
        if None not in values:
            averages.append(statistics.fmean(values))
    return mean(averages)


def paired(
    cells: Cells,
    baseline: Cells,
    targets: Sequence[str],
    rule: str,
    measure: str = ACCURACY,
) -> Difference | None:
    """Returns how much better a method is than the baseline on the same cells.

    A pair is a target and a seed that both have; the images are split alike in both
    (`grouping.check_same`). The t interval is over all pairs of `targets`.
    """
    differences = []
    for target in targets:
        ours, theirs = cells.get(target, {}), baseline.get(target, {})
        for seed in sorted(ours.keys() & theirs.keys()):
            a, b = (by[seed].results[rule].get(measure) for by in (ours, theirs))
            if a is not None and b is not None:
                differences.append(a - b)
    return difference(differences)


def curve(
    records: Iterable[Record], measure: str
) -> tuple[list[float], list[float], list[float]]:
    """Returns epochs, means over runs, and standard errors (0 of a single run).

    An epoch counts where every run has it.
    """
    by_epoch = collections.defaultdict(list)
    records = list(records)
    for r in records:
        for row in r.evaluations:
            if row.get(measure) is not None:
                by_epoch[round(row["epoch"], 6)].append(row[measure])
    kept = {e: mean(v) for e, v in sorted(by_epoch.items()) if len(v) == len(records)}
    return (
        list(kept),
        [found.mean for found in kept.values()],
        [found.error or 0.0 for found in kept.values()],
    )
