"""Prepares a folder of images for training: checks every file and stores it once.

    python -m jigsaw_shape.prepare pacs --from ~/data/PACS
    python -m jigsaw_shape.prepare mydata --from photos.zip

The folder, or the zip or tar archive, holds `{domain}/{class}/*` at any depth. Known
sets (pacs, vlcs, office_home, digits_dg) must be complete. `config.data.name` then
takes the name. Exit codes: 0 done; 2 refused, with what is wrong, item by item, or no
room to store it, which leaves what there was.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from jigsaw_shape.data import prepared_folders, sources
from jigsaw_shape.data.known_sets import KNOWN_SETS
from jigsaw_shape.data.names import plain
from jigsaw_shape.system import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    summary, _, details = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        "prepare",
        description=summary,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sets = ", ".join(KNOWN_SETS)
    parser.add_argument("set", metavar="SET", help=f"{sets}, or a name of your own")
    parser.add_argument(
        "--from",
        dest="source_dir",
        metavar="DIR",
        default="",
        help="folder or archive; without: $SET_DIR, then a public mirror",
    )
    parser.add_argument(
        "--data_dir",
        metavar="DIR",
        default="",
        help="where to store; without: $TFDS_DATA_DIR or ~/tensorflow_datasets",
    )
    parser.add_argument("--name", default="", help="store SET under this name instead")
    parser.add_argument(
        "--allow_partial",
        action="store_true",
        help="accept a known set with images missing; what is missing is recorded",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what is stored already"
    )
    args = parser.parse_args(argv)
    name = plain(args.name or args.set)
    if name in sources.SOURCES:
        needs_none = "is read from TFDS" if name == "imagenet" else "is drawn"
        command_line.refuse(
            "prepare", f"{name} {needs_none}, see configs/: choose another name"
        )
    with command_line.refusals("prepare"):
        builder = prepared_folders.prepare(
            args.name or args.set,
            spec_name=args.set if args.name else "",
            source_dir=args.source_dir,
            data_dir=args.data_dir,
            strict=not args.allow_partial,
            overwrite=args.overwrite,
        )
    console = command_line.make_console(soft_wrap=True)
    known = builder.info.metadata
    n_classes = len(known["classes"])
    counts = [
        np.bincount(labels, minlength=n_classes) for labels in known["labels"].values()
    ]
    counts = np.stack([*counts, sum(counts)], axis=1)  # [classes, domains + total]
    table = Table("class", title=known["name"])
    for column in (*known["labels"], "total"):
        table.add_column(column, justify="right")
    for name, row in zip(known["classes"], counts, strict=True):
        table.add_row(name, *map(str, row))
    table.add_section()
    table.add_row("total", *map(str, counts.sum(axis=0)))
    console.print(table)
    for kind in ("incomplete", "warnings"):
        for note in known[kind]:
            console.print(f"{kind.removesuffix('s')}: {note}")
    console.print(f"prepared in {builder.data_path}")
    return command_line.OK


if __name__ == "__main__":
    command_line.run(lambda argv: main(argv[1:]), sys.argv)
