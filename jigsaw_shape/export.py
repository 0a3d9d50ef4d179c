"""Writes a trained encoder for PyTorch, ONNX and JAX, and checks each file.

    python -m jigsaw_shape.export --model runs/mine --format all --out exported

OUT gets model.safetensors (names of torchvision, timm and the like: PyTorch's
`load_state_dict` takes it), model.onnx (needs the extra [onnx]), model.stablehlo and
model.batch1.stablehlo (jax.export, for any batch and for one of --batch-size), orbax/
(the encoder alone), export.json and README.md, a model card. Programs normalize, and
resize from --input-px, by themselves.

Exit codes: 0 done; 1 a file differs from the checkpoint, so nothing was written; 2
refused.
"""

import argparse
import functools
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.table import Table

from jigsaw_shape import config as config_lib
from jigsaw_shape.classifiers import flags
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.exporting import card, folder
from jigsaw_shape.exporting.format import INPUTS, Options
from jigsaw_shape.exporting.formats import FORMATS
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.runs import fingerprint
from jigsaw_shape.system import command_line

DIFFERS = 1  # from the checkpoint


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    names = list(FORMATS) if args.format == "all" else args.format.split(",")
    names = [name.strip() for name in names]
    options = Options(tuple(names), args.input, args.batch_size, args.names)
    out = pathlib.Path(args.out)
    console = command_line.make_console()
    with command_line.refusals("export"):
        if args.input_px < 0:
            raise ValueError(
                f"--input-px is {args.input_px}: 1 or more, or 0 for the size at which "
                "the run kept its images"
            )
        folder.check(out, options)
        opened = flags.open_named(args)
        if opened.network is None:
            raise ValueError(
                f"--model is {args.model}, a program, whose weights cannot be written "
                "again: name the run or the weights that it was made of"
            )
        about, make_card = dict(opened.about), card.make_card
        about["weights"] = card.public_name(about["weights"])
        about["background"] = opened.background
        if opened.config is not None:
            about, make_card = _of_run(opened)
        try:
            written = folder.export(
                opened.network,
                out,
                options,
                about=about,
                card=make_card,
                input_px=args.input_px,
            )
        except folder.CheckError as error:
            print(f"export: {error}", file=sys.stderr)
            return DIFFERS
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("file", "MB", "difference", "s"):
        table.add_column(name, justify="left" if name == "file" else "right")
    for file in written:
        difference = f"{file.difference:.1e}" if file.difference else "none"
        size, time_s = f"{file.n_bytes / 1e6:.2f}", f"{file.time_s:.1f}"
        table.add_row(file.name, size, difference, time_s)
    console.print(
        f"{opened.network.encoder}, {opened.about['weights']}", soft_wrap=True
    )
    console.print(table)
    console.print(f"files and model card: {out}", soft_wrap=True)
    return command_line.OK


def _of_run(opened: Classifier) -> tuple[dict[str, Any], Callable[..., str]]:
    """Returns what a run's export says of itself, and how its card is made."""
    selection, step = opened.about["selection"], opened.about["step"]
    directory = config_lib.workdir(opened.config)
    knowledge = directory_lib.knowledge(directory, opened.config, selection)
    config = json.loads(fingerprint.to_json(opened.config))
    evaluations = directory_lib.read_evaluations(directory)
    make_card = functools.partial(
        card.make_card, config=config, evaluations=evaluations
    )
    return card.about_run(config, knowledge, step), make_card


def _parser() -> argparse.ArgumentParser:
    parser = command_line.make_parser("export", __doc__)
    add = parser.add_argument
    flags.add_model_flags(parser)
    add(
        "--format",
        default="all",
        metavar="NAMES",
        help=f"{', '.join(FORMATS)}; several with commas between; or all",
    )
    add("--out", required=True, metavar="DIR", help="new, or empty")
    add(
        "--input",
        default="uint8",
        metavar="KIND",
        help=f"pixels of programs: {', '.join(INPUTS)}; float is in [0, 1]",
    )
    add(
        "--input-px",
        type=int,
        default=0,
        metavar="PX",
        help="side of the images that programs take, which they resize; 0 for that of "
        "the images which the run kept",
    )
    add(
        "--batch-size",
        type=int,
        default=1,
        metavar="N",
        help="of the StableHLO program for one batch size, which older JAX reads too",
    )
    add(
        "--names",
        default="",
        metavar="LIBRARY",
        help="whose names the weights have, where several libraries have the encoder, "
        "such as timm (default: the first of them)",
    )
    return parser


if __name__ == "__main__":
    command_line.run(main, sys.argv)
