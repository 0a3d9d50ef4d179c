"""Which runs a benchmark is made of, and the commands that run them."""

import contextlib
import dataclasses
import json
import pathlib
import shlex
from collections.abc import Callable, Mapping, Sequence

from ml_collections import ConfigDict

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.benchmarking import random_search
from jigsaw_shape.data import sources
from jigsaw_shape.data.names import plain
from jigsaw_shape.data.splits import NONE
from jigsaw_shape.presets import PRESETS
from jigsaw_shape.runs import benchmark_files, fingerprint
from jigsaw_shape.runs.benchmark_files import Run
from jigsaw_shape.system import addresses
from jigsaw_shape.system.lock import lock

# (arguments of `train`) -> the configuration that they make
Load = Callable[[Sequence[str]], ConfigDict]

# Field that the benchmark itself sets in each run -> the flag to use instead.
_OWN_FIELDS = {
    "seed": "--seeds",
    "data.target": "--targets",
    "preset": "--presets",
    "workdir": "--out",
}


def enumerate_runs(
    load: Load,
    file: str,
    *,
    presets: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str] = (),
    n_trials: int = 0,
    own_ranges: Mapping[str, random_search.Range] | None = None,
    leave_sources_out: bool = False,
) -> list[Run]:
    """Returns every run, seed by seed: all methods are compared before a second seed.

    Args:
      load: Makes a configuration of arguments.
      file: The configuration file, without a preset.
      presets: Names.
      targets: Held-out domains, or `["all"]`: each that is not a source by name.
      seeds: At least one.
      overrides: `--config.key=value` for all runs.
      n_trials: Above 0: a search of so many trials a run.
      own_ranges: Of the search, in place of those that `random_search.RANGES` declares.
      leave_sources_out: Trials are chosen by leave-one-domain-out validation
        (Gulrajani & Lopez-Paz, ICLR 2021, section 3): after each trial come runs that
        hold out one of its sources as well, one for each.

    Raises:
      ValueError: An unknown preset or domain, an override of a field that the benchmark
        sets, a range that no preset uses, or a configuration that cannot work.
    """
    own_ranges = own_ranges or {}
    fixed = {a.partition("=")[0].removeprefix("--config."): a for a in overrides}
    _check_fields(fixed, own_ranges, n_trials)
    unknown = [name for name in presets if name not in PRESETS]
    if unknown:
        raise ValueError(
            f"--presets {unknown[0]} is unknown: choose from {', '.join(PRESETS)}"
        )
    _check_unique(presets=presets, targets=targets, seeds=seeds)
    ranges = {key: r for key, r in random_search.RANGES.items() if key not in fixed}
    ranges |= own_ranges
    first = load([f"--config={file}:{presets[0]}", *overrides])
    targets = _targets(first, targets)
    if n_trials > 1 and first.data.split == NONE and not leave_sources_out:
        raise ValueError(
            f"--config.data.split={NONE} leaves no validation images to choose among "
            f"--search {n_trials} trials by: use jigen or domainbed, or --choose-by "
            "domains"
        )
    learned = ()
    if leave_sources_out:
        learned = config_lib.source_names(first) or _domains(first)
    runs = []
    for seed in seeds:
        for target in targets:
            for preset in presets:
                arguments = [
                    f"--config={file}:{preset}",
                    *overrides,
                    f"--config.data.target={target}",
                    f"--config.seed={seed}",
                ]
                config = load(arguments)
                method = fingerprint.digest(config)
                if not n_trials:
                    runs.append(_make(config, arguments, method))
                for trial in range(n_trials):
                    drawn = random_search.draw(config, ranges, seed=seed, trial=trial)
                    tried = [
                        *arguments,
                        *(f"--config.{k}={v}" for k, v in drawn.items()),
                    ]
                    runs.append(_make(load(tried), tried, method, trial, drawn))
                    if leave_sources_out:
                        runs += _validations(load, runs[-1], learned)
    for key in own_ranges:
        if n_trials > 1 and not any(key in run.drawn for run in runs):
            raise ValueError(
                f"--range {key}: none of the presets {', '.join(presets)} uses this "
                "field"
            )
    return runs


def _validations(load: Load, run: Run, learned: Sequence[str]) -> list[Run]:
    """Returns a run for each source of a trial, which holds that one out as well."""
    learned = [source for source in map(plain, learned) if source != run.target]
    if len(learned) < 3:
        raise ValueError(
            f"--choose-by domains: the sources without {run.target} are "
            f"{', '.join(learned)}; leaving one out has to leave two, which many "
            "methods compare: use --choose-by val"
        )
    found = []
    for source in learned:
        others = ",".join(name for name in learned if name != source)
        arguments = [
            *(a for a in run.arguments if not a.startswith("--config.data.sources=")),
            f"--config.data.sources={others}",
            f"--config.data.target={source}",
        ]
        made = _make(load(arguments), arguments, run.method, run.trial, run.drawn)
        name = f"for-{run.target}-{made.name}"
        found.append(dataclasses.replace(made, name=name, validates=run.target))
    return found


def _make(config, arguments, method, trial=None, drawn=None) -> Run:
    checks.check(config, n_devices=1)
    digest = fingerprint.digest(config)
    parts = [config.preset, config.data.target, f"s{config.seed}"]
    parts += [] if trial is None else [f"t{trial}"]
    return Run(
        name="-".join([*parts, digest]),
        preset=config.preset,
        target=config.data.target,
        seed=config.seed,
        settings=digest,
        arguments=tuple(arguments),
        config=json.loads(fingerprint.to_json(config)),
        method=method,
        trial=trial,
        # As JSON has them, so that a plan that is read again is the same.
        drawn=json.loads(json.dumps(drawn or {})),
    )


