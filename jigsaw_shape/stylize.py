"""Writes a folder of images in the styles of another; fits stylizers.

    python -m jigsaw_shape.stylize photos paintings stylized
    python -m jigsaw_shape.stylize photos pack stylized --num-styles 5 --alpha 0.7
    python -m jigsaw_shape.stylize fit --content DIR --style DIR --vgg FILE --out FILE

OUT_DIR gets the tree of CONTENT_DIR, so class folders stay class folders. An image
keeps its name where that says --format already; else the format is added, b.png.jpg.
With several styles an image the names are b-stylized-0.jpg, b-stylized-1.jpg and on.
manifest.jsonl has a line for each image: its style, its seed, and all else that made
it; stylize.json has the settings. The same command continues one that was stopped, and
makes images again whose content or style has changed. It writes the same pixels, to
within 1/255, for any --batch-size and any number of devices.

Exit codes: 0 done; 1 done, except for the listed files, which could not be used; 2
refused; 3 `fit` diverged; 75 interrupted: run it again to continue.
"""

import contextlib
import dataclasses
import hashlib
import pathlib
import sys
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console

from jigsaw_shape.diversify import adain, style_images, vgg_weights
from jigsaw_shape.reports import figures
from jigsaw_shape.stylizing import crops
from jigsaw_shape.stylizing import fit as fit_lib
from jigsaw_shape.stylizing import folder as folder_lib
from jigsaw_shape.stylizing.stylizer import Settings
from jigsaw_shape.system import command_line, dataclass_flags
from jigsaw_shape.system.lock import lock

SOME_FAILED = 1  # the rest is done
_N_SAMPLES = 8


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    if argv[1:2] == ["fit"]:
        return fit(argv[2:])
    return stylize(argv[1:])


def stylize(argv: Sequence[str]) -> int:
    """Runs `stylize CONTENT_DIR STYLE_DIR OUT_DIR` and returns its exit code."""
    args = _parser().parse_args(argv)
    console = command_line.make_console(soft_wrap=True)
    since, n_written = time.perf_counter(), 0
    with contextlib.ExitStack() as stack:
        with command_line.refusals("stylize"):
            settings = dataclass_flags.from_flags(Settings, args)
            run = stack.enter_context(
                folder_lib.opened(
                    args.content_dir,
                    args.style_dir,
                    args.out_dir,
                    settings,
                    style_map=args.style_map,
                    batch_size=args.batch_size,
                )
            )
        update = stack.enter_context(
            command_line.progress_bar("image", console=console, lines=True)
        )

        def on_image(n_done, n_total):
            nonlocal n_written
            n_written = n_done
            rate = n_done / (time.perf_counter() - since)
            update(n_done, f"{rate:.1f} images/s" if n_done else "compiling", n_total)

        try:
            outcome = run.stylize(on_image)
        except OSError as error:  # the disk is full
            command_line.refuse("stylize", error)
        except KeyboardInterrupt:
            return command_line.interrupted("stylize", f" after {n_written} images")
    return _report(outcome, time.perf_counter() - since, args.out_dir, console)


def _report(outcome, time_s: float, out_dir: str, console: Console) -> int:
    """Prints what became of the contents and returns the exit code."""
    for note in outcome.found.notes():
        console.print(note)
    for path, reason in sorted(outcome.failed.items()):
        console.print(f"failed: {command_line.printable(path)}: {reason}")
    parts = [f"{command_line.counted(outcome.n_written, 'image')} written to {out_dir}"]
    if outcome.n_changed:
        parts.append(f"{outcome.n_changed} of these again: their files changed")
    if outcome.n_before:
        parts.append(f"{outcome.n_before} were there already")
    parts.append(f"{command_line.counted(len(outcome.failed), 'file')} failed")
    parts.append(f"{time_s:.1f} s, {outcome.n_written / time_s:.1f} images/s")
    console.print(", ".join(parts))
    return SOME_FAILED if outcome.failed else command_line.OK


