r"""Averages the weights of runs, or of one run's checkpoints, and evaluates the result.

    python -m jigsaw_shape.average runs/a runs/b runs/c --out runs/soup
    python -m jigsaw_shape.average runs/a --checkpoints swad --out runs/a-swad
    python -m jigsaw_shape.average runs/a --from-initial 0.5 --out runs/a-half

RUNS are directories of training runs that agree in data set, target, sources, classes,
encoder, initial weights and puzzles; runs from random weights in the seed too. OUT
becomes a run's directory with one checkpoint, of the preset PRESET+HOW: `evaluate`,
`export`, `embed` and `predict` open it, and `report` sets it beside others.

--checkpoints selected takes one checkpoint of each run, all takes those of all
evaluations (trained with --config.log.keep_evaluated), swad those of SWAD's window,
from a run of the preset swad. BatchNorm's running statistics are averaged as the
weights are; --norm-batches makes them anew, as means over batches. --from-initial moves
the encoder back toward the weights that the first run began with (WiSE-FT).

Exit codes: 0 done; 2 refused.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jigsaw_shape.reports import run_tables
from jigsaw_shape.reports.table import print_table
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.runs import rows
from jigsaw_shape.system import buckets, command_line
from jigsaw_shape.training import averaged_runs, averaging
from jigsaw_shape.training import workshop as workshop_lib

_RULES = tuple(rule for rule in rows.RULES if rule != "oracle")


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console()
    out = pathlib.Path(args.out)
    with command_line.refusals("average"):
        _check(args, out)
        runs = [pathlib.Path(buckets.here(run)) for run in args.runs]
        parts = averaged_runs.choose(runs, args.checkpoints, args.selection)
        for run in runs:
            _check_run(args, run)
        for run in dict.fromkeys(part.run for part in parts):
            steps = [str(part.step) for part in parts if part.run == run]
            console.print(f"{run}: steps {', '.join(steps)}", soft_wrap=True)
        config = directory_lib.read_config(runs[0])
        variables = averaged_runs.average(parts)
        workshop = workshop_lib.Workshop(config, to_train=args.norm_batches > 0)
        if args.from_initial is not None:
            initial = workshop.initial_variables()
            variables = averaging.interpolate(initial, variables, args.from_initial)
        if args.norm_batches:
            variables = workshop.remake_statistics(variables, args.norm_batches)
        measures = workshop.evaluate(variables)
    config.preset += f"+{_name(args, len(runs))}"
    step = max(part.step for part in parts)
    evaluations = directory_lib.read_evaluations(runs[0])
    results = workshop_lib.write(
        out,
        config,
        variables,
        measures,
        step=step,
        epoch=evaluations[-1]["epoch"] * step / evaluations[-1]["step"],
        dataset=workshop.dataset_name,
        sources=workshop.sources,
        about={
            "runs": [str(run) for run in runs],
            "parts": [[str(p.run), p.step, p.weight] for p in parts],
            "from_initial": args.from_initial,
            "norm_batches": args.norm_batches,
        },
    )
    for table in run_tables.run_tables(results, rows.class_names(measures)):
        print_table(table, console)
    console.print(f"weights and rows: {out}", soft_wrap=True)
    return command_line.OK


def _name(args: argparse.Namespace, n_runs: int) -> str:
    """Returns what the average is called behind the preset's name."""
    parts = {
        args.checkpoints: args.checkpoints != "selected",
        args.selection: args.checkpoints == "selected" and args.selection != "val",
        f"{n_runs}runs": n_runs > 1,
        f"initial{args.from_initial}": args.from_initial is not None,
        f"norm{args.norm_batches}": args.norm_batches > 0,
    }
    return "+".join(part for part, is_on in parts.items() if is_on)


def _check(args: argparse.Namespace, out: pathlib.Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out {out} is a file or not empty: name a new folder")
    if args.selection not in _RULES:
        raise ValueError(
            f"--selection is {args.selection!r}: use {' or '.join(_RULES)} (weights "
            "that are chosen by the target would be no result)"
        )
    share = args.from_initial
    if share is not None and not 0 <= share <= 1:
        raise ValueError(f"--from-initial is {share}: use 0, initial, to 1, trained")
    if args.norm_batches < 0:
        raise ValueError(f"--norm-batches is {args.norm_batches}: use 0 or more")
    alone = args.checkpoints == "selected" and share is None and not args.norm_batches
    if alone and len(args.runs) == 1:
        raise ValueError(
            f"{args.runs[0]} is one run with one checkpoint, and its mean is itself: "
            "name more runs, or use --checkpoints all, swad, or --from-initial"
        )


def _check_run(args: argparse.Namespace, run: pathlib.Path) -> None:
    config = directory_lib.read_config(run)
    if args.from_initial is not None and config.averaging.trained < 1:
        raise ValueError(
            f"{run} evaluates weights that are on the way back already "
            f"(averaging.trained={config.averaging.trained}): leave out --from-initial"
        )
    if args.norm_batches and config.model.freeze_norm:
        raise ValueError(
            f"{run} trained with the BatchNorm statistics that it began with "
            "(model.freeze_norm=True): leave out --norm-batches"
        )


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("average", __doc__)
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run's directory")
    add("--out", required=True, metavar="DIR", help="new, or empty")
    add(
        "--checkpoints",
        default="selected",
        choices=averaged_runs.CHECKPOINTS,
        help="which of each run",
    )
    add(
        "--selection",
        default="val",
        metavar="RULE",
        help=f"which checkpoint is selected: {', '.join(_RULES)}",
    )
    add(
        "--from-initial",
        type=float,
        metavar="SHARE",
        help="share of the average in the encoder, between 0, the initial weights, and "
        "1; the heads stay",
    )
    add(
        "--norm-batches",
        type=int,
        default=0,
        metavar="N",
        help="make BatchNorm's statistics anew: means over N batches of training "
        "images",
    )
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
