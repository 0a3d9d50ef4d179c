"""The tables of a benchmark, before they are written in any format."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from jigsaw_shape.data import known_sets
from jigsaw_shape.reports.benchmark import comparison
from jigsaw_shape.reports.benchmark.comparison import ACCURACY, NAMED, SHAPE_BIAS
from jigsaw_shape.reports.benchmark.grouping import Benchmark
from jigsaw_shape.runs import rows
from jigsaw_shape.runs.records import FINISHED

VAL = "val/accuracy"
BIAS = "shape bias (S/n, T/n)"
# Beside the accuracies: averages over targets, in %.
EXTRAS = {
    BIAS: SHAPE_BIAS,
    "source val": VAL,
    "domain": "train/domain_accuracy",  # of the domain head, on training images
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """What stands in a table.

    Attributes:
      text: With `+-` before a standard error.
      best: Whether it is the best of its column.
    """

    text: str
    best: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells under a title.

    Attributes:
      title: One line.
      header: A name for each column.
      body: Rows of as many cells.
      aside: Indices of rows that were not measured here.
      notes: What a reader has to know, a sentence each.
    """

    title: str
    header: Sequence[str]
    body: Sequence[Sequence[Cell]]
    aside: Sequence[int] = ()
    notes: Sequence[str] = ()


def accuracy_table(
    benchmark: Benchmark,
    rule: str,
    baseline: str,
    *,
    with_published: bool = False,
    with_intervals: bool = True,
) -> Table:
    """Returns targets across and methods down, in %, for one selection rule.

    Beside them the average, the paired difference to the baseline and, where there are
    any, the measures of `EXTRAS`. A cell that has fewer seeds than there should be says
    how many of how many.

    Args:
      benchmark: See `grouping.group`.
      rule: A key of `rows.RULES`.
      baseline: The label of a method; without its runs there is no difference.
      with_published: Whether papers' numbers stand below.
      with_intervals: Whether the difference has its interval and number of pairs.
    """
    targets, methods = benchmark.targets, benchmark.methods
    several = len(targets) > 1
    columns = [
        [comparison.of_average(c, [t], rule, ACCURACY) for t in targets]
        for c in methods.values()
    ]
    averages = [
        comparison.of_average(c, targets, rule, ACCURACY) for c in methods.values()
    ]
    extras = {
        name: [
            comparison.of_average(c, targets, rule, measure) for c in methods.values()
        ]
        for name, measure in EXTRAS.items()
    }
    extras = {name: means for name, means in extras.items() if any(means)}
    has_baseline = baseline in methods and len(methods) > 1
    header = ["method", *targets]
    header += ["average"] * several
    header += [f"vs {baseline}"] * has_baseline
    header += list(extras)
    best = [_best(means) for means in zip(*columns, strict=True)]
    best_average = _best(averages)
    body = []
    for i, (label, cells) in enumerate(methods.items()):
        row = [Cell(label)]
        for j, target in enumerate(targets):
            planned = sum(t == target for t, _ in benchmark.expected[label])
            text = mean_text(columns[i][j], planned) or _gap(benchmark, label, target)
            row.append(Cell(text, i in best[j]))
        n_seeds = benchmark.n_seeds(label)
        if several:
            text = mean_text(averages[i], n_seeds) or "-"
            row.append(Cell(text, i in best_average))
        if has_baseline:
            found = comparison.paired(cells, methods[baseline], targets, rule)
            n_pairs = sum(map(len, methods[baseline].values()))
            text = difference_text(found, with_intervals, n_pairs)
            row.append(Cell("-" if label == baseline else text))
        for name, means in extras.items():
            text = mean_text(means[i], n_seeds) or "-"
            if name == BIAS and means[i] is not None:
                named = [comparison.of_average(cells, targets, rule, m) for m in NAMED]
                text += named_text(found and found.mean for found in named)
            row.append(Cell(text))
        body.append(row)
    aside = ()
    notes = list(_notes(benchmark, rule))
    if has_baseline and with_intervals:
        notes.append(interval_note(baseline))
    if has_baseline and _is_uneven(benchmark):
        notes.append(
            "Targets have different numbers of seeds: the difference weighs them by "
            "their pairs, the average alike."
        )
    if with_published:
        known = benchmark.protocol
        dataset = known.get("dataset", "")
        papers = known_sets.published(dataset, known.get("encoder", ""))
        aside = range(len(body), len(body) + len(papers))
        body += [
            _published_row(paper, dataset, targets, several, header) for paper in papers
        ]
        if papers:
            sources = "; ".join(f"{p.method}: {p.source}" for p in papers)
            notes.append(
                "Published: the papers' own harness, splits and selection, not "
                f"comparable point by point. {sources}."
            )
    return Table(f"{title(benchmark)}; {rule}, in %", header, body, tuple(aside), notes)


