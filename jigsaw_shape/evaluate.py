r"""Measures what models look at: shape bias, robustness, puzzles, beside humans.

    python -m jigsaw_shape.evaluate --pretrained efficientnet_lite0 \
        --suite shape_bias --data cue-conflict --observers human-decisions --out DIR
    python -m jigsaw_shape.evaluate --workdir runs/pacs/erm --workdir runs/pacs/jigen \
        --suite all --out DIR
    python -m jigsaw_shape.evaluate --predictions FILE --suite shape_bias --data DIR
    python -m jigsaw_shape.evaluate --workdir runs/pacs/erm --suite retrieval \
        --data domains=DIR --out DIR
    python -m jigsaw_shape.evaluate make-cue-conflict --help

Models may be given several times and together: they share every pass over the images.
MODEL is a path or name, or LABEL=MODEL to say what rows and figures call it. DIR of
--data has a folder a category; its name says which experiment it is (cue-conflict,
silhouettes, edges, greyscale, original, texture), or EXPERIMENT=DIR does; a folder of
such folders is each of them. Any other is labelled images. domains=DIR has
DOMAIN/CLASS/IMAGE, for retrieval. Without --data a run is evaluated on its own held-out
domain. docs/evaluating.md says what each measure means.

Exit codes: 0 done; 2 refused, with one line that says why; 130 Ctrl-C.
"""

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence

import jax
import rich.progress
from rich.console import Console
from rich.markup import escape

from jigsaw_shape.reports.evaluation import files
from jigsaw_shape.runs import rows
from jigsaw_shape.suites import facts, inputs, plan, sections, session
from jigsaw_shape.system import command_line, whole_files

_SUITES = (*session.SUITES, "all")


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    if argv[1:2] == ["make-cue-conflict"]:
        from jigsaw_shape import make_cue_conflict

        return make_cue_conflict.main(argv[2:])
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console()
    with command_line.refusals("evaluate"):
        suites = inputs.suites_of(args.suite)
        out = pathlib.Path(args.out)
        files.refuse_others(out)
        opened = inputs.open_all(args, jax.device_count())
        jobs, notes = plan.plan(opened, suites, explicit="all" not in args.suite)
        whole_files.make_folder(out)
    with _passes(console) as on_pass:
        keeps = any("retrieval" in job.suites for job in jobs)
        run = session.Session(args.seed, args.n_images, on_pass, keep_features=keeps)
        run.findings.notes += [*opened.notes, *notes]
        for job in jobs:
            try:
                plan.run(run, job, opened)
            except (OSError, session.NonFiniteError) as error:  # of an image, a model
                command_line.refuse("evaluate", error)
    about = facts.collect(argv, opened, run.findings)
    report = sections.make_report(run.findings, opened.names)
    try:
        files.write(out, run.findings.rows, run.findings.decisions, report, about)
    except OSError as error:  # the disk is full
        command_line.refuse("evaluate", error)
    files.print_summary(report.tables, about, console)
    console.print(f"rows, tables, figures: {out}", soft_wrap=True)
    console.print(f"to look at: {out / files.HTML}")
    return command_line.OK


@contextlib.contextmanager
def _passes(console: Console) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Yields `session.Session.on_pass`: a bar a pass, or a line where none can be."""
    with rich.progress.Progress(
        console=console, transient=True, disable=not console.is_terminal
    ) as bar:

        def on_pass(title, n_images):
            if not console.is_terminal:
                console.print(f"{title}: {n_images} images")
            task = bar.add_task(escape(title), total=n_images)
            return lambda n_done: bar.update(task, completed=n_done)

        yield on_pass


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "evaluate",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    models = parser.add_argument_group("models, any number of each")

    def model(flag, metavar, what):
        models.add_argument(
            flag, action="append", default=[], metavar=metavar, help=what
        )

    model("--workdir", "RUN", "a training run's directory, which is only read")
    models.add_argument(
        "--checkpoint",
        choices=rows.RULES,
        default="last",
        help="which of its checkpoints (default last)",
    )
    model(
        "--pretrained",
        "NAME",
        "ImageNet weights with their own classifier: efficientnet_lite0, "
        "torchvision:resnet50.IMAGENET1K_V1, ...",
    )
    model("--onnx", "FILE", "any framework's classifier; needs the extra [onnx]")
    models.add_argument(
        "--mean",
        metavar="R,G,B",
        help="subtracted from the --onnx files' pixels, else their metadata's",
    )
    models.add_argument("--std", metavar="R,G,B", help="the difference is divided by")
    models.add_argument(
        "--pixels",
        type=float,
        choices=(1, 255),
        help="the largest pixel, before --mean (default 1)",
    )
    models.add_argument(
        "--classes",
        metavar="FILE",
        help="names of the --onnx files' scores, one a line (default: metadata, or "
        "ImageNet's 1,000)",
    )
    model("--predictions", "FILE", "scores or decisions, npz or CSV, on one --data")
    add = parser.add_argument
    add(
        "--suite",
        action="append",
        choices=_SUITES,
        required=True,
        help="what to measure; several times for several",
    )
    add("--data", action="append", default=[], metavar="DIR", help="see below")
    add(
        "--observers",
        metavar="DIR",
        help="published decisions of humans and networks, a folder an experiment",
    )
    add("--out", default="evaluation", metavar="DIR", help="default evaluation")
    add("--batch_size", type=int, default=64, metavar="N", help="default 64")
    add(
        "--n_images",
        type=int,
        default=1280,
        metavar="N",
        help="labelled images that distortions, puzzles and experiments are made of, "
        "at most; 0: all (default 1280)",
    )
    add("--seed", type=int, default=0, help="of every choice (default 0)")
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
