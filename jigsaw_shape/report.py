"""Prints runs side by side, from their rows alone.

    python -m jigsaw_shape.report runs/demo

Takes runs, or folders of runs. Exit codes: 0; 2 where there is nothing to report.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from jigsaw_shape import rows

# Column of a table -> measure of a result row, shown in percent.
_MEASURES = {
    "target": "target/accuracy",
    "source val": "val/accuracy",
    "shape bias": "cue_conflict/shape_bias",
    "jigsaw": "puzzle/shuffled_accuracy",
    "jigsaw, ordered": "puzzle/ordered_accuracy",
}
_ONE_RUN_ONLY = ("jigsaw, ordered",)
# Runs that differ in one of these stand in tables of their own.
_TABLE_KEYS = ("dataset", "encoder", "split", "split_seed")


def make_console(quiet: bool = False) -> Console:
    """Returns the console of every command; into a file it writes wider lines."""
    width = None if sys.stdout.isatty() else 120
    return Console(width=width, quiet=quiet, highlight=False)


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
        cells = [_percent(row.get(name)) for name in measures.values()]
        table.add_row(row["selection"], f"{row['epoch']:.1f}", *cells)
    console.print(table)
    legend = [f"{rule}: {meaning}" for rule, meaning in rows.RULES.items()]
    if "jigsaw" in measures:
        legend.append("jigsaw: the jigsaw head on shuffled images alone")
    console.print("; ".join(legend), soft_wrap=True)
    by_class = Table(title=f"{first['target']} by class, in %", box=box.SIMPLE_HEAD)
    by_class.add_column("selection")
    for name in classes:
        by_class.add_column(name, justify="right")
    for row in results:
        cells = [_percent(row[f"target/class/{name}"]) for name in classes]
        by_class.add_row(row["selection"], *cells)
    console.print(by_class)


def print_runs(runs: Sequence[pathlib.Path], selection: str, console: Console) -> None:
    """Prints one line a run: what it was and what `selection` picked.

    Runs on other data, splits or encoders stand in tables of their own.

    Args:
      runs: Directories.
      selection: A key of `rows.RULES`.
      console: Where to.
    """
    tables = {}
    for run in runs:
        for row in rows.read(run):
            if row["kind"] == "result" and row["selection"] == selection:
                key = tuple(row[name] for name in _TABLE_KEYS)
                tables.setdefault(key, []).append((run, row))
                break
        else:
            console.print(f"{run}: not finished", soft_wrap=True)
    for (dataset, encoder, split, split_seed), found in tables.items():
        measures = _present([row for _, row in found])
        for column in _ONE_RUN_ONLY:
            measures.pop(column, None)
        table = Table(
            title=f"{dataset}, {encoder}, split {split} (seed {split_seed}), in %",
            box=box.SIMPLE_HEAD,
        )
        for column in ("run", "preset", "held out", "seed"):
            table.add_column(column)
        for column in measures:
            table.add_column(column, justify="right")
        for run, row in found:
            cells = [_percent(row.get(name)) for name in measures.values()]
            names = (run.name, row["preset"], row["target"], str(row["seed"]))
            table.add_row(*names, *cells)
        console.print(table)
    if tables:
        console.print(
            f"Selected: {rows.RULES[selection]}. jigsaw, where it is: the jigsaw head "
            "on shuffled images alone.",
            soft_wrap=True,
        )


def find_runs(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """Returns the runs among `paths` and in the folders below them, sorted.

    Raises:
      ValueError: A path has none.
    """
    runs = []
    for path in paths:
        below = sorted(found.parent for found in path.rglob(rows.FILE_NAME))
        if not below:
            raise ValueError(f"{path}: no run here (no {rows.FILE_NAME} below it)")
        runs.extend(below)
    return runs


def _present(results: Sequence[dict]) -> dict[str, str]:
    """Returns the measures that any of the rows has."""
    return {
        column: name
        for column, name in _MEASURES.items()
        if any(row.get(name) is not None for row in results)
    }


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(prog="report", description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--selection", choices=list(rows.RULES), default="val")
    arguments = parser.parse_args(argv)
    try:
        runs = find_runs(arguments.runs)
    except ValueError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    print_runs(runs, arguments.selection, make_console())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
