"""Compares runs from their rows alone: tables, figures, a page.

    python -m jigsaw_shape.report runs/demo
    python -m jigsaw_shape.report runs/pacs --out report/

DIR is a run, or a folder of runs such as a benchmark's. Where a method has several
targets or seeds, its runs are averaged and compared in pairs with the baseline; else
runs are listed. Runs on other splits or with other settings are not averaged: they are
refused, with what differs, or set apart by --apart. Exit codes: 0 done; 2 refused, or
nothing to report.
"""

import pathlib
import sys
from collections.abc import Sequence

from rich.console import Console

from jigsaw_shape.reports import (
    benchmark_report,
    benchmark_tables,
    fonts,
    grouping,
    run_tables,
)
from jigsaw_shape.reports.table import print_table, to_csv, to_latex, to_markdown
from jigsaw_shape.runs import records, rows
from jigsaw_shape.runs.records import Record
from jigsaw_shape.system import buckets, command_line

_BASELINE = "erm"
_WRITERS = {"markdown": to_markdown, "latex": to_latex}


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parse(argv)
    with command_line.refusals("report"):
        folders = [pathlib.Path(buckets.here(r, weights=False)) for r in args.runs]
        found = [records.read(run) for run in records.find_runs(folders)]
        benchmarks = grouping.group([r for r in found if r.preset], args.apart)
        methods = sorted({label for b in benchmarks for label in b.methods})
        if args.baseline != _BASELINE and args.baseline not in methods:
            names = ", ".join(methods) or "none"
            raise ValueError(
                f"--baseline {args.baseline} is not a method of these runs: {names}"
            )
    console = command_line.make_console()
    rules = [args.selection] if args.selection else list(rows.RULES)
    if args.format == "csv":
        numbers = benchmark_tables.numbers_table(benchmarks, args.baseline)
        print(to_csv(numbers), end="")
    elif args.format in _WRITERS:
        options = rules, args.baseline, args.published
        for benchmark in benchmarks:
            for table in benchmark_report.all_tables(benchmark, *options):
                print(_WRITERS[args.format](table))
    else:
        _print_unfinished(found, console)
        for benchmark in benchmarks:
            _print(benchmark, args, rules, console)
    if args.out:
        with command_line.refusals("report"):
            written = benchmark_report.write(
                args.out,
                benchmarks,
                name=", ".join(path.name or str(path) for path in folders),
                baseline=args.baseline,
                with_published=args.published,
                strangers=[r for r in found if not r.preset],
            )
        if args.format == "terminal":
            n_more = command_line.counted(len(written) - 1, "file")
            console.print(f"wrote {written[0]} and {n_more} beside it")
        if fonts.note():
            print(f"note: {fonts.note()}", file=sys.stderr)
    return command_line.OK


def _print_unfinished(runs: Sequence[Record], console: Console) -> None:
    for r in runs:
        if r.status != records.FINISHED:
            status = "not finished" if r.status == records.UNFINISHED else r.status
            console.print(f"{r.name}: {status}, {r.note}", soft_wrap=True)


def _print(benchmark, args, rules, console) -> None:
    chosen = args.selection or "val"
    if not any(benchmark.methods.values()):
        return
    if args.list or not benchmark.is_repeated:
        print_table(run_tables.runs_table(benchmark, chosen), console)
        return
    benchmark_report.print_benchmark(
        benchmark,
        console,
        rules=rules,
        chosen=chosen,
        baseline=args.baseline,
        with_published=args.published,
    )


def _parse(argv: Sequence[str]):
    parser = command_line.make_parser("report", __doc__)
    add = parser.add_argument
    add("runs", nargs="+", metavar="DIR")
    add(
        "--selection",
        choices=list(rows.RULES),
        help="print one selection rule alone; CSV and --out always have all three",
    )
    add("--list", action="store_true", help="print one line for each run")
    add("--apart", action="store_true", help="set other splits and settings apart")
    add("--baseline", default=_BASELINE, metavar="METHOD", help="compared with others")
    add("--published", action="store_true", help="papers' numbers below the measured")
    add(
        "--format",
        choices=["terminal", "markdown", "latex", "csv"],
        default="terminal",
        help="what is printed",
    )
    add("--out", type=pathlib.Path, metavar="DIR", help="write a page and files there")
    args = parser.parse_args(argv)
    if args.list and args.format != "terminal":
        parser.error(f"--list cannot be used with --format {args.format}")
    return args


if __name__ == "__main__":
    command_line.run(main, sys.argv[1:])