def _parser():
    parser = command_line.make_parser("stylize", __doc__)
    add = parser.add_argument
    add("content_dir", metavar="CONTENT_DIR", help="images, at any depth")
    add(
        "style_dir",
        metavar="STYLE_DIR",
        help=f"images, at any depth; or {style_images.PACK}, the shipped styles",
    )
    add("out_dir", metavar="OUT_DIR", help="new, or of the same command before")
    dataclass_flags.add_flags(parser, Settings)
    add(
        "--style-map",
        default="",
        metavar="CSV",
        help="a file with the columns content and style, names below their folders: "
        "only these contents are stylized, in the styles given",
    )
    add(
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="images of one size that are computed together",
    )
    return parser


def fit(argv: Sequence[str]) -> int:
    """Runs `stylize fit` and returns its exit code."""
    args = _fit_parser().parse_args(argv)
    console = command_line.make_console(soft_wrap=True)

    def on_failure(path, reason):
        console.print(f"left out: {command_line.printable(str(path))}: {reason}")

    with contextlib.ExitStack() as stack:
        with command_line.refusals("stylize fit"):
            settings = dataclass_flags.from_flags(fit_lib.Settings, args)
            if args.out.suffix != ".npz":
                raise ValueError(f"--out is {args.out}: a name that ends in .npz")
            if args.out.exists():
                raise ValueError(f"{args.out} exists: delete it, or name another --out")
            vgg = vgg_weights.read_vgg(args.vgg, args.pixels)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            contents, about_contents = crops.read_images(args.content, on_failure)
            styles, about_styles = crops.read_images(args.style, on_failure)
            digest = hashlib.sha256(args.vgg.read_bytes()).hexdigest()
            about = {
                "settings": dataclasses.asdict(settings),
                "content": about_contents,
                "style": about_styles,
                "vgg": {"file": args.vgg.name, "sha256": digest},
            }
            held = lock(args.out.with_suffix(".lock"), wait=False)
            try:
                stack.enter_context(held)
            except BlockingIOError:
                raise ValueError(f"{args.out} is being fitted already") from None
        task = fit_lib.Task(contents, styles, vgg, settings)
        update = stack.enter_context(
            command_line.progress_bar(
                "step", settings.n_steps, console=console, lines=True
            )
        )

        def on_log(row):
            losses = f"content {row['loss/content']:.3f}  style {row['loss/style']:.3f}"
            update(row["step"], f"{row['images_per_s']:.1f} images/s  {losses}")

        def on_save(pair, step):
            figures.save(_samples(task, pair), args.out.with_suffix(".png"))

        try:
            with command_line.refusals("stylize fit"):
                fit_lib.fit(task, args.out, about, on_log, on_save)
        except FloatingPointError as error:
            print(f"stylize fit: {error}", file=sys.stderr)
            return command_line.NON_FINITE
        except KeyboardInterrupt:
            return command_line.interrupted("stylize fit")
    console.print(f"stylizer: {args.out}")
    return command_line.OK


def _fit_parser():
    parser = command_line.make_parser("stylize fit", fit_lib.__doc__)
    add, path = parser.add_argument, pathlib.Path
    add("--content", type=path, required=True, help="folder of objects and scenes")
    add("--style", type=path, required=True, help="folder of paintings and textures")
    add("--vgg", type=path, required=True, help="VGG-16 or -19: .pth or .h5")
    add(
        "--pixels",
        choices=vgg_weights.PIXELS,
        default="",
        help="what the VGG was trained on; without: caffe for .h5, else torchvision",
    )
    add("--out", type=path, required=True, help="stylizer to write: .npz")
    dataclass_flags.add_flags(parser, fit_lib.Settings)
    return parser


def _samples(task: fit_lib.Task, pair: adain.Pair):
    """Returns a sheet of crops that no step saw, stylized at three strengths."""
    settings = dataclasses.replace(task.settings, batch_size=_N_SAMPLES)
    sample = dataclasses.replace(task, settings=settings).crops(-1 % 2**32)
    contents, styles = (crop / np.float32(255) for crop in sample)
    untitled = [""] * _N_SAMPLES
    rows = [("content", contents, untitled), ("style", styles, untitled)]
    for alpha in (0.3, 0.7, 1.0):
        alphas = np.full(_N_SAMPLES, alpha, np.float32)
        stylized = adain.stylize(pair, None, contents, styles, alphas)
        rows.append((f"alpha {alpha}", np.asarray(stylized), untitled))
    return figures.sheet(rows)


if __name__ == "__main__":
    command_line.run(main, sys.argv)
