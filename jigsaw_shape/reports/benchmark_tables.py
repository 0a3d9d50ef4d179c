"""The tables of a benchmark: accuracies, differences, and all numbers for CSV."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jigsaw_shape.data import known_sets
from jigsaw_shape.reports import comparison
from jigsaw_shape.reports.comparison import ACCURACY, NAMED, SHAPE_BIAS, VAL
from jigsaw_shape.reports.grouping import Benchmark
from jigsaw_shape.reports.table import NONE, Cell, Table
from jigsaw_shape.runs import records, rows
from jigsaw_shape.runs.records import FINISHED

BIAS = "shape bias (S/n, T/n)"
# Beside the accuracies: averages over targets, in %.
EXTRAS = {
    BIAS: SHAPE_BIAS,
    "source val": VAL,
    "domain": "train/domain_accuracy",  # of the domain head, on training images
}


def accuracy_table(
    benchmark: Benchmark,
    rule: str,
    baseline: str,
    with_published: bool = False,
) -> Table:
    """Returns targets across and methods down, in %, for one selection rule.

    Beside them the average, the paired difference to the baseline and, where there are
    any, the measures of `EXTRAS`. A cell with fewer seeds than planned says how many of
    how many.

    Args:
      benchmark: See `grouping.group`.
      rule: A key of `rows.RULES`.
      baseline: The label of a method; without its runs there is no difference.
      with_published: Whether papers' numbers stand below.
    """
    targets, methods = benchmark.targets, benchmark.methods
    columns = [("method", [Cell(label) for label in methods])]
    columns += [(t, _accuracies(benchmark, rule, [t])) for t in targets]
    if len(targets) > 1:
        columns.append(("average", _accuracies(benchmark, rule, targets)))
    notes = list(_notes(benchmark, rule))
    if baseline in methods and len(methods) > 1:
        columns.append((f"vs {baseline}", _differences(benchmark, rule, baseline)))
        if _is_uneven(benchmark):
            notes.append(
                "Targets have different numbers of seeds: each pair counts alike in "
                "the difference, each target in the average."
            )
    for name, measure in EXTRAS.items():
        cells = _extras(benchmark, rule, measure)
        if any(cell.text != NONE for cell in cells):
            columns.append((name, cells))
    header, cells = zip(*columns, strict=True)
    body = list(zip(*cells, strict=True))
    n_measured = len(body)
    if with_published:
        published = _published_rows(benchmark, len(header))
        body += published.values()
        if published:
            notes.append(
                "Published: the papers' own harness, splits and selection, not "
                f"comparable point by point. {'; '.join(published)}."
            )
    title = f"{benchmark.title}; {rule}, in %"
    return Table(title, header, body, range(n_measured, len(body)), notes)


def _accuracies(benchmark, rule, targets) -> list[Cell]:
    """Returns each method's accuracy over targets, the best ones marked."""
    means = [
        comparison.of_average(cells, targets, rule, ACCURACY)
        for cells in benchmark.methods.values()
    ]
    # Equal is what is printed as equal.
    shown = [None if m is None else round(100 * m.mean, 1) for m in means]
    known = [value for value in shown if value is not None]
    best = max(known) if len(known) > 1 else None
    found = []
    for label, mean, value in zip(benchmark.methods, means, shown, strict=True):
        planned = benchmark.expected[label]
        if mean is None:
            found.append(_gap(planned, targets) if len(targets) == 1 else Cell(NONE))
            continue
        n_planned = len({s for t, s in planned if len(targets) > 1 or t in targets})
        is_best = best is not None and value == best
        found.append(Cell(mean_text(mean, n_planned), is_best))
    return found


def _gap(planned: Mapping, targets: Sequence[str]) -> Cell:
    """Returns why there is no accuracy on a target."""
    found = {r.status for (t, _), runs in planned.items() for r in runs if t in targets}
    badge = "bad" if records.FAILED in found else "warn"
    return Cell("/".join(sorted(found)), badge=badge) if found else Cell(NONE)


