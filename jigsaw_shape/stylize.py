"""Writes a folder of images in the styles of another; fits stylizers.

    python -m jigsaw_shape.stylize photos paintings stylized
    python -m jigsaw_shape.stylize photos pack stylized --num-styles 5 --alpha 0.7
    python -m jigsaw_shape.stylize fit --content DIR --style DIR --vgg FILE --out FILE

OUT_DIR gets the tree of CONTENT_DIR, so class folders stay class folders. An image
keeps its name where that says --format already; else the format is added, b.png.jpg.
With --num-styles above 1 the names are b-stylized-0.jpg, b-stylized-1.jpg and on.
manifest.jsonl has a line an image: its style, seed and all else that made it;
stylize.json has the settings. Whatever stopped it, the same command goes on where it
was. The same command writes the same bytes, for any --batch-size and any number of
devices.

Exit codes: 0 done; 1 done, but for the files listed, which could not be used; 2
refused; 3 `fit` diverged; 75 interrupted, run it again to go on.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import rich.progress
from rich.console import Console

from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.diversify import DIVERSIFIERS, adain, style_images, vgg_weights
from jigsaw_shape.reports import figures
from jigsaw_shape.stylizing import fit as fit_lib
from jigsaw_shape.stylizing import folder as folder_lib
from jigsaw_shape.stylizing import images as images_lib
from jigsaw_shape.system import command_line
from jigsaw_shape.system.lock import lock

SOME_FAILED = 1  # the rest is done

_SHORTER_PX = 512  # of the images that a stylizer is fitted on, as in the paper
_N_SAMPLES = 8


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    if argv[1:2] == ["fit"]:
        return fit(argv[2:])
    return stylize(argv[1:])


def stylize(argv: Sequence[str]) -> int:
    """Runs `stylize CONTENT_DIR STYLE_DIR OUT_DIR` and returns its exit code."""
    args = vars(_parser().parse_args(argv))
    folders = [args.pop(name) for name in ("content_dir", "style_dir", "out_dir")]
    batch_size = args.pop("batch_size")
    console = command_line.make_console(soft_wrap=True)
    since, n_written = time.perf_counter(), 0
    with contextlib.ExitStack() as stack:
        with command_line.refusals("stylize"):
            settings = folder_lib.Settings(**args)
            run = stack.enter_context(
                folder_lib.opened(*folders, settings, batch_size=batch_size)
            )
        update = stack.enter_context(_bar("image", console))

        def on_image(n_done, n_total):
            nonlocal n_written
            n_written = n_done
            rate = n_done / (time.perf_counter() - since)
            text = f"{rate:.1f} images/s" if n_done else "compiling"
            update(completed=n_done, total=n_total, description=text)
            if n_done and n_done % -(-n_total // 10) == 0 and not console.is_terminal:
                console.print(f"image {n_done}/{n_total}  {text}")

        try:
            outcome = run.stylize(on_image)
        except OSError as error:  # the disk is full, or all styles are gone
            command_line.refuse("stylize", error)
        except KeyboardInterrupt:
            print(
                f"stylize: interrupted; {n_written} images are written: run the same "
                "command again to go on",
                file=sys.stderr,
            )
            return command_line.INTERRUPTED
    return _report(outcome, time.perf_counter() - since, folders[-1], console)


def _report(outcome, time_s: float, out_dir: str, console: Console) -> int:
    """Prints what became of the contents and returns the exit code."""
    if outcome.left_out:
        shown = command_line.printable(", ".join(outcome.left_out[:3]))
        more = ", ..." if len(outcome.left_out) > 3 else ""
        n = len(outcome.left_out)
        console.print(f"left out, no images by their names: {n} ({shown}{more})")
    for path, reason in sorted(outcome.failed.items()):
        console.print(f"failed: {command_line.printable(path)}: {reason}")
    before = f", {outcome.n_before} were there" if outcome.n_before else ""
    console.print(
        f"{outcome.n_written} images written to {out_dir}{before}, "
        f"{len(outcome.failed)} files failed, {time_s:.1f} s, "
        f"{outcome.n_written / time_s:.1f} images/s",
    )
    return SOME_FAILED if outcome.failed else command_line.OK


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "stylize",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "content_dir",
        metavar="CONTENT_DIR",
        help="images, at any depth; hidden files apart",
    )
    add(
        "style_dir",
        metavar="STYLE_DIR",
        help=f"images, at any depth; or {style_images.PACK}, the shipped styles",
    )
    add("out_dir", metavar="OUT_DIR", help="new, or of the same command before")
    add(
        "--method",
        choices=DIVERSIFIERS,
        default="adain",
        help="adain: texture and colour, by a stylizer; fourier: amplitude spectrum; "
        "colour: colour statistics; randconv: random convolutions, without styles "
        "(default adain)",
    )
    add("--alpha", type=float, default=1.0, help="strength, 0 to 1 (default 1)")
    add(
        "--num-styles",
        type=int,
        default=1,
        metavar="N",
        help="results a content, each in another style (default 1)",
    )
    add(
        "--content-size",
        type=int,
        default=512,
        metavar="PX",
        help="larger contents are shrunk to this shorter side; 0: as they are "
        "(default 512)",
    )
    add(
        "--style-size",
        type=int,
        default=512,
        metavar="PX",
        help="the same of styles; all but adain then resize the part that covers the "
        "content (default 512)",
    )
    add(
        "--crop",
        action="store_true",
        help="cut contents and styles to their central squares of exactly these "
        "sizes: fastest, since one compiled program then does all",
    )
    add(
        "--per-tile",
        type=int,
        default=0,
        metavar="GRID",
        help="GRID x GRID tiles, each in a style of its own; sides are cut to "
        "multiples of GRID (default 0: whole images)",
    )
    add("--seed", type=int, default=0, help="decides the styles (default 0)")
    add(
        "--stylizer",
        default="shipped",
        metavar="NAME",
        help="for adain: shipped; an .npz of `stylize fit`; or a folder with the "
        "public vgg_normalised.pth and decoder.pth (default shipped)",
    )
    add(
        "--format",
        choices=images_lib.FORMATS,
        default="jpg",
        help="jpg, of quality 95; or png, without loss (default jpg)",
    )
    add(
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="images of one size that are computed at a time; changes no pixel "
        "(default 8)",
    )
    return parser


@contextlib.contextmanager
def _bar(unit: str, console: Console) -> Iterator:
    """Yields what updates a bar, from the fields of `rich.progress`' tasks."""
    with rich.progress.Progress(
        rich.progress.TextColumn(f"{unit} {{task.completed}}/{{task.total}}"),
        rich.progress.BarColumn(bar_width=12),
        rich.progress.TimeRemainingColumn(),
        rich.progress.TextColumn("left {task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("compiling", total=None)
        yield lambda **fields: bar.update(task, **fields)


def fit(argv: Sequence[str]) -> int:
    """Runs `stylize fit` and returns its exit code."""
    parser = argparse.ArgumentParser(
        "stylize fit",
        description=fit_lib.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folders = {"content": "objects and scenes", "style": "paintings and textures"}
    for name, what in folders.items():
        parser.add_argument(
            f"--{name}", type=pathlib.Path, required=True, help=f"folder of {what}"
        )
    parser.add_argument(
        "--vgg", type=pathlib.Path, required=True, help="VGG-16 or -19: .pth or .h5"
    )
    parser.add_argument(
        "--pixels",
        choices=vgg_weights.PIXELS,
        default="",
        help="what the VGG was trained on; without: caffe for .h5, else torchvision",
    )
    parser.add_argument(
        "--out", type=pathlib.Path, required=True, help="stylizer to write: .npz"
    )
    for field in dataclasses.fields(fit_lib.Settings):
        parser.add_argument(
            f"--{field.name}",
            type=field.type,
            default=field.default,
            help=f"default {field.default}",
        )
    args = parser.parse_args(argv)
    console = command_line.make_console(soft_wrap=True)
    with command_line.refusals("stylize fit"):
        settings = fit_lib.Settings(
            **{
                f.name: getattr(args, f.name)
                for f in dataclasses.fields(fit_lib.Settings)
            }
        )
        if args.out.suffix != ".npz":
            raise ValueError(f"--out is {args.out}: a name that ends in .npz")
        if args.out.exists():
            raise ValueError(f"{args.out} is there already: delete it, or name another")
        measure = vgg_weights.read_vgg(args.vgg, args.pixels)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        pools, about = {}, {"settings": dataclasses.asdict(settings)}
        for name in folders:
            pools[name], about[name] = _load_pool(getattr(args, name), console)
        digest = hashlib.sha256(args.vgg.read_bytes()).hexdigest()
        about["vgg"] = {"file": args.vgg.name, "sha256": digest}
    task = fit_lib.Task(pools["content"], pools["style"], measure, settings)
    with contextlib.ExitStack() as stack:
        with command_line.refusals("stylize fit"):
            try:
                held = lock(args.out.with_suffix(".lock"), wait=False)
                stack.enter_context(held)
            except BlockingIOError:
                raise ValueError(f"{args.out} is being fitted already") from None
        update = stack.enter_context(_bar("step", console))
        update(total=settings.n_steps)

        def on_log(row):
            losses = "  ".join(
                f"{name} {row[f'loss/{name}']:.3f}" for name in ("content", "style")
            )
            text = f"{row['images_per_s']:.1f} images/s  {losses}"
            update(completed=row["step"], description=text)
            if row["step"] % max(1, settings.n_steps // 10) == 0:
                console.print(f"step {row['step']:6d}  {text}")

        def on_save(pair, step):
            figures.save(_samples(task, pair, step), args.out.with_suffix(".png"))

        try:
            with command_line.refusals("stylize fit"):
                fit_lib.fit(task, args.out, about, on_log, on_save)
        except FloatingPointError as error:
            print(f"stylize fit: {error}", file=sys.stderr)
            return command_line.NON_FINITE
    console.print(f"stylizer: {args.out}")
    return command_line.OK


def _load_pool(folder: pathlib.Path, console: Console):
    """Returns a folder's images and what a stylizer's file says of them."""
    images, total = [], hashlib.sha256()
    for path in find_images(folder).images:
        try:
            images.append(images_lib.read(folder / path, shorter_px=_SHORTER_PX))
        except Exception as error:  # Pillow raises nearly any kind
            console.print(f"left out: {folder / path}: {error}")
            continue
        total.update(images[-1].tobytes())
    if not images:
        raise ValueError(f"{folder} holds no readable image")
    return images, {
        "folder": folder.name,
        "n_images": len(images),
        "sha256": total.hexdigest(),
    }


def _samples(task: fit_lib.Task, pair: adain.Pair, step: int):
    """Returns a sheet of crops that no step saw, stylized at three strengths."""
    settings = dataclasses.replace(task.settings, batch_size=_N_SAMPLES)
    crops = dataclasses.replace(task, settings=settings).crops(-1 % 2**32)
    contents, styles = (crop / np.float32(255) for crop in crops)
    untitled = [""] * _N_SAMPLES
    rows = [("content", contents, untitled), ("style", styles, untitled)]
    for alpha in (0.3, 0.7, 1.0):
        alphas = np.full(_N_SAMPLES, alpha, np.float32)
        stylized = adain.stylize(pair, None, contents, styles, alphas)
        rows.append((f"alpha {alpha}", np.asarray(stylized), untitled))
    return figures.sheet(rows)


if __name__ == "__main__":
    command_line.run(main, sys.argv)
