r"""Measures what models rely on: shape or texture, single cues, order; beside humans.

    python -m jigsaw_shape.evaluate --model pretrained:efficientnet_lite0 \
        --suite shape_bias --data cue-conflict --observers human-decisions --out DIR
    python -m jigsaw_shape.evaluate --model runs/pacs/erm --model runs/pacs/jigen \
        --suite all --out DIR
    python -m jigsaw_shape.evaluate --predictions FILE --suite shape_bias --data DIR
    python -m jigsaw_shape.evaluate --model runs/pacs/erm --suite retrieval \
        --data domains=DIR --out DIR

Give --model and --predictions several times, also together, to compare models: they
share every pass over the images. LABEL=MODEL sets a model's name in rows and figures.

--data DIR holds a folder for each category. The name of DIR says which experiment it is
(cue-conflict, silhouettes, edges, greyscale, original, texture), or write
EXPERIMENT=DIR. A folder of such folders stands for all of them. Any other folder is
labelled images. domains=DIR holds DOMAIN/CLASS/IMAGE, for retrieval; held_out=DIR and
held_out_unrelated=DIR are those of the names that emoji holds out (docs/flat.md), and
held_out=emoji_small needs no folder. anagrams=DIR holds published pairs of images of
the same tiles. Without --data a run is evaluated on the domain that it held out.

docs/evaluating.md says what each measure means.

Exit codes: 0 done; 2 refused, with one line that says why; 130 Ctrl-C.
"""

import argparse
import contextlib
import pathlib
import sys
from collections.abc import Sequence

import jax

from jigsaw_shape.classifiers import flags
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
    evaluator.full = args.full
    evaluator.keep_features = any(SUITES[name].by_features for name in suites)
    evaluator.results.notes += [*found.notes, *notes]
    results = evaluator.results
    try:
        for job in jobs:
            evaluator.run(job)
        report = make_report(results, found.names)
        about = circumstances(argv, found, results)
        files.write(out, results.rows, results.decisions, report, about)
    except (OSError, NonFiniteError) as error:  # a broken image or model, a full disk
        command_line.refuse("evaluate", error)
    files.print_summary(report, about, console)
    console.print(f"rows, tables, figures: {out}", soft_wrap=True)
    console.print(f"to look at: {out / files.HTML}")
    return command_line.OK


def _bars(console):
    """Returns `Evaluator.on_pass`: a bar a pass, or a line without a terminal."""

    @contextlib.contextmanager
    def on_pass(title, n_images):
        if not console.is_terminal:
            console.print(f"{title}: {n_images} images")
        with command_line.progress_bar(title, n_images, console=console) as update:
            yield update

    return on_pass


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("evaluate", __doc__)
    models = parser.add_argument_group("models")
    add = models.add_argument
    add(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="a run's directory, which is only read; an export's folder or file; an "
        "ONNX file of any framework; or published weights, such as "
        "pretrained:efficientnet_lite0 or torchvision:resnet50.IMAGENET1K_V1",
    )
    add(
        "--predictions",
        action="append",
        default=[],
        metavar="FILE",
        help="scores or decisions of any model on the one --data, npz or CSV; or "
        "features, as `embed` writes them",
    )
    add(
        "--selection",
        choices=rows.RULES,
        default="val",
        help="which checkpoint of a run",
    )
    add(
        "--untrained",
        action="store_true",
        help="measure the same networks with random weights (--seed) too: the zero of "
        "each scale",
    )
    flags.add_weights_flags(models)
    flags.add_score_flags(models)
    add(
        "--mapping",
        metavar="FILE",
        help="CSV with lines CLASS,CATEGORY: the images' category for each of a "
        "model's classes whose name differs",
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
        help="published decisions of humans and networks, a folder for each experiment",
    )
    flags.add_background_flag(parser)
    add("--out", default="evaluation", metavar="DIR", help="where results are written")
    add("--batch-size", type=int, default=64, metavar="N", help="over all devices")
    add(
        "--n-images",
        type=int,
        default=256,
        metavar="N",
        help="distort, shuffle and filter at most this many labelled images, and probe "
        "at most this many of a domain; 0: all",
    )
    add(
        "--full",
        action="store_true",
        help="reliance: every published level, not a few; several times slower",
    )
    add("--seed", type=int, default=0, help="decides every random choice")
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
