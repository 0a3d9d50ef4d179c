"""Sets runs side by side, from their rows alone: tables, figures, a page.

    python -m jigsaw_shape.report runs/demo
    python -m jigsaw_shape.report runs/pacs --out report/

Takes runs, or folders of runs, such as a benchmark's. Where methods have several
targets or seeds they are averaged and compared in pairs, else runs are listed. Runs of
other splits or settings are not averaged: they are refused, with what differs, or set
apart by --apart. Exit codes: 0; 2 refused, or nothing to report.
"""

import argparse
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from jigsaw_shape.reports import figures, formats
from jigsaw_shape.reports.benchmark import grouping, page, plots, tables
from jigsaw_shape.reports.benchmark.comparison import NAMED, SHAPE_BIAS
from jigsaw_shape.reports.benchmark.grouping import Benchmark
from jigsaw_shape.runs import records, rows
from jigsaw_shape.runs.records import Record
from jigsaw_shape.system import command_line

# Column of a table -> measure of a result row, shown in percent.
_MEASURES = {
    "target": "target/accuracy",
    "source val": "val/accuracy",
    tables.BIAS: SHAPE_BIAS,
    "jigsaw": "puzzle/shuffled_accuracy",
    "jigsaw, ordered": "puzzle/ordered_accuracy",
    "domain": "train/domain_accuracy",
}
_ONE_RUN_ONLY = ("jigsaw, ordered",)
_BASELINE = "erm"  # what others are compared with, where it is there
_PAGE = "report.html"
_FIGURE = re.compile(r"(accuracy|difference|shape_bias|curves)(_\d+)?\.png")
_FORMATS = ("terminal", "markdown", "latex", "csv")


def print_run(
    results: Sequence[dict], classes: Sequence[str], console: Console
) -> None:
    """Prints the three result rows of one run and its accuracy on each class.

    Args:
      results: See `jigsaw_shape.rows.results`.
      classes: Names.
      console: Where to.
    """
    first = results[0]
    table = Table(
        title=f"{first['preset']} on {first['target']}, accuracies in %",
        box=box.SIMPLE_HEAD,
    )
    measures = _present(results)
    for column in ("selection", "epoch", *measures):
        table.add_column(column, justify="left" if column == "selection" else "right")
    for row in results:
        cells = _cells(row, measures)
        table.add_row(row["selection"], f"{row['epoch']:.1f}", *cells)
    console.print(table)
    legend = [f"{rule}: {meaning}" for rule, meaning in rows.RULES.items()]
    if "jigsaw" in measures:
        legend.append("jigsaw: the jigsaw head on shuffled images alone")
    if "domain" in measures:
        legend.append("domain: the domain head on the images of the last training row")
    console.print("; ".join(legend), soft_wrap=True)
    by_class = Table(title=f"{first['target']} by class, in %", box=box.SIMPLE_HEAD)
    by_class.add_column("selection")
    for name in classes:
        by_class.add_column(name, justify="right")
    for row in results:
        cells = [rows.percent(row[f"target/class/{name}"]) for name in classes]
        by_class.add_row(row["selection"], *cells)
    console.print(by_class)


def print_runs(benchmark: Benchmark, selection: str, console: Console) -> None:
    """Prints one line a run: what it was and what `selection` picked.

    Args:
      benchmark: See `grouping.group`.
      selection: A key of `rows.RULES`.
      console: Where to.
    """
    found = [r for r in benchmark.records if r.results]
    measures = _present([r.results[selection] for r in found])
    for column in _ONE_RUN_ONLY:
        measures.pop(column, None)
    table = Table(title=f"{tables.title(benchmark)}, in %", box=box.SIMPLE_HEAD)
    for column in ("run", "preset", "held out", "seed"):
        table.add_column(column)
    for column in measures:
        table.add_column(column, justify="right")
    for r in found:
        row = r.results[selection]
        cells = _cells(row, measures)
        table.add_row(r.name, r.preset, r.target, str(r.seed), *cells)
    console.print(table)
    legend = [f"Selected: {rows.RULES[selection]}."]
    if "jigsaw" in measures:
        legend.append("jigsaw: the jigsaw head on shuffled images alone.")
    if "domain" in measures:
        legend.append("domain: the domain head in training.")
    console.print(" ".join(legend), soft_wrap=True)


def _cells(row: Mapping, measures: Mapping[str, str]) -> list[str]:
    """Returns a row's measures as text; a shape bias with how often cues were named."""
    cells = {column: rows.percent(row.get(name)) for column, name in measures.items()}
    if row.get(SHAPE_BIAS) is not None:
        cells[tables.BIAS] += tables.named_text(row.get(name) for name in NAMED)
    return list(cells.values())


def print_statuses(runs: Sequence[Record], console: Console) -> None:
    """Prints a line for each run that is not finished."""
    for r in runs:
        if r.status != records.FINISHED:
            status = "not finished" if r.status == records.UNFINISHED else r.status
            text = f"{r.name}: {status}, {r.note}"
            console.print(text, soft_wrap=True)


def is_repeated(benchmark: Benchmark) -> bool:
    """Returns whether a method has several runs, so that there is much to average."""
    return any(
        sum(map(len, cells.values())) > 1 for cells in benchmark.methods.values()
    )


