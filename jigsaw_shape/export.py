"""Writes a run's encoder for PyTorch, ONNX and JAX, each file checked against the run.

    python -m jigsaw_shape.export --workdir runs/mine --format all --out exported

OUT gets model.safetensors (names of torchvision, timm and the like: PyTorch's
`load_state_dict` takes it), model.onnx (needs the extra [onnx]), model.stablehlo and
model.batch1.stablehlo (jax.export, for any batch and for one of --batch-size), orbax/
(the encoder alone), export.json and README.md, a model card. Programs normalize, and
resize from --input-px, by themselves.

Exit codes: 0 done; 1 a file differs from the checkpoint, so nothing was written; 2
refused.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from rich import box
from rich.table import Table

from jigsaw_shape.exporting import card, folder
from jigsaw_shape.exporting.run import open_run
from jigsaw_shape.exporting.trained import INPUTS
from jigsaw_shape.runs import rows
from jigsaw_shape.system import command_line

DIFFERS = 1  # from the checkpoint


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv[1:])
    formats = folder.FORMATS if args.format == "all" else args.format.split(",")
    formats = [name.strip() for name in formats]
    options = folder.Options(tuple(formats), args.input, args.batch_size, args.names)
    out = pathlib.Path(args.out)
    console = command_line.make_console()
    with command_line.refusals("export"):
        folder.check(out, options)
        saved = open_run(pathlib.Path(args.workdir), args.selection, args.input_px)

        def make_card(written, facts):
            return card.make_card(facts, saved.config, saved.evaluations, written)

        try:
            written = folder.export(
                saved.trained, out, options, about=saved.facts(), card=make_card
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
    rule = saved.knowledge["selection"]
    console.print(
        f"{args.workdir}: {saved.trained.encoder}, step {saved.step}, "
        f"{rule}: {rows.RULES[rule]}",
        soft_wrap=True,
    )
    console.print(table)
    console.print(f"files and model card: {out}", soft_wrap=True)
    return command_line.OK


def _parser() -> argparse.ArgumentParser:
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "export",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--workdir", required=True, metavar="RUN", help="a finished run's directory")
    add(
        "--selection",
        default="val",
        metavar="RULE",
        help=f"which of its checkpoints: {', '.join(rows.RULES)} (default val)",
    )
    add(
        "--format",
        default="all",
        metavar="NAMES",
        help=f"{', '.join(folder.FORMATS)}; several with commas between; or all "
        "(default all)",
    )
    add("--out", required=True, metavar="DIR", help="new, or empty")
    add(
        "--input",
        default="uint8",
        metavar="KIND",
        help=f"pixels of programs: {', '.join(INPUTS)}; float is in [0, 1] (default "
        "uint8)",
    )
    add(
        "--input-px",
        type=int,
        default=0,
        metavar="PX",
        help="side of the images that programs take, which they resize (default 0: "
        "that of the images which the run kept)",
    )
    add(
        "--batch-size",
        type=int,
        default=1,
        metavar="N",
        help="of the StableHLO program for one batch size, which older JAX reads too "
        "(default 1)",
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
