r"""Trains every method on every held-out domain with every seed, resumably.

    python -m jigsaw_shape.benchmark --config configs/pacs.py --presets erm,jigen,ddec \
        --targets all --seeds 0,1,2 --out runs/pacs [--config.KEY=VALUE ...]

Runs follow one another on this machine, or --parallel N share it, in directories below
--out whose names hold a digest of their settings. Called again, it does what is
missing; a changed configuration is another run. Several callers may share a directory
on a disk; in a bucket, shares of it (--shard).
--print, --slurm and --shard hand the runs to a job scheduler. `python -m
jigsaw_shape.report DIR` makes tables and a page of the results. Exit codes: 0 all runs
are finished; 1 a run failed; 2 refused, with one line that says why; 74 a bucket is out
of reach; 75 stopped, or another caller is working on a run: run the same command again.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence

from jigsaw_shape.benchmarking import plan, random_search
from jigsaw_shape.benchmarking import runs as runs_lib
from jigsaw_shape.runs import benchmark_files
from jigsaw_shape.system import addresses, buckets, command_line

FAILED = 1


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args, overrides = _parse(argv)
    with command_line.refusals("benchmark"):
        out = addresses.copy_of(args.out)
        if args.search < 0:
            raise ValueError(f"--search {args.search}: must be 0 or more")
        if args.parallel < 1:
            raise ValueError(f"--parallel {args.parallel}: must be 1 or more")
        if args.choose_by == "domains" and args.search < 2:
            raise ValueError(
                "--choose-by domains chooses among trials: add --search N, 2 or more"
            )
        runs = plan.enumerate_runs(
            _load,
            _config_file(args.config),
            presets=_names(args.presets),
            targets=_names(args.targets),
            seeds=_seeds(args.seeds),
            overrides=overrides,
            n_trials=args.search,
            own_ranges=dict(map(random_search.parse_range, args.range)),
            leave_sources_out=args.choose_by == "domains",
        )
        mine = plan.shard(runs, args.shard) if args.shard else runs
        buckets.fetch(out, weights=False)
        plan.write_plans(runs, out)
        missing = [r for r in mine if not benchmark_files.is_finished(out / r.name)]
    if args.print or args.slurm:
        if not missing:
            print(f"nothing to do: {_count(mine)} finished", file=sys.stderr)
        elif args.print:
            for run in missing:
                print(shlex.join(plan.command(run, out)))
        else:
            indices = [i for i, run in enumerate(runs) if run in missing]
            again = [a for a in argv if a != "--slurm"]
            print(plan.slurm_script(runs, indices, out, again), end="")
        return command_line.OK
    console = command_line.make_console(soft_wrap=True)
    named = addresses.address_of(out) or out
    console.print(f"{_count(mine)} in {named}, {len(missing)} to do")
    others = plan.other_runs(runs, out)
    if others:
        console.print(
            f"{named} also holds {_count(others)} of other settings, such as "
            f"{others[0]}"
        )
    tally = runs_lib.run_all(
        mine,
        out,
        lambda run: plan.command(run, out, sys.executable),
        console,
        parallel=args.parallel,
    )
    console.print(_summary(tally))
    console.print(f"python -m jigsaw_shape.report {shlex.quote(str(named))}")
    if tally[runs_lib.FAILED]:
        return FAILED
    is_done = not (tally[runs_lib.STOPPED] or tally[runs_lib.ELSEWHERE])
    return command_line.OK if is_done else command_line.INTERRUPTED


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = command_line.make_parser("benchmark", __doc__)
    add = parser.add_argument
    add("--config", required=True, metavar="FILE", help="such as configs/pacs.py")
    add("--presets", required=True, metavar="A,B,...", help="methods to compare")
    add("--targets", default="all", metavar="A,B,...", help="held-out domains")
    add("--seeds", default="0,1,2", metavar="0,1,...", help="one run for each")
    add("--out", required=True, metavar="DIR", help="for all runs")
    add("--search", type=int, default=0, metavar="N", help="trials a run; 0: none")
    add(
        "--range",
        action="append",
        default=[],
        metavar="KEY=log:LOW:HIGH",
        help="what a search draws, in place of the declared range; also "
        "uniform:LOW:HIGH and choice:A:B:...; may be repeated",
    )
    add(
        "--parallel",
        type=int,
        default=1,
        metavar="N",
        help="so many runs at once on this machine or accelerator; a line says whether "
        "that was faster than one after the other",
    )
    add(
        "--choose-by",
        choices=["val", "domains"],
        default="val",
        help="the trial that stands for a run: best on the sources' validation images, "
        "or leave-one-domain-out, best on sources that further runs hold out",
    )
    add("--shard", default="", metavar="I/N", help="each N-th run, from 0/N to N-1/N")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--print", action="store_true", help="print the missing runs' commands alone"
    )
    how.add_argument(
        "--slurm", action="store_true", help="print a batch script of an array job"
    )
    args, overrides = parser.parse_known_args(argv)
    for argument in overrides:
        if not argument.startswith("--config."):
            parser.refuse_unknown(argument)
        if "=" not in argument:
            parser.error(f"{argument}: write {argument}=VALUE")
    return args, overrides


def _load(arguments: Sequence[str]):
    argv = ["benchmark", *arguments]
    return command_line.parse_config(
        "benchmark", argv, command_line.define_flags(argv), usage=__doc__
    )


def _config_file(name: str) -> str:
    file, colon, preset = name.partition(":")
    if colon:
        raise ValueError(f"--config {name}: write --config {file} --presets {preset}")
    return file


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seeds(text: str) -> list[int]:
    names = _names(text)
    if not all(name.isdecimal() for name in names):
        raise ValueError(f"--seeds {text}: give whole numbers, such as 0,1,2")
    return [int(name) for name in names]


def _count(runs: Sequence) -> str:
    return command_line.counted(len(runs), "run")


def _summary(tally: Mapping[str, Mapping[str, str]]) -> str:
    counts = (f"{len(runs)} {outcome}" for outcome, runs in tally.items() if runs)
    failed = (f"\n  {name}: {why}" for name, why in tally[runs_lib.FAILED].items())
    return ", ".join(counts) + "".join(failed)


if __name__ == "__main__":
    command_line.run(main, sys.argv[1:])
