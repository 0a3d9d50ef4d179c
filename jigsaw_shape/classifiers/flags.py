"""The flags that say which network a command opens, and how."""

import argparse
import pathlib

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.of_onnx import Pixels
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data.decoding import BACKGROUNDS, parse_background
from jigsaw_shape.runs import rows


def add_model_flags(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Adds --model and what belongs to runs and to published weights.

    Args:
      parser: Gets the flags.
      default: What --model is without the flag; "" where it has to be given.
    """
    add = parser.add_argument
    add(
        "--model",
        required=not default,
        default=default,
        help="a run's directory; an export's folder or file; an ONNX file; flat, which "
        "comes with this package; or published weights, such as "
        "pretrained:efficientnet_lite0, torchvision:resnet18.IMAGENET1K_V1",
    )
    add(
        "--selection",
        default="val",
        metavar="RULE",
        help=f"which of a run's checkpoints: {', '.join(rows.RULES)}",
    )
    add_weights_flags(parser)


def add_weights_flags(parser: argparse._ActionsContainer) -> None:
    """Adds what names of published weights may not say."""
    add = parser.add_argument
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
        help="side of the squares that published weights see; 0 for 224",
    )


def add_score_flags(parser: argparse._ActionsContainer) -> None:
    """Adds what foreign files may not say of their scores and pixels."""
    add = parser.add_argument
    add(
        "--classes",
        metavar="FILE",
        help="names of the scores of an ONNX file or of published weights, one a line "
        "(default: its own; ImageNet's 1,000 become 16 categories)",
    )
    add(
        "--mean",
        metavar="R,G,B",
        help="subtracted from an ONNX file's pixels, in place of its metadata's mean",
    )
    add("--std", metavar="R,G,B", help="divides the pixels then")
    add(
        "--pixels",
        type=float,
        choices=(1, 255),
        help="the largest pixel, before --mean (default 1)",
    )


def add_image_flags(parser: argparse.ArgumentParser) -> None:
    """Adds how image files are read, and how many at a time."""
    add_background_flag(parser)
    parser.add_argument(
        "--batch-size",
        type=int,
        default=64,
        metavar="N",
        help="images that are computed at a time",
    )


def add_background_flag(parser: argparse._ActionsContainer) -> None:
    """Adds what shows through transparent images."""
    parser.add_argument(
        "--background",
        default="",
        metavar="COLOUR",
        help=f"what shows through transparent images: {', '.join(BACKGROUNDS)} or "
        "R,G,B (default: as in the run's training, else white)",
    )


def open_named(args: argparse.Namespace) -> Classifier:
    """Returns what the flags name.

    Raises:
      ValueError: A flag's value cannot work; names it, and what is allowed.
      OSError: A file cannot be read.
    """
    given = vars(args)
    classes, pixels = (), Pixels()
    if "classes" in given:
        classes, pixels = read_classes(args.classes), read_pixels(args)
    if given.get("background"):
        parse_background(args.background)
    return open_classifier(
        args.model,
        selection=args.selection,
        encoder=args.encoder,
        size_px=args.size,
        batch_size=args.batch_size,
        classes=classes,
        pixels=pixels,
    )


def read_classes(file: str | None) -> tuple[str, ...]:
    """Returns the names in the file of --classes; () without one."""
    lines = pathlib.Path(file).read_text().splitlines() if file else ()
    return tuple(line.strip() for line in lines if line.strip())


def read_pixels(args: argparse.Namespace) -> Pixels:
    """Returns what --mean, --std and --pixels say."""
    numbers = {}
    for name in ("mean", "std"):
        text = getattr(args, name)
        try:
            numbers[name] = text and tuple(float(part) for part in text.split(","))
        except ValueError as error:
            raise ValueError(f"--{name} is {text!r}: three numbers, R,G,B") from error
    return Pixels(numbers["mean"], numbers["std"], args.pixels)
