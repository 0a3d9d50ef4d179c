r"""Writes features of images; finds the images that are nearest to others.

    python -m jigsaw_shape.embed drawings --out features.npz --query sketch.png
    python -m jigsaw_shape.embed photos drawings --model runs/mine --out features.npz
    python -m jigsaw_shape.embed photos --model pretrained:efficientnet_lite0 \
        --out features.parquet --query sketch.png --top 10
    python -m jigsaw_shape.embed --model runs/mine --out features.npz --query sketch.png

Without --model they are those of `flat`, an encoder for flat graphics that comes with
this package (docs/flat.md). IMAGES are files in any format that Pillow reads, and
folders, searched at any depth. OUT has a row an image: path, norm, vector. A page
beside it, OUT.page.html, is to look at: search by clicking an image, a map, near-
duplicates. --query prints the images of OUT that are nearest by cosine similarity and
draws them beside the query; without IMAGES it searches an OUT that exists. --index adds
an approximate index for millions of images (needs the extra [index]), which --query
then uses.

Exit codes: 0 done; 1 done, but for the files listed, which could not be used; 2
refused; 130 interrupted, nothing written.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.classifiers import flags
from jigsaw_shape.classifiers.answer_files import (
    answer_files,
    answer_with_bar,
    print_failed,
)
from jigsaw_shape.data import image_folders
from jigsaw_shape.embedding import (
    duplicates,
    features_file,
    nearest,
    plane,
    queries,
    search,
)
from jigsaw_shape.embedding.features_file import Features
from jigsaw_shape.models.weights import locate
from jigsaw_shape.reports import contact_sheet, figures, search_page, thumbnails
from jigsaw_shape.system import command_line, whole_files

SOME_FAILED = 1  # the rest is done
_SHEET, _PAGE = ".sheet.png", ".page.html"  # in place of the suffix of that file
_MODEL = ("model", "encoder", "image_size")
_BETTER_MAP = (
    "These are the first two principal components; with scikit-learn (pip install "
    "'jigsaw_shape[evaluate]') it is t-SNE, which keeps neighbours together."
)


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console(soft_wrap=True)
    out = pathlib.Path(args.out)
    index = out.with_name(out.name + search.INDEX)
    sheet = pathlib.Path(args.sheet) if args.sheet else out.with_suffix(_SHEET)
    page = out.with_suffix(_PAGE)
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
        bad = np.flatnonzero(~np.isfinite(stored.vectors).all(1))
        if len(bad):
            command_line.refuse(
                "embed",
                f"{args.model} gives {stored.paths[bad[0]]} features that are not "
                "finite numbers: nothing was written",
            )
        with command_line.refusals("embed"):  # the disk may be full
            for made in (index, page):  # of the features that were there before
                made.unlink(missing_ok=True)
            features_file.write(out, stored.paths, stored.vectors, facts)
            if args.index:
                nearest.write_index(index, stored.vectors)
            console.print(f"features: {out}")
            if not args.no_page:
                with console.status("making the page"):
                    whole_files.write_text(page, _page(stored, background))
                console.print(f"to look at: {page}")
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


def _page(stored: Features, background: str) -> str:
    """Returns the page of the images, or of some of very many."""
    n_images, which = len(stored.paths), search_page.chosen(len(stored.paths))
    paths, vectors = [stored.paths[i] for i in which], stored.vectors[which]
    pictures = thumbnails.make(paths, background)
    groups = duplicates.groups(vectors, pictures.looks)
    places, method = plane.place(vectors)
    n_alike = command_line.counted(len(groups), "group")
    notes = []
    if len(which) < n_images:
        notes.append(
            f"This page shows {len(which):,} of {n_images:,} images, at even distances "
            "in their list: a browser holds no more. All are searched by --query."
        )
    shown = search_page.Shown(
        [command_line.printable(path) for path in paths],
        *(vectors, places, groups, pictures),
    )
    of_model = {key: command_line.printable(str(stored.facts[key])) for key in _MODEL}
    return search_page.make(
        shown,
        lead=f"{command_line.counted(len(which), 'image')}, by the features of "
        f"{of_model['model']} ({of_model['encoder'] or 'a program'}) at "
        f"{of_model['image_size']} px. Click any image to see those most like it.",
        of_map=f"{method} of the features: like images are near each other; how far "
        "apart groups are says little. Scroll to zoom, drag to move, click to search."
        + ("" if method == plane.TSNE else f" {_BETTER_MAP}"),
        of_groups=f"{n_alike} of images that are nearly the same picture: features of "
        f"a cosine of {duplicates.COSINE} or more, and pixels, shrunk to "
        f"{thumbnails.LOOK_PX} x {thumbnails.LOOK_PX}, with a correlation of "
        f"{duplicates.CORRELATION} or more.",
        notes=notes,
    )


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("embed", __doc__)
    add = parser.add_argument
    add("images", nargs="*", metavar="IMAGES", help="files and folders")
    add("--out", required=True, metavar="FILE", help="features: .npz or .parquet")
    flags.add_model_flags(parser, default=locate.FLAT)
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
    add("--no-page", action="store_true", help=f"do not write the page, OUT{_PAGE}")
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
