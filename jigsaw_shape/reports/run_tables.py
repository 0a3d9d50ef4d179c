"""Tables of runs, one by one: their accuracies, what became of them, what was drawn."""

from collections.abc import Iterator, Mapping, Sequence

from jigsaw_shape.reports.benchmark_tables import BIAS, EXTRAS, named_text
from jigsaw_shape.reports.comparison import ACCURACY, NAMED, SHAPE_BIAS, VAL
from jigsaw_shape.reports.grouping import Benchmark
from jigsaw_shape.reports.table import NONE, Cell, Table, percent
from jigsaw_shape.runs import rows
from jigsaw_shape.runs.records import FAILED, FINISHED, MISSING, UNFINISHED, Record

# Status -> how it is marked on pages; what needs a look comes first.
_BADGES = {FAILED: "bad", UNFINISHED: "warn", MISSING: "warn", FINISHED: "good"}
# Column of a table of single runs -> measure of a result row, shown in percent.
_OF_RUNS = {
    "target": ACCURACY,
    "source val": VAL,
    BIAS: SHAPE_BIAS,
    "jigsaw": "puzzle/shuffled_accuracy",
    "jigsaw, ordered": "puzzle/ordered_accuracy",
    "domain": EXTRAS["domain"],
}
_LEGEND = {
    "jigsaw": "jigsaw: the jigsaw head on shuffled images alone.",
    "domain": "domain: the domain head on the images of the last training row.",
}
_MOST_CLASSES = 12  # columns of a table; of more, so many rows


def run_tables(results: Sequence[Mapping], classes: Sequence[str]) -> list[Table]:
    """Returns the accuracies of one run by selection rule, and those of each class.

    Args:
      results: The run's three rows; see `rows.results`.
      classes: Names.
    """
    first = results[0]
    columns = _present(results)
    body = [
        (row["selection"], f"{row['epoch']:.1f}", *_values(row, columns))
        for row in results
    ]
    notes = [f"{rule}: {meaning}." for rule, meaning in rows.RULES.items()]
    notes += [text for column, text in _LEGEND.items() if column in columns]
    title = f"{first['preset']} on {first['target'] or first['dataset']}"
    header = ("selection", "epoch", *columns)
    tables = [Table(f"{title}, accuracies in %", header, body, notes=notes)]
    if ACCURACY in first:
        tables.append(_class_table(results, classes))
    return tables


def _class_table(results: Sequence[Mapping], classes: Sequence[str]) -> Table:
    """Returns the accuracies of each class, or of those that are named least."""
    target = results[0]["target"]
    found = {name: [row[f"target/class/{name}"] for row in results] for name in classes}
    rules = [row["selection"] for row in results]
    if len(classes) <= _MOST_CLASSES:
        body = [
            (rule, *(percent(found[name][i]) for name in classes))
            for i, rule in enumerate(rules)
        ]
        return Table(f"{target} by class, in %", ("selection", *classes), body)
    shown = [name for name in classes if found[name][0] is not None]  # by the target
    least = sorted(shown, key=lambda name: found[name])[:_MOST_CLASSES]
    return Table(
        f"{target}, those of {len(classes)} classes that are named least, in %",
        ("class", *rules),
        [(name, *map(percent, found[name])) for name in least],
        notes=["metrics.jsonl has them all."],
    )


def runs_table(benchmark: Benchmark, selection: str) -> Table:
    """Returns a row for each finished run: what it was and what the rule picked.

    Args:
      benchmark: See `grouping.group`.
      selection: A key of `rows.RULES`.
    """
    found = [r for r in benchmark.records if r.results]
    columns = _present([r.results[selection] for r in found])
    columns.pop("jigsaw, ordered", None)
    body = [
        (
            r.name,
            r.preset,
            r.target,
            str(r.seed),
            *_values(r.results[selection], columns),
        )
        for r in found
    ]
    notes = [f"Selected: {rows.RULES[selection]}."]
    notes += [text for column, text in _LEGEND.items() if column in columns]
    header = ("run", "preset", "held out", "seed", *columns)
    return Table(f"{benchmark.title}, in %", header, body, notes=notes)


def _present(results: Sequence[Mapping]) -> dict[str, str]:
    """Returns the measures that any of the rows has."""
    return {
        column: name
        for column, name in _OF_RUNS.items()
        if any(row.get(name) is not None for row in results)
    }


def _values(row: Mapping, columns: Mapping[str, str]) -> Iterator[str]:
    """Yields a row's measures; a shape bias with how often cues were named."""
    for name in columns.values():
        text = percent(row.get(name))
        if name == SHAPE_BIAS and text != NONE:
            text += named_text(row.get(cue) for cue in NAMED)
        yield text


def statuses_table(everything: Sequence[Record]) -> Table:
    """Returns what became of each run; what needs a look comes first."""
    body = []
    for r in sorted(everything, key=lambda r: list(_BADGES).index(r.status)):
        found = r.results.get("val", {})
        numbers = (percent(found.get(measure)) for measure in (ACCURACY, VAL))
        status = Cell(r.status, badge=_BADGES[r.status])
        body.append((r.name, status, r.note or NONE, *numbers))
    header = ("run", "status", "note", "target", "source val")
    return Table("Accuracies in %, selected on validation", header, body)


def draws_table(benchmark: Benchmark) -> Table | None:
    """Returns what a search selected for each cell; None without a search."""
    keys = sorted({key for r in benchmark.records for key in r.drawn})
    if not keys:
        return None
    body = [
        (
            label,
            f"{target}, seed {seed}",
            str(record.trial),
            *(str(record.drawn.get(key, NONE)) for key in keys),
        )
        for label, cells in benchmark.methods.items()
        for target, by_seed in cells.items()
        for seed, record in by_seed.items()
    ]
    return Table("Selected trials", ("method", "cell", "trial", *keys), body)