def write_files(
    out: pathlib.Path,
    benchmarks: Sequence[Benchmark],
    *,
    name: str,
    baseline: str,
    with_published: bool,
    strangers: Sequence[Record],
) -> list[pathlib.Path]:
    """Writes the page, tables in Markdown, LaTeX and CSV, and figures; returns them.

    Figures of an earlier report in the folder go.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (out / _PAGE).exists():
        for path in list(out.iterdir()):
            if _FIGURE.fullmatch(path.name):
                path.unlink()
    made = [
        t
        for b in benchmarks
        for t in all_tables(b, list(rows.RULES), baseline, with_published)
    ]
    texts = {
        _PAGE: page.make(
            benchmarks,
            name=name,
            baseline=baseline,
            with_published=with_published,
            strangers=strangers,
        ),
        "report.md": "\n".join(map(formats.to_markdown, made)),
        "report.tex": "\n".join(map(formats.to_latex, made)),
        "report.csv": formats.to_csv(benchmarks, baseline),
    }
    for file, text in texts.items():
        (out / file).write_text(text)
    written = [out / file for file in texts]
    for i, benchmark in enumerate(benchmarks):
        drawn = {
            "accuracy": plots.accuracy_figure(benchmark, "val"),
            "difference": plots.difference_figure(benchmark, "val", baseline),
            "shape_bias": plots.bias_figure(benchmark, "val"),
            "curves": plots.curves_figure(benchmark),
        }
        number = f"_{i + 1}" if len(benchmarks) > 1 else ""
        for kind, figure in drawn.items():
            if figure is not None:
                path = out / f"{kind}{number}.png"
                figures.save(figure, path)
                written.append(path)
    return written


def all_tables(
    benchmark: Benchmark, rules: Sequence[str], baseline: str, with_published: bool
) -> list[tables.Table]:
    """Returns each rule's table, and each one's differences to the baseline."""
    made = []
    for rule in rules:
        made.append(
            tables.accuracy_table(
                benchmark, rule, baseline, with_published=with_published
            )
        )
        differences = tables.difference_table(benchmark, rule, baseline)
        made += [] if differences is None else [differences]
    return made


def _present(results: Sequence[Mapping]) -> dict[str, str]:
    """Returns the measures that any of the rows has."""
    return {
        column: name
        for column, name in _MEASURES.items()
        if any(row.get(name) is not None for row in results)
    }


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    arguments = _parse(argv)
    with command_line.refusals("report"):
        found = [records.read(run) for run in records.find_runs(arguments.runs)]
        known = [r for r in found if r.preset]
        strangers = [r for r in found if not r.preset]
        benchmarks = grouping.group(known, arguments.apart)
        _check_baseline(arguments.baseline, benchmarks)
    console = command_line.make_console()
    rules = [arguments.selection] if arguments.selection else list(rows.RULES)
    if arguments.format == "csv":
        print(formats.to_csv(benchmarks, arguments.baseline), end="")
    elif arguments.format != "terminal":
        write = {"markdown": formats.to_markdown, "latex": formats.to_latex}
        for benchmark in benchmarks:
            options = arguments.baseline, arguments.published
            for table in all_tables(benchmark, rules, *options):
                print(write[arguments.format](table))
    else:
        print_statuses(found, console)
        for benchmark in benchmarks:
            _print_benchmark(benchmark, arguments, rules, console)
    if arguments.out:
        with command_line.refusals("report"):
            written = write_files(
                arguments.out,
                benchmarks,
                name=", ".join(path.name or str(path) for path in arguments.runs),
                baseline=arguments.baseline,
                with_published=arguments.published,
                strangers=strangers,
            )
        if arguments.format == "terminal":
            console.print(f"wrote {written[0]} and {len(written) - 1} files beside it")
    return command_line.OK


def _check_baseline(baseline: str, benchmarks: Sequence[Benchmark]) -> None:
    methods = sorted({label for b in benchmarks for label in b.methods})
    if baseline != _BASELINE and baseline not in methods:
        raise ValueError(f"--baseline {baseline}: {', '.join(methods) or 'no methods'}")


def _print_benchmark(benchmark, arguments, rules, console) -> None:
    if not any(benchmark.methods.values()):
        return
    if arguments.list or not is_repeated(benchmark):
        print_runs(benchmark, arguments.selection or "val", console)
        return
    for rule in rules:
        _print_table(
            tables.accuracy_table(
                benchmark,
                rule,
                arguments.baseline,
                with_published=arguments.published,
                with_intervals=False,
            ),
            console,
        )
    rule = arguments.selection or "val"
    differences = tables.difference_table(
        benchmark, rule, arguments.baseline, with_intervals=False
    )
    if differences is not None:
        _print_table(differences, console)


def _print_table(table: tables.Table, console: Console) -> None:
    console.print(f"\n{table.title}", soft_wrap=True, style="bold")
    console.print(formats.to_rich(table))
    for note in table.notes:
        text = note.replace("+-", "±")
        console.print(text, soft_wrap=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "report",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", type=pathlib.Path, metavar="DIR")
    add(
        "--selection",
        choices=list(rows.RULES),
        help="one rule in what is printed; CSV and --out have all",
    )
    add("--list", action="store_true", help="a line a run; in the terminal alone")
    add("--apart", action="store_true", help="set other splits and settings apart")
    add("--baseline", default=_BASELINE, metavar="METHOD", help="erm by default")
    add("--published", action="store_true", help="papers' numbers below the measured")
    add("--format", choices=_FORMATS, default="terminal", help="what is printed")
    add("--out", type=pathlib.Path, metavar="DIR", help="a page, tables, figures there")
    arguments = parser.parse_args(argv)
    if arguments.list and arguments.format != "terminal":
        parser.error(f"--list goes without --format {arguments.format}")
    return arguments


if __name__ == "__main__":
    command_line.run(main, sys.argv[1:])
