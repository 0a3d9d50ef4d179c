r"""Measures what models look at: shape bias, robustness, puzzles, beside humans.

    python -m jigsaw_shape.evaluate --model pretrained:efficientnet_lite0 \
        --suite shape_bias --data cue-conflict --observers human-decisions --out DIR
    python -m jigsaw_shape.evaluate --model runs/pacs/erm --model runs/pacs/jigen \
        --suite all --out DIR
    python -m jigsaw_shape.evaluate --predictions FILE --suite shape_bias --data DIR
    python -m jigsaw_shape.evaluate --model runs/pacs/erm --suite retrieval \
        --data domains=DIR --out DIR

Models can be given several times and together: they share every pass over the images.
LABEL=MODEL instead of MODEL sets the name in rows and figures. DIR of --data has a
folder a category; its name says which experiment it is (cue-conflict, silhouettes,
edges, greyscale, original, texture), or EXPERIMENT=DIR does. A folder of such folders
is each of them. Any other folder is labelled images. domains=DIR has
DOMAIN/CLASS/IMAGE, for retrieval. Without --data a run is evaluated on the domain that
it held out.
docs/evaluating.md says what each measure means.

Exit codes: 0 done; 2 refused, with one line that says why; 130 Ctrl-C.
"""

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Sequence

import jax

from jigsaw_shape.reports import evaluation_folder as files
from jigsaw_shape.runs import rows
from jigsaw_shape.suites import SUITES, opened, plan
from jigsaw_shape.suites.evaluator import Evaluator, NonFiniteError
from jigsaw_shape.suites.page_parts import make_report
from jigsaw_shape.suites.results import circumstances
from jigsaw_shape.system import command_line, whole_files


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console()
    with command_line.refusals("evaluate"):
        whole = "all" in args.suite
        suites = [name for name in SUITES if whole or name in args.suite]
        out = pathlib.Path(args.out)
        files.refuse_others(out)
        found = opened.open_all(args, jax.device_count())
        jobs, notes = plan.plan(found, suites, explicit=not whole)
        whole_files.make_folder(out)
    evaluator = Evaluator(found, args.seed, args.n_images, _bars(console))
    evaluator.keep_features = any(SUITES[name].by_features for name in suites)
    evaluator.results.notes += [*found.notes, *notes]
    for job in jobs:
        try:
            evaluator.run(job)
        except (OSError, NonFiniteError) as error:  # of an image, a model
            command_line.refuse("evaluate", error)
    results = evaluator.results
    report = make_report(results, found.names)
    about = circumstances(argv, found, results)
    try:
        files.write(out, results.rows, results.decisions, report, about)
    except OSError as error:  # the disk is full
        command_line.refuse("evaluate", error)
    files.print_summary(report.tables, about, console)
    console.print(f"rows, tables, figures: {out}", soft_wrap=True)
    console.print(f"to look at: {out / files.HTML}")
    return command_line.OK


def _bars(console):
    """Returns `Evaluator.on_pass`: a bar a pass, or a line where none can be shown."""

    @contextlib.contextmanager
    def on_pass(title, n_images):
        if not console.is_terminal:
            console.print(f"{title}: {n_images} images")
        with command_line.progress_bar(title, n_images, console=console) as update:
            yield update

    return on_pass


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("evaluate", __doc__)
    add = parser.add_argument_group("models").add_argument
    add(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="a run's directory, which is only read; an export's folder or file; any "
        "framework's classifier as ONNX; or published weights, such as "
        "pretrained:efficientnet_lite0 or torchvision:resnet50.IMAGENET1K_V1",
    )
    add(
        "--predictions",
        action="append",
        default=[],
        metavar="FILE",
        help="scores or decisions of any model, npz or CSV, on one --data",
    )
    add(
        "--selection",
        choices=rows.RULES,
        default="val",
        help="which checkpoint of a run",
    )
    add(
        "--mean",
        metavar="R,G,B",
        help="subtracted from ONNX files' pixels, in place of what their metadata says",
    )
    add("--std", metavar="R,G,B", help="by which the pixels are then divided")
    add(
        "--pixels",
        type=float,
        choices=(1, 255),
        help="the largest pixel, before --mean (default 1)",
    )
    add(
        "--classes",
        metavar="FILE",
        help="names of the scores of ONNX files and published weights, one a line "
        "(default: their metadata's, or ImageNet's 1,000)",
    )
    add(
        "--mapping",
        metavar="FILE",
        help="CSV of CLASS,CATEGORY: which category of the images a model's class is, "
        "where its name is another",
    )
    add = parser.add_argument
    add(
        "--suite",
        action="append",
        choices=(*SUITES, "all"),
        required=True,
        help="what to measure; several times for several",
    )
    add("--data", action="append", default=[], metavar="DIR", help="see below")
    add(
        "--observers",
        metavar="DIR",
        help="published decisions of humans and networks, a folder an experiment",
    )
    add("--out", default="evaluation", metavar="DIR", help="where results are written")
    add("--batch-size", type=int, default=64, metavar="N", help="over all devices")
    add(
        "--n-images",
        type=int,
        default=1280,
        metavar="N",
        help="the most labelled images that distortions, puzzles and experiments are "
        "made of; 0: all",
    )
    add("--seed", type=int, default=0, help="of every choice")
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
