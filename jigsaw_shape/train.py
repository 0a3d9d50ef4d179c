r"""Trains a jigsaw multitask learner, leaving one domain out.

    python -m jigsaw_shape.train --config configs/pacs.py:jigen \
        --config.data.target=sketch

Every field of the configuration is a flag; `jigsaw_shape/config.py` says what each
means. Run the same command again to continue a run that was stopped. Exit codes: 0
done; 2 refused, with one line that says why; 3 a loss is no finite number; 69
another process of a run on several hosts is missing or gone; 74 a file cannot be read
or written, such as on a full disk; 75 stopped by SIGTERM or Ctrl-C, and saved; 130
Ctrl-C before there was anything to save.
"""

import contextlib
import sys

import jax
from absl import flags
from clu import parameter_overview
from ml_collections import ConfigDict

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.data import shared_classes, sources
from jigsaw_shape.preview import preview_figure
from jigsaw_shape.reports import figures, fonts, run_tables
from jigsaw_shape.reports.table import print_table
from jigsaw_shape.runs import benchmark_files, fingerprint, logbook, rows
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.system import addresses, buckets, command_line, devices, peers
from jigsaw_shape.training import initial_weights, loop, run_data, watch
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training.progress import Progress
from jigsaw_shape.training.solved_puzzles import solved_puzzles
from jigsaw_shape.training.timetable import run_length

_AGAIN = "Run the same command again to continue from the last checkpoint"
_N_SOLVED = 8  # puzzles in the picture, at most
_CACHES = {"device": "device memory", "host": "host memory", "none": "files"}