def _check_fields(fixed: Mapping, ranges: Mapping, n_trials: int) -> None:
    """Refuses fields that the benchmark sets, or that are set twice."""
    for key, argument in [*fixed.items(), *((key, f"--range {key}") for key in ranges)]:
        if key in _OWN_FIELDS:
            raise ValueError(
                f"{argument}: the benchmark sets this field; use {_OWN_FIELDS[key]}"
            )
    for key in ranges:
        if key in fixed:
            raise ValueError(
                f"--range {key} and {fixed[key]} set the same field: give only one"
            )
        if not n_trials:
            raise ValueError(f"--range {key} needs --search N")


def _check_unique(**lists: Sequence) -> None:
    for what, values in lists.items():
        if not values:
            raise ValueError(f"--{what} is empty: give at least one")
        if len(set(values)) < len(values):
            listed = ",".join(map(str, values))
            raise ValueError(f"--{what} {listed}: duplicates; give each one once")


def _targets(config: ConfigDict, named: Sequence[str]) -> list[str]:
    sources.spell_domains(config.data)
    named = [sources.domain_name(config.data, name) for name in named]
    domains = sources.known_domains(config.data)
    learned = set(map(plain, config_lib.source_names(config)))
    if list(named) == ["all"]:
        return [domain for domain in _domains(config) if domain not in learned]
    for name in map(plain, named):
        if domains and name not in domains:
            raise ValueError(
                f"--targets {name} is no domain of {config.data.name}: choose from "
                f"{', '.join(domains)}, or all"
            )
        if name in learned:
            raise ValueError(
                f"--targets {name} is among config.data.sources: hold it out there, or "
                "choose another target"
            )
    return list(map(plain, named))


def _domains(config: ConfigDict) -> Sequence[str]:
    """Returns the data set's domains; reads it where its name does not say them."""
    known = sources.known_domains(config.data)
    return known or sources.load_dataset(config.data).domains


def write_plans(runs: Sequence[Run], out: pathlib.Path) -> None:
    """Writes each run's `plan.json`, so that what is missing can be seen.

    Plans of the same run under other settings are deleted if the run never began, and
    so are those of runs to choose a trial by, unless `runs` has such.
    Callers that share the directory do this one after another.
    """
    out.mkdir(parents=True, exist_ok=True)
    which = {_which(dataclasses.asdict(run)): run.name for run in runs}
    leave_sources_out = any(run.validates for run in runs)
    with lock(out / benchmark_files.LOCK):
        for path in out.glob(f"*/{benchmark_files.PLAN}"):
            folder = path.parent
            plan = benchmark_files.read_plan(folder)
            is_stale = which.get(_which(plan), folder.name) != folder.name
            is_stale |= bool(plan.get("validates")) and not leave_sources_out
            if is_stale and [p.name for p in folder.iterdir()] == [path.name]:
                path.unlink()
                with contextlib.suppress(OSError):  # another caller has just begun it
                    folder.rmdir()
        for run in runs:
            benchmark_files.write_plan(run, out / run.name)


def other_runs(runs: Sequence[Run], out: pathlib.Path) -> list[str]:
    """Returns the names of runs in `out` that are not among `runs`, sorted."""
    there = {path.parent.name for path in out.glob(f"*/{benchmark_files.PLAN}")}
    return sorted(there - {run.name for run in runs})


def _which(plan: Mapping) -> tuple:
    keys = ("preset", "target", "seed", "trial", "validates")
    return tuple(plan.get(key, "") for key in keys)


def command(run: Run, out: pathlib.Path, python: str = "python") -> list[str]:
    """Returns the command that trains `run`."""
    directory = out / run.name
    workdir = f"--workdir={addresses.address_of(directory) or directory}"
    return [python, "-m", "jigsaw_shape.train", *run.arguments, workdir]


def shard(runs: Sequence[Run], text: str) -> list[Run]:
    """Returns the runs of shard `i/n`: each n-th, from the i-th, counted from 0.

    Raises:
      ValueError: `text` is not two numbers, or i is not below n.
    """
    part, _, n_parts = text.partition("/")
    if not (part.isdecimal() and n_parts.isdecimal() and int(part) < int(n_parts)):
        raise ValueError(f"--shard {text}: write I/N with I from 0 to N-1, such as 0/4")
    return list(runs[int(part) :: int(n_parts)])


def slurm_script(
    runs: Sequence[Run], missing: Sequence[int], out: pathlib.Path, argv: Sequence[str]
) -> str:
    """Returns a batch script whose array has a task for each missing run.

    Args:
      runs: All of the benchmark.
      missing: Indices into `runs`, at least one.
      out: The benchmark's directory.
      argv: The benchmark's arguments, without `--slurm`.
    """
    again = shlex.join(["python", "-m", "jigsaw_shape.benchmark", *argv])
    logs = pathlib.Path() if addresses.address_of(out) else out
    log = shlex.quote(str(logs / "slurm-%A_%a.txt"))
    return f"""\
#!/bin/bash
# {len(missing)} of {len(runs)} runs. Submit it from this directory, where jigsaw_shape
# is installed:  sbatch [--time=... --partition=...] FILE.  Options of sbatch override
# the lines below. Submit it again to continue with what is missing.
#SBATCH --job-name=jigsaw_shape
#SBATCH --array={_ranges(missing)}
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output={log}

# The signal comes two minutes before the time is up, and the run saves itself.
exec {again} --shard "$SLURM_ARRAY_TASK_ID/{len(runs)}"
"""


def _ranges(numbers: Sequence[int]) -> str:
    """Returns `0-3,7` for 0, 1, 2, 3, 7."""
    parts = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