def _differences(benchmark, rule, baseline) -> list[Cell]:
    methods = benchmark.methods
    n_pairs = sum(map(len, methods[baseline].values()))
    found = []
    for label, cells in methods.items():
        pairs = comparison.paired(cells, methods[baseline], benchmark.targets, rule)
        text = gain_text(pairs, n_pairs)
        found.append(Cell(NONE if label == baseline else text))
    return found


def _extras(benchmark: Benchmark, rule: str, measure: str) -> list[Cell]:
    found = []
    for label, cells in benchmark.methods.items():
        means = {
            name: comparison.of_average(cells, benchmark.targets, rule, name)
            for name in (measure, *NAMED)
        }
        text = mean_text(means[measure], benchmark.n_seeds(label)) or NONE
        if measure == SHAPE_BIAS and means[measure] is not None:
            text += named_text(means[name] and means[name].mean for name in NAMED)
        found.append(Cell(text))
    return found


def _published_rows(benchmark: Benchmark, width: int) -> dict[str, list[Cell]]:
    """Returns a row for each paper's method, by method and source."""
    known, targets = benchmark.protocol, benchmark.targets
    name = known.get("dataset", "")
    found = {}
    for paper in known_sets.published(name, known.get("encoder", "")):
        encoder = f", {paper.encoder}" if paper.encoder else ""
        row = [f"published: {paper.method}{encoder}"]
        values = [paper.targets.get(target) for target in targets]
        if len(targets) > 1:
            values.append(known_sets.KNOWN_SETS[name].average_over(paper, targets))
        row += [NONE if value is None else f"{value:.1f}" for value in values]
        row += [NONE] * (width - len(row))
        found[f"{paper.method}: {paper.source}"] = [Cell(text) for text in row]
    return found


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
    methods, targets = benchmark.methods, benchmark.targets
    if baseline not in methods or len(methods) < 2:
        return None
    parts = [[t] for t in targets] + [targets] * (len(targets) > 1)
    body = []
    for label, cells in methods.items():
        if label != baseline:
            other = methods[baseline]
            found = [comparison.paired(cells, other, part, rule) for part in parts]
            texts = map(difference_text if with_intervals else gain_text, found[:-1])
            body.append((label, *texts, difference_text(found[-1])))
    return Table(
        f"{benchmark.title}; {rule}, difference to {baseline} in points",
        ("method", *targets, *["all"] * (len(targets) > 1)),
        body,
        notes=[
            f"Difference to {baseline}: mean over pairs of the same target, seed and "
            "split; [two-sided 95 % t interval over the pairs] (their number)."
        ],
    )


def _notes(benchmark: Benchmark, rule: str) -> Iterator[str]:
    cells = [c for by in benchmark.methods.values() for c in by.values()]
    yield f"Selection {rule}: {rows.RULES[rule]}."
    if any(len(by_seed) > 1 for by_seed in cells):
        yield (
            "Mean ± standard error over seeds; the average over seeds that have all "
            "targets."
        )
    trials = [r.trial for r in benchmark.records if r.trial is not None]
    if trials:
        how = "the sources' validation images"
        if benchmark.left_sources_out:
            how = "sources that further runs held out (leave-one-domain-out validation)"
        yield (
            f"Random search: of {1 + max(trials)} trials for each target and seed, the "
            f"one with the best accuracy on {how}."
        )
    behind = _behind(benchmark)
    if behind:
        yield f"Fewer trials than planned, which is a disadvantage: {behind}."
    yield from benchmark.notes


def _is_uneven(benchmark: Benchmark) -> bool:
    """Returns whether a method has more seeds of some targets than of others."""
    return any(
        len({len(cells.get(target, ())) for target in benchmark.targets}) > 1
        for cells in benchmark.methods.values()
    )


