r"""Trains every method on every held-out domain with every seed, resumably.

    python -m jigsaw_shape.benchmark --config configs/pacs.py --presets erm,jigen,ddec \
        --targets all --seeds 0,1,2 --out runs/pacs [--config.KEY=VALUE ...]

Runs one after another on this machine, in directories below --out whose names hold a
digest of their settings: called again it does what is missing, and a changed
configuration is another run. Several callers may share a directory. --print, --slurm
and --shard hand the runs to whatever schedules jobs. `python -m jigsaw_shape.report`
makes tables and a page of the directory. Exit codes: 0 everything is there; 1 a run
failed; 2 refused, with one line that says why; 75 stopped, or another caller is at some
of it: the same command goes on.
"""

import argparse
import pathlib
import shlex
import sys
from collections.abc import Sequence

from jigsaw_shape.benchmarking import plan, random_search
from jigsaw_shape.benchmarking import runs as runs_lib
from jigsaw_shape.runs import benchmark_files
from jigsaw_shape.system import command_line

FAILED = 1


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    arguments, overrides = _parse(argv)
    out = arguments.out
    with command_line.refusals("benchmark"):
        file = _config_file(arguments.config)
        own_ranges = dict(map(random_search.parse_range, arguments.range))
        runs = plan.enumerate_runs(
            _load,
            file,
            presets=_names(arguments.presets),
            targets=_names(arguments.targets),
            seeds=_seeds(arguments.seeds),
            overrides=overrides,
            n_trials=_at_least_0("--search", arguments.search),
            own_ranges=own_ranges,
        )
        mine = plan.shard(runs, arguments.shard) if arguments.shard else runs
        plan.write_plans(runs, out)
    missing = [run for run in mine if not benchmark_files.is_finished(out / run.name)]
    if arguments.print or arguments.slurm:
        if not missing:
            print(f"finished: {_runs(len(mine))}", file=sys.stderr)
        elif arguments.print:
            for run in missing:
                print(shlex.join(plan.command(run, out)))
        else:
            indices = [i for i, run in enumerate(runs) if run in missing]
            again = [a for a in argv if a != "--slurm"]
            print(plan.slurm_script(runs, indices, out, again), end="")
        return command_line.OK
    console = command_line.make_console()
    console.print(f"{_runs(len(mine))} in {out}, {len(missing)} to do", soft_wrap=True)
    others = plan.other_runs(runs, out)
    if others:
        console.print(
            f"it also holds {_runs(len(others))} not of this call, such as {others[0]}",
            soft_wrap=True,
        )
    tally = runs_lib.run_all(
        mine, out, lambda run: plan.command(run, out, sys.executable), console
    )
    console.print(_summary(tally), soft_wrap=True)
    console.print(f"python -m jigsaw_shape.report {shlex.quote(str(out))}")
    if tally.failed:
        return FAILED
    return (
        command_line.INTERRUPTED
        if tally.stopped or tally.elsewhere
        else command_line.OK
    )


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "benchmark",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, metavar="FILE")
    parser.add_argument("--presets", required=True, metavar="A,B,...")
    parser.add_argument("--targets", default="all", metavar="A,B,...")
    parser.add_argument("--seeds", default="0,1,2", metavar="0,1,...")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument(
        "--search", type=int, default=0, metavar="N", help="N trials of each run"
    )
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="KEY=log:LOW:HIGH",
        help="what a search draws, in place of the declared range; also "
        "uniform:LOW:HIGH and choice:A:B:...",
    )
    parser.add_argument("--shard", default="", metavar="I/N", help="from 0/N to N-1/N")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--print", action="store_true", help="the commands of what is missing"
    )
    how.add_argument(
        "--slurm", action="store_true", help="a batch script of an array job"
    )
    arguments, rest = parser.parse_known_args(argv)
    overrides = []
    for argument in rest:
        if argument.startswith("--config.") and "=" in argument:
            overrides.append(argument)
        else:
            parser.error(f"unknown argument {argument} (fields are --config.KEY=VALUE)")
    return arguments, overrides


def _load(arguments: Sequence[str]):
    argv = ["benchmark", *arguments]
    return command_line.parse_config(
        "benchmark", argv, command_line.define_flags(argv), usage=__doc__
    )


def _config_file(name: str) -> str:
    file, colon, preset = name.partition(":")
    if colon:
        raise ValueError(f"--config {name}: name the preset in --presets {preset}")
    return file


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seeds(text: str) -> list[int]:
    names = _names(text)
    if not all(name.isdecimal() for name in names):
        raise ValueError(f"--seeds {text}: whole numbers, such as 0,1,2")
    return [int(name) for name in names]


def _at_least_0(flag: str, number: int) -> int:
    if number < 0:
        raise ValueError(f"{flag} {number}: 0 or more allowed")
    return number


def _runs(n: int) -> str:
    return f"{n} run{'s' * (n != 1)}"


def _summary(tally: runs_lib.Tally) -> str:
    counts = {
        "finished": tally.finished,
        "failed": tally.failed,
        "stopped or not begun": tally.stopped,
        "at work elsewhere": tally.elsewhere,
    }
    lines = [
        ", ".join(f"{len(names)} {what}" for what, names in counts.items() if names)
    ]
    lines += [f"  {name}: {reason}" for name, reason in tally.failed.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    command_line.run(main, sys.argv[1:])