def main(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    values = command_line.define_flags(argv)
    workdir = flags.DEFINE_string(
        "workdir",
        "",
        "The run's directory, on a disk or in a bucket, such as gs://MINE/run.",
        flag_values=values,
    )
    multihost = flags.DEFINE_bool(
        "multihost",
        False,
        "Join the other processes of a TPU pod or Slurm job first.",
        flag_values=values,
    )
    coordinator = flags.DEFINE_string(
        "coordinator",
        "",
        "HOST:PORT of the first process, where nothing else says it.",
        flag_values=values,
    )
    process = flags.DEFINE_string(
        "process", "", "I/N: this is process I of N, from 0.", flag_values=values
    )
    join_timeout = flags.DEFINE_integer(
        "join-timeout",
        peers.JOIN_TIMEOUT_S,
        "Seconds to wait for the other processes.",
        flag_values=values,
    )
    peer_timeout = flags.DEFINE_integer(
        "peer-timeout",
        peers.PEER_TIMEOUT_S,
        "Seconds of silence after which another process counts as dead.",
        flag_values=values,
    )
    config = command_line.parse_config("train", argv, values, usage=__doc__)
    with peers.leaving_together("train"):
        with command_line.refusals("train"):
            if multihost.value or coordinator.value or process.value:
                peers.join(
                    "train",
                    coordinator=coordinator.value,
                    process=process.value,
                    join_timeout_s=join_timeout.value,
                    peer_timeout_s=peer_timeout.value,
                )
        try:
            code = _train(config, workdir.value)
        except OSError as error:  # of the run's directory, or its bucket
            print(f"train: {error}. {_AGAIN}", file=sys.stderr)
            code = command_line.IO_FAILED
        if code == command_line.IO_FAILED:
            peers.leave(code)
        return code


def _train(config: ConfigDict, workdir: str) -> int:
    with contextlib.ExitStack() as stack:
        with command_line.refusals("train"):
            if workdir:
                config.workdir = workdir
            sources.spell_domains(config.data)
            checks.check(config, jax.device_count())
            _work_in_copy(config)
            apart = benchmark_files.NAMES
            stack.enter_context(buckets.kept(config_lib.workdir(config), apart))
            directory_lib.keep_background(config)
            dataset, splits = run_data.load_data(config)
            labelled = dataset
            dataset, splits = run_data.add_unlabelled(config, dataset, splits)
            length = run_length(config, len(splits.learned))
            digest = fingerprint.digest(config)
            pretrained = initial_weights.load(config)
            config = initial_weights.with_pixels(config, pretrained)
            learner = learner_lib.make_learner(
                config, len(dataset.classes), len(dataset.domains)
            )
            variables = learner_lib.init_variables(config, learner.model, pretrained)
            styling, digests = run_data.load_styling(config, dataset, splits)
            # Last, so that a refusal leaves no directory behind.
            digests = {"images": labelled.digest(), **digests}
            if len(splits.unlabelled):
                digests["unlabelled"] = dataset.digest()
            peers.agree(fingerprint.common(config) | digests)
            directory = stack.enter_context(
                directory_lib.claim(
                    config, digests, initial_weights.knowledge(pretrained)
                )
            )
            stack.enter_context(buckets.storing(directory, apart))
        console = command_line.make_console(quiet=jax.process_index() > 0)
        address = addresses.address_of(directory)
        named = f"{address}, in {directory}" if address else directory
        console.print(f"{named}: {config.preset} on {dataset.name}", soft_wrap=True)
        held_out = f"; {len(splits.target)} of {config.data.target}, held out"
        console.print(
            f"{len(splits.train)} images of {', '.join(splits.sources)}; "
            f"{len(splits.val)} for validation{held_out if config.data.target else ''}",
            soft_wrap=True,
        )
        if len(splits.unlabelled):
            n = command_line.counted(len(splits.unlabelled), "image")
            console.print(f"without labels: {n}")
        note = shared_classes.untaught_note(dataset, splits)
        if note:
            console.print(f"{note}; target/shared_accuracy leaves them out")
        with command_line.refusals("train"):  # an image may be damaged
            store, cue_conflict = run_data.open_images(config, dataset)
        console.print(f"images are kept in {_CACHES[store.cache]}")
        if jax.process_index() == 0:
            overview = parameter_overview.get_parameter_overview(variables["params"])
            (directory / "parameters.txt").write_text(overview + "\n")

        def draw_preview():
            picture = directory / "preview.png"
            if jax.process_index() == 0 and not picture.exists():
                figure = preview_figure(
                    config, dataset, splits, learner.permutations, styling
                )
                figures.save(figure, picture)

        try:
            with Progress(console) as progress:
                predict_fn = loop.run(
                    config,
                    directory,
                    learner=learner,
                    variables=variables,
                    length=length,
                    store=store,
                    splits=splits,
                    cue_conflict=cue_conflict,
                    styling=devices.replicate(styling),
                    progress=progress,
                    draw=draw_preview,
                )
        except watch.NonFiniteError as error:
            print(f"train: {error}", file=sys.stderr)
            return command_line.NON_FINITE
        except loop.InterruptedRunError as error:
            print(f"train: {error}. {_AGAIN}", file=sys.stderr)
            return command_line.INTERRUPTED
        if learner.solves_puzzles and len(splits.val) and jax.process_count() == 1:
            pictures = solved_puzzles(
                predict_fn,
                store,
                splits.val[:: -(-len(splits.val) // _N_SOLVED)],
                config,
                learner.permutations,
            )
            figures.save(figures.sheet(pictures), directory / "puzzle.png")
        if jax.process_index() == 0:
            finish(config, digest, directory, dataset, splits, console)
    return command_line.OK


def _work_in_copy(config: ConfigDict) -> None:
    """Makes a run in a bucket one in its copy on a disk."""
    if not addresses.is_address(config.workdir):
        return
    if jax.process_count() > 1:
        raise ValueError(
            f"--workdir {config.workdir}: several processes need one folder that all "
            "of them mount; docs/scaling.md says which"
        )
    config.workdir = str(addresses.copy_of(config.workdir))


def finish(config, digest, directory, dataset, splits, console) -> None:
    """Writes the run's result rows and pictures, and prints its table."""
    recorded = rows.read(directory)
    identity = rows.identity(config, dataset.name, splits.sources, digest)
    results = rows.results(identity, recorded)
    with logbook.Logbook(
        directory, resume_step=recorded[-1]["step"], tensorboard=False
    ) as book:
        for row in results:
            book.write("result", row["step"], row)
    for row in results if config.losses.classification else ():
        figures.save(
            figures.confusion_figure(row, dataset.classes),
            directory / f"confusion_{row['selection']}.png",
        )
    for table in run_tables.run_tables(results, dataset.classes):
        print_table(table, console)
    if fonts.note():
        console.print(f"note: {fonts.note()}", soft_wrap=True)
    console.print(f"rows and pictures: {directory}", soft_wrap=True)


if __name__ == "__main__":
    command_line.run(main, sys.argv)
