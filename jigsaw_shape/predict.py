r"""Names the classes of images that have no labels.

    python -m jigsaw_shape.predict photos --model runs/mine --out predictions.csv
    python -m jigsaw_shape.predict photos a.png --model exported --out p.parquet --top 3
    python -m jigsaw_shape.predict photos --model pretrained:efficientnet_lite0 \
        --out predictions.csv --sheet predictions.png

IMAGES are files in any format that Pillow reads, and folders, searched at any depth.
OUT has a row an image: path, class, score, and with --top the next best as class_2,
score_2, ... Scores are shares of 1 over all classes. --sheet draws, a row for each
class that was named, its images of highest score.

Exit codes: 0 done; 1 done, but for the files listed, which could not be used; 2
refused; 130 interrupted, nothing written.
"""

import argparse
import collections
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table

from jigsaw_shape.classifiers import flags, predictions_file
from jigsaw_shape.classifiers.answer_files import answer_with_bar
from jigsaw_shape.data import image_folders
from jigsaw_shape.reports import contact_sheet, figures
from jigsaw_shape.system import command_line, whole_files

SOME_FAILED = 1  # the rest is done
_MOST_ROWS, _MOST_IMAGES = 24, 8  # of the contact sheet: classes, images of each


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console(soft_wrap=True)
    out = pathlib.Path(args.out)
    sheet = pathlib.Path(args.sheet) if args.sheet else None
    with command_line.refusals("predict"):
        if out.suffix not in predictions_file.SUFFIXES:
            endings = " or ".join(predictions_file.SUFFIXES)
            raise ValueError(f"--out is {out}: a name that ends in {endings}")
        if args.top < 1:
            raise ValueError(f"--top is {args.top}: 1 or more")
        found = image_folders.find_named(args.images)
        opened = flags.open_named(args)
        if not opened.classes:
            raise ValueError(
                f"--model is {args.model}, which gives features and names no classes"
            )
        whole_files.make_folder(out.parent)
        if sheet is not None:
            contact_sheet.refuse_replacing(sheet, found.images)
            whole_files.make_folder(sheet.parent)
    background = args.background or opened.background
    answers = answer_with_bar(
        opened, found, background, head="classification", console=console
    )
    if not answers.paths:
        command_line.refuse(
            "predict", "none of the images can be read: nothing was written"
        )
    scores = answers.outputs
    bad = np.flatnonzero(~np.isfinite(scores).all(1))
    if len(bad):
        command_line.refuse(
            "predict",
            f"{args.model} answers {answers.paths[bad[0]]} with scores that are not "
            "finite numbers: nothing was written",
        )
    ranked = predictions_file.rank(scores, opened.classes, args.top)
    with command_line.refusals("predict"):  # the disk may be full
        predictions_file.write(out, answers.paths, ranked)
        _print_counts(ranked, console)
        console.print(f"predictions: {out}")
        if sheet is not None:
            rows = _rows(answers.paths, ranked)
            figures.save(contact_sheet.draw(rows, background), sheet)
            console.print(f"contact sheet: {sheet}")
    return SOME_FAILED if answers.failed else command_line.OK


def _print_counts(ranked: predictions_file.Ranked, console) -> None:
    """Prints how often each class was named, the most frequent first."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class")
    table.add_column("images", justify="right")
    for name, n in collections.Counter(ranked.classes[:, 0].tolist()).most_common():
        table.add_row(name, str(n))
    console.print(table)


def _rows(
    paths: Sequence[str], ranked: predictions_file.Ranked
) -> list[contact_sheet.Row]:
    """Returns a row for each class that was named, its images of highest score."""
    best, score = ranked.classes[:, 0], ranked.scores[:, 0]
    rows = []
    for name, n in collections.Counter(best.tolist()).most_common(_MOST_ROWS):
        members = np.flatnonzero(best == name)
        members = members[np.argsort(-score[members], kind="stable")][:_MOST_IMAGES]
        titles = [f"{score[i]:.2f}" for i in members]
        chosen = [paths[i] for i in members]
        rows.append(contact_sheet.Row(f"{name} ({n})", chosen, titles))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("predict", __doc__)
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGES", help="files and folders")
    add("--out", required=True, metavar="FILE", help="predictions: .csv or .parquet")
    flags.add_model_flags(parser)
    flags.add_score_flags(parser)
    add("--top", type=int, default=1, metavar="N", help="how many classes an image")
    add("--sheet", default="", metavar="FILE", help="draw images of each class")
    flags.add_image_flags(parser)
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