def difference_table(
    benchmark: Benchmark, rule: str, baseline: str, *, with_intervals: bool = True
) -> Table | None:
    """Returns each method's paired difference to the baseline, target by target.

    None where there is nothing to compare.

    Args:
      benchmark: See `grouping.group`.
      rule: A key of `rows.RULES`.
      baseline: The label of a method.
      with_intervals: Whether each target has one too, not only all together.
    """
    methods = benchmark.methods
    if baseline not in methods or len(methods) < 2:
        return None
    targets = benchmark.targets
    parts = [[t] for t in targets] + [targets] * (len(targets) > 1)
    body = []
    for label, cells in methods.items():
        if label == baseline:
            continue
        found = [comparison.paired(cells, methods[baseline], p, rule) for p in parts]
        texts = [difference_text(d, with_intervals) for d in found[:-1]]
        body.append([Cell(t) for t in (label, *texts, difference_text(found[-1]))])
    return Table(
        f"{title(benchmark)}; {rule}, difference to {baseline} in points",
        ["method", *targets, *["all"] * (len(targets) > 1)],
        body,
        notes=[interval_note(baseline)],
    )


def title(benchmark: Benchmark) -> str:
    """Returns what the benchmark is of, in a line."""
    known = benchmark.protocol
    split = f"split {known.get('split')} (seed {known.get('split_seed')})"
    return f"{known.get('dataset')}, {known.get('encoder')}, {split}"


def interval_note(baseline: str) -> str:
    """Returns what the intervals are."""
    return (
        f"Difference to {baseline}: mean over pairs of the same target, seed and "
        "split; [two-sided 95 % t interval over the pairs] (their number)."
    )


def _notes(benchmark: Benchmark, rule: str) -> Iterator[str]:
    cells = [c for by in benchmark.methods.values() for c in by.values()]
    most = max((len(by_seed) for by_seed in cells), default=0)
    yield f"Selection {rule}: {rows.RULES[rule]}."
    if most > 1:
        yield (
            "Mean +- standard error over seeds; the average over seeds that have all "
            "targets."
        )
    drawn = [r for r in benchmark.records if r.trial is not None]
    if drawn:
        n_trials = 1 + max(r.trial for r in drawn)
        yield (
            f"Random search: of {n_trials} trials a target and seed, the one with the "
            "best accuracy on the sources' validation images."
        )
    behind = _behind(benchmark)
    if behind:
        yield f"Fewer trials than planned, and at a disadvantage for that: {behind}."
    yield from benchmark.notes


def _is_uneven(benchmark: Benchmark) -> bool:
    """Returns whether a method has more seeds of some targets than of others."""
    counts = (
        {len(cells.get(target, ())) for target in benchmark.targets}
        for cells in benchmark.methods.values()
    )
    return any(len(numbers) > 1 for numbers in counts)


def _behind(benchmark: Benchmark) -> str:
    """Returns how many trials each method has, where some of a search are missing."""
    counts = []
    for label, cells in benchmark.expected.items():
        trials = [r for found in cells.values() for r in found if r.trial is not None]
        done = sum(r.status == FINISHED for r in trials)
        if done < len(trials):
            counts.append(f"{label} ({done} of {len(trials)})")
    return ", ".join(counts)


def _gap(benchmark: Benchmark, label: str, target: str) -> str:
    """Returns why a cell is empty."""
    status = {
        r.status
        for (t, _), records in benchmark.expected[label].items()
        for r in records
        if t == target
    }
    return "/".join(sorted(status)) or "-"


def _best(means) -> set[int]:
    """Returns the indices of the best, several where they are equal as printed."""
    shown = [None if m is None else round(100 * m.mean, 1) for m in means]
    known = [value for value in shown if value is not None]
    if len(known) < 2:
        return set()
    return {i for i, value in enumerate(shown) if value == max(known)}


def named_text(shares: Iterable[float | None]) -> str:
    """Returns ` (18, 62)`: S / n and T / n, which stand beside a shape bias."""
    shares = list(shares)
    if None in shares:
        return ""
    return f" ({', '.join(f'{100 * share:.0f}' for share in shares)})"


def _published_row(paper, dataset, targets, several, header) -> list[Cell]:
    encoder = f", {paper.encoder}" if paper.encoder else ""
    row = [Cell(f"published: {paper.method}{encoder}")]
    row += [
        Cell(f"{paper.targets[t]:.1f}" if t in paper.targets else "-") for t in targets
    ]
    average = known_sets.KNOWN_SETS[dataset].average_over(paper, targets)
    row += [Cell("-" if average is None else f"{average:.1f}")] * several
    return row + [Cell("-")] * (len(header) - len(row))


def mean_text(found: comparison.Mean | None, planned: int = 0) -> str:
    """Returns `62.3 +- 0.4`, with `(2/3)` where that many seeds of 3 are there."""
    if found is None:
        return ""
    error = "" if found.error is None else f" +- {100 * found.error:.1f}"
    part = f" ({found.n}/{planned})" if found.n < planned else ""
    return f"{100 * found.mean:.1f}{error}{part}"


def difference_text(
    found: comparison.Difference | None, with_interval: bool = True, n_pairs: int = 0
) -> str:
    """Returns `+1.3 [-0.2, +2.8] (6)`; or `+1.3`, and `(6/8)` where 2 pairs lack."""
    if found is None:
        return "-"
    if not with_interval:
        part = f" ({found.n}/{n_pairs})" if found.n < n_pairs else ""
        return f"{100 * found.mean:+.1f}{part}"
    interval = ""
    if found.low is not None:
        interval = f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{100 * found.mean:+.1f}{interval} ({found.n})"