def _behind(benchmark: Benchmark) -> str:
    """Returns how many trials each method has, where some of a search are missing."""
    counts = []
    unfinished = {r.trial_key for r in benchmark.records if r.status != FINISHED}
    for label, cells in benchmark.expected.items():
        trials = [r for found in cells.values() for r in found if r.trial is not None]
        done = sum(r.trial_key not in unfinished for r in trials)
        if done < len(trials):
            counts.append(f"{label} ({done} of {len(trials)})")
    return ", ".join(counts)


def named_text(shares: Iterable[float | None]) -> str:
    """Returns ` (18, 62)`: S / n and T / n, which stand beside a shape bias."""
    shares = list(shares)
    if None in shares:
        return ""
    return f" ({', '.join(f'{100 * share:.0f}' for share in shares)})"


def mean_text(found: comparison.Mean | None, planned: int = 0) -> str:
    """Returns `62.3 ± 0.4`, with `(2/3)` where that many seeds of 3 are there."""
    if found is None:
        return ""
    error = "" if found.error is None else f" ± {100 * found.error:.1f}"
    part = f" ({found.n}/{planned})" if found.n < planned else ""
    return f"{100 * found.mean:.1f}{error}{part}"


def gain_text(found: comparison.Difference | None, n_planned: int = 0) -> str:
    """Returns `+1.3`, with `(6/8)` where two of eight pairs are missing."""
    if found is None:
        return NONE
    part = f" ({found.n}/{n_planned})" if found.n < n_planned else ""
    return f"{100 * found.mean:+.1f}{part}"


def difference_text(found: comparison.Difference | None) -> str:
    """Returns `+1.3 [-0.2, +2.8] (6)`: the mean, its interval, the number of pairs."""
    if found is None:
        return NONE
    interval = ""
    if found.low is not None:
        interval = f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{gain_text(found)}{interval} ({found.n})"


# Column of the CSV -> measure.
_MEASURES = {
    "shape_bias": SHAPE_BIAS,
    **{name.rpartition("/")[2]: name for name in NAMED},
    "source_val": VAL,
    "domain": EXTRAS["domain"],
}
_PROTOCOL = ("dataset", "encoder", "split", "split_seed")
_NUMBERS = (
    *(*_PROTOCOL, "method", "selection", "target", "n_seeds", "accuracy"),
    *("standard_error", "baseline", "n_pairs", "difference", "low", "high", *_MEASURES),
)


def numbers_table(benchmarks: Sequence[Benchmark], baseline: str) -> Table:
    """Returns a row for each method, rule and target, and for their average.

    Shares, not percent, in full precision; empty where there is no number.
    """
    body = []
    for benchmark in benchmarks:
        parts = {target: [target] for target in benchmark.targets}
        if len(parts) > 1:
            parts["average"] = benchmark.targets
        for label in benchmark.methods:
            for rule in rows.RULES:
                for name, targets in parts.items():
                    known = {k: benchmark.protocol.get(k) for k in _PROTOCOL}
                    known |= {"method": label, "selection": rule, "target": name}
                    known |= _numbers(benchmark, label, targets, rule, baseline)
                    values = (known.get(column) for column in _NUMBERS)
                    body.append(["" if v is None else str(v) for v in values])
    return Table("Numbers", _NUMBERS, body)


def _numbers(benchmark, label, targets, rule, baseline) -> dict:
    cells = benchmark.methods[label]
    accuracy = comparison.of_average(cells, targets, rule, ACCURACY)
    values = {"n_seeds": 0}
    if accuracy is not None:
        names = ("accuracy", "standard_error", "n_seeds")
        values = dict(zip(names, accuracy, strict=True))
    for column, measure in _MEASURES.items():
        found = comparison.of_average(cells, targets, rule, measure)
        values[column] = found and found.mean
    if baseline in benchmark.methods and label != baseline:
        other = benchmark.methods[baseline]
        found = comparison.paired(cells, other, targets, rule)
        if found is not None:
            names = ("difference", "low", "high", "n_pairs")
            values |= dict(zip(names, found, strict=True), baseline=baseline)
    return values
