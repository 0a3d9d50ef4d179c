r"""Writes features of images; finds the images that are nearest to others.

    python -m jigsaw_shape.embed photos drawings --model runs/mine --out features.npz
    python -m jigsaw_shape.embed photos --model pretrained:efficientnet_lite0 \
        --out features.parquet --query sketch.png --top 10
    python -m jigsaw_shape.embed --model runs/mine --out features.npz --query sketch.png

IMAGES are files in any format that Pillow reads, and folders, searched at any depth.
OUT has a row an image: path, norm, vector. --query prints the images of
OUT that are nearest by cosine similarity and draws them beside the query; without
IMAGES it searches an OUT that exists. --index adds an approximate index for millions of
images (needs the extra [index]), which --query then uses.

Exit codes: 0 done; 1 done, but for the files listed, which could not be used; 2
refused; 130 interrupted, nothing written.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jigsaw_shape.classifiers import flags
from jigsaw_shape.classifiers.answer_files import (
    answer_files,
    answer_with_bar,
    print_failed,
)
from jigsaw_shape.data import image_folders
from jigsaw_shape.embedding import (
    features_file,
    nearest,
    queries,
    search,
)
from jigsaw_shape.embedding.features_file import Features
from jigsaw_shape.reports import contact_sheet, figures
from jigsaw_shape.system import command_line, whole_files

SOME_FAILED = 1  # the rest is done
_SHEET = ".sheet.png"  # in place of the suffix of that file


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console(soft_wrap=True)
    out = pathlib.Path(args.out)
    index = out.with_name(out.name + search.INDEX)
    sheet = pathlib.Path(args.sheet) if args.sheet else out.with_suffix(_SHEET)
    with command_line.refusals("embed"):
        features_file.check(out)
        found = image_folders.find_named(args.images)
        wanted = image_folders.find_named(args.query).images
        _check(args, out, index, wanted)
        opened = flags.open_named(args)
        facts = search.facts_of(opened, args.model, args.background)
        background = facts["background"]
        if not found.images:
            stored = features_file.read(out)
            search.refuse_other(out, stored.facts, facts)
        if wanted:
            images = found.images or stored.paths
            contact_sheet.refuse_replacing(sheet, [*wanted, *images])
            whole_files.make_folder(sheet.parent)
        if found.images:
            whole_files.make_folder(out.parent)
    failed = {}
    if found.images:
        answers = answer_with_bar(
            opened, found, background, head=search.HEAD, console=console
        )
        failed = answers.failed
        stored = Features(answers.paths, answers.outputs, facts)
        if not stored.paths:
            command_line.refuse(
                "embed", "none of the images can be read: nothing was written"
            )
        with command_line.refusals("embed"):  # the disk may be full
            index.unlink(missing_ok=True)  # of the features that were there before
            features_file.write(out, stored.paths, stored.vectors, facts)
            if args.index:
                nearest.write_index(index, stored.vectors)
            console.print(f"features: {out}")
    if wanted:
        answers = answer_files(opened, wanted, background, head=search.HEAD)
        print_failed(answers, console)
        failed |= answers.failed
    if wanted and answers.paths:
        with command_line.refusals("embed"):
            shown = Features(answers.paths, answers.outputs, facts)
            pairs = queries.find(shown, stored, args.top, search.index_of(out))
            for one in pairs:
                console.print(one.table())
            rows = [contact_sheet.Row(*one.row()) for one in pairs]
            figures.save(contact_sheet.draw(rows, background), sheet)
        console.print(f"contact sheet: {sheet}")
    return SOME_FAILED if failed else command_line.OK


def _check(args: argparse.Namespace, out, index, wanted: list[str]) -> None:
    if args.top < 1:
        raise ValueError(f"--top is {args.top}: 1 or more")
    if not args.images and not wanted:
        raise ValueError("name IMAGES to embed, or a --query for those of --out")
    if not args.images and not out.is_file():
        raise ValueError(f"{out} does not exist: name IMAGES to embed")
    if not args.images and args.index:
        raise ValueError("--index is made with the features: name IMAGES to embed")
    if args.index or (wanted and not args.images and index.is_file()):
        nearest.refuse_missing()


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("embed", __doc__)
    add = parser.add_argument
    add("images", nargs="*", metavar="IMAGES", help="files and folders")
    add("--out", required=True, metavar="FILE", help="features: .npz or .parquet")
    flags.add_model_flags(parser)
    add(
        "--query",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="find the nearest to these files or folders",
    )
    add("--top", type=int, default=10, metavar="N", help="how many")
    add(
        "--sheet",
        default="",
        metavar="FILE",
        help=f"the picture of what was found (default OUT with the suffix {_SHEET})",
    )
    add(
        "--index",
        action="store_true",
        help=f"write an approximate index, OUT{search.INDEX}, which queries then use",
    )
    flags.add_score_flags(parser)
    flags.add_image_flags(parser)
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
