r"""Writes features of images; finds the images that are nearest to others.

    python -m jigsaw_shape.embed photos drawings --model runs/mine --out features.npz
    python -m jigsaw_shape.embed photos --model pretrained:efficientnet_lite0 \
        --out features.parquet --query sketch.png --top 10
    python -m jigsaw_shape.embed --model runs/mine --out features.npz --query sketch.png

IMAGES are files in any format that Pillow reads, and folders, searched at any depth.
OUT has a row an image: path, norm, vector. MODEL is a run's directory, what
`python -m jigsaw_shape.export` wrote, or the name of published weights. --query prints
the images of OUT that are nearest by cosine similarity and draws them beside the query;
without IMAGES it takes those of an OUT that is there. --index adds an approximate index
for sets of millions (needs the extra [index]), and --query then uses it.

Exit codes: 0 done; 1 done, but for the files listed, which could not be used; 2
refused; 130 interrupted, nothing written.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Sequence

import numpy as np
import rich.progress
from rich import box
from rich.table import Table

from jigsaw_shape.classifiers.answer_files import answer_files
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data import image_folders
from jigsaw_shape.data.decoding import BACKGROUNDS, decode
from jigsaw_shape.embedding import features_file, nearest
from jigsaw_shape.reports import figures
from jigsaw_shape.runs import rows
from jigsaw_shape.system import command_line, whole_files

SOME_FAILED = 1  # the rest is done
_THUMBNAIL_PX = 96
_SHEET = ".sheet.png"  # in place of the suffix of that file
_INDEX = ".faiss"  # added to the name of the file of features


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    console = command_line.make_console(soft_wrap=True)
    out = pathlib.Path(args.out)
    sheet = pathlib.Path(args.sheet) if args.sheet else out.with_suffix(_SHEET)
    with command_line.refusals("embed"):
        features_file.check(out)
        paths, left_out, _ = image_folders.find_named(args.images)
        queries = image_folders.find_named(args.query).images
        _check(args, out, queries)
        opened = open_classifier(
            args.model,
            selection=args.selection,
            encoder=args.encoder,
            size_px=args.size,
            batch_size=args.batch_size,
        )
        if not opened.has_features:
            raise ValueError(f"--model is {args.model}, which gives no features")
        facts = {
            "model": args.model,
            "encoder": opened.about.get("encoder", ""),
            "digest": opened.digest,
            "input_px": opened.input_px,
            "image_size": opened.about["image_size"],
            "background": args.background,
        }
        stored = None if paths else _stored(out, facts, args.model)
        if queries:
            _refuse_image(sheet, [*queries, *(paths or stored.paths)])
            whole_files.make_folder(sheet.parent)
        if paths:
            whole_files.make_folder(out.parent)
    failed = {}
    if paths:
        stored, failed = _embed(paths, len(left_out), opened, args, facts, console)
        if not len(stored.paths):
            command_line.refuse(
                "embed", "none of the images can be read: nothing was written"
            )
        with command_line.refusals("embed"):  # the disk may be full
            index = _index_of(out)
            index.unlink(missing_ok=True)  # of the features that were there before
            features_file.write(out, stored.paths, stored.vectors, facts)
            if args.index:
                nearest.write_index(index, stored.vectors)
        console.print(f"features: {out}")
    if queries:
        with command_line.refusals("embed"):
            failed |= _query(queries, stored, opened, sheet, args, console)
    return SOME_FAILED if failed else command_line.OK


def _check(args: argparse.Namespace, out: pathlib.Path, queries: list[str]) -> None:
    if args.top < 1:
        raise ValueError(f"--top is {args.top}: 1 or more")
    if not args.images and not queries:
        raise ValueError("name IMAGES to embed, or a --query for those of --out")
    if not args.images and not out.is_file():
        raise ValueError(f"{out} does not exist: name IMAGES to embed")
    if not args.images and args.index:
        raise ValueError("--index is made with the features: name IMAGES to embed")
    if args.index or (queries and not args.images and _index_of(out).is_file()):
        nearest.refuse_missing()


def _stored(out: pathlib.Path, facts: dict, model: str) -> features_file.Features:
    """Reads features; refuses those of another model, which mean other things."""
    stored = features_file.read(out)
    for name in ("digest", "input_px", "image_size", "background"):
        if stored.facts.get(name, facts[name]) != facts[name]:
            raise ValueError(
                f"{out} has features of {stored.facts.get('model')} ({name} "
                f"{stored.facts.get(name)}), not of {model} ({facts.get(name)}): embed "
                "the images again, or name that model"
            )
    return stored


def _refuse_image(sheet: pathlib.Path, paths: Sequence[str]) -> None:
    """Refuses a contact sheet in the place of an image."""
    name = sheet.resolve().name
    for path in paths:
        if pathlib.Path(path).name == name and _is_same(path, str(sheet)):
            raise ValueError(
                f"the contact sheet would replace the image {path}: name another file "
                "with --sheet"
            )


def _index_of(out: pathlib.Path) -> pathlib.Path:
    return out.with_name(out.name + _INDEX)


def _embed(paths, n_left_out, opened: Classifier, args, facts, console):
    """Embeds with a bar; prints what became of the files."""
    since = time.perf_counter()
    columns = (
        rich.progress.TextColumn("image {task.completed}/{task.total}"),
        rich.progress.BarColumn(bar_width=12),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("left {task.description}"),
    )
    with rich.progress.Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("compiling", total=len(paths))
        n_tenths = 0

        def on_image(n_done, n_total):
            nonlocal n_tenths
            rate = n_done / (time.perf_counter() - since)
            text = f"{rate:.1f} images/s" if n_done else "compiling"
            bar.update(task, completed=n_done, total=n_total, description=text)
            if not console.is_terminal and 10 * n_done // n_total > n_tenths:
                n_tenths = 10 * n_done // n_total
                console.print(f"image {n_done}/{n_total}  {text}")

        found = answer_files(
            opened, paths, args.background, heads=["features"], on_image=on_image
        )
    time_s = time.perf_counter() - since
    for path, reason in sorted(found.failed.items()):
        console.print(f"failed: {command_line.printable(path)}: {reason}")
    if n_left_out:
        console.print(f"left out, no images by their names: {n_left_out}")
    console.print(
        f"{len(found.paths)} images embedded, {len(found.failed)} files failed, "
        f"{time_s:.1f} s, {len(paths) / time_s:.1f} images/s",
    )
    vectors = found.outputs.get("features", np.zeros((0, 0), np.float32))
    return features_file.Features(found.paths, vectors, facts), found.failed


def _query(
    queries, stored, opened: Classifier, picture, args, console
) -> dict[str, str]:
    """Prints the nearest of each query and draws them as `picture`.

    Returns the queries that cannot be read.
    """
    found = answer_files(opened, queries, args.background, heads=["features"])
    for path, reason in sorted(found.failed.items()):
        console.print(f"failed: {command_line.printable(path)}: {reason}")
    if not found.paths:
        return found.failed
    index, vectors = _index_of(pathlib.Path(args.out)), found.outputs["features"]
    top = args.top + 1  # a query that is among the images is left out
    if index.is_file():
        indices, cosines = nearest.search_index(index, vectors, top)
    else:
        indices, cosines = nearest.nearest(vectors, stored.vectors, top)
    sheet = []
    for query, places, values in zip(found.paths, indices, cosines, strict=True):
        pairs = [
            (stored.paths[place], value)
            for place, value in zip(places, values, strict=True)
            if place >= 0 and not _is_same(stored.paths[place], query)
        ][: args.top]
        table = Table(
            box=box.SIMPLE_HEAD,
            title=command_line.printable(query),
            title_justify="left",
        )
        table.add_column("", justify="right")
        table.add_column("cosine", justify="right")
        table.add_column("image")
        for rank, (path, value) in enumerate(pairs, 1):
            table.add_row(str(rank), f"{value:.4f}", command_line.printable(path))
        console.print(table)
        sheet.append(_row(query, pairs, args))
    width = max(len(titles) for _, _, titles in sheet)
    figures.save(figures.sheet([_padded(row, width) for row in sheet]), picture)
    console.print(f"contact sheet: {picture}")
    return found.failed


def _is_same(path: str, query: str) -> bool:
    return pathlib.Path(path).resolve() == pathlib.Path(query).resolve()


def _row(query: str, pairs, args) -> tuple[str, np.ndarray, list[str]]:
    """Returns a row of the contact sheet: the query, then what was found."""
    pixels, titles = [], []
    for path, title in [(query, "query")] + [(p, f"{v:.3f}") for p, v in pairs]:
        try:
            picture = decode(path, args.background, size_px=_THUMBNAIL_PX)
        except Exception:  # it was there when it was embedded; Pillow raises any kind
            picture = np.full((_THUMBNAIL_PX, _THUMBNAIL_PX, 3), 255, np.uint8)
            title = f"{title} (gone)"
        pixels.append(picture)
        titles.append(title)
    return "", np.stack(pixels) / 255, titles


def _padded(row, width: int):
    name, pixels, titles = row
    missing = width - len(titles)
    blank = np.ones((missing, *pixels.shape[1:]))
    return name, np.concatenate([pixels, blank]), [*titles, *[""] * missing]


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "embed",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", nargs="*", metavar="IMAGES", help="files and folders")
    add(
        "--model",
        required=True,
        help="a run's directory; an export's folder or file; or published weights, "
        "such as pretrained:efficientnet_lite0, torchvision:resnet18.IMAGENET1K_V1",
    )
    add("--out", required=True, metavar="FILE", help="features: .npz or .parquet")
    add(
        "--query",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="find the nearest to these: files or folders",
    )
    add("--top", type=int, default=10, metavar="N", help="how many (default 10)")
    add(
        "--sheet",
        default="",
        metavar="FILE",
        help="where the pictures go that were found (default OUT with the suffix "
        f"{_SHEET})",
    )
    add(
        "--index",
        action="store_true",
        help=f"write an approximate index, OUT{_INDEX}, which queries then use: for "
        "millions of images",
    )
    add(
        "--selection",
        default="val",
        metavar="RULE",
        help=f"which of a run's checkpoints: {', '.join(rows.RULES)} (default val)",
    )
    add(
        "--encoder",
        default="",
        metavar="NAME",
        help="of published weights whose name does not say it, such as a .pth file",
    )
    add(
        "--size",
        type=int,
        default=0,
        metavar="PX",
        help="side of the squares that published weights see (default 224)",
    )
    add(
        "--background",
        choices=BACKGROUNDS,
        default="white",
        help="what shows through where an image is transparent; none: the colours that "
        "are stored there, as in training (default white)",
    )
    add(
        "--batch-size",
        type=int,
        default=64,
        metavar="N",
        help="images that are computed at a time (default 64)",
    )
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
