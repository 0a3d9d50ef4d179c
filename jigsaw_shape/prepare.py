"""Prepares a folder of images for training: checks every file and stores it once.

    python -m jigsaw_shape.prepare pacs --from ~/data/PACS
    python -m jigsaw_shape.prepare mydata --from photos.zip

The folder, or the zip or tar archive, holds `{domain}/{class}/*` at any depth, perhaps
with a folder `images`, `train` or `val` between domain and class. A CSV or JSON Lines
file with the columns path, class, domain and split names the images of a set instead.
Known sets (pacs, vlcs, office_home, digits_dg) must be complete. `config.data.name`
then takes the name. The same command again compares the folder with what is stored.
Exit codes: 0 done; 2 refused, with what is wrong, item by item, or no room to store it,
which leaves what there was.
"""

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
    args = _parser().parse_args(argv)
    name = plain(args.name or args.set)
    if name in sources.SOURCES:
        needs_none = "is read from TFDS" if name == "imagenet" else "is drawn"
        command_line.refuse(
            "prepare", f"{name} {needs_none}, see configs/: choose another name"
        )
    with command_line.refusals("prepare"):
        builder, is_new = prepared_folders.prepare(
            args.name or args.set,
            spec_name=args.set if args.name else "",
            source_dir=args.source_dir,
            data_dir=args.data_dir,
            strict=not args.allow_partial,
            skip_broken=args.skip_broken,
            overwrite=args.overwrite,
        )
    console = command_line.make_console(soft_wrap=True)
    known = builder.info.metadata
    console.print(_table(known))
    for broken in known.get("skipped", ()):
        console.print(f"skipped: {broken}")
    for note in prepared_folders.notes(builder):
        console.print(f"note: {note}")
    how = "prepared in" if is_new else "was prepared before, and is unchanged, in"
    console.print(f"{known['name']} {how} {builder.data_path}")
    return command_line.OK


def _parser():
    parser = command_line.make_parser("prepare", __doc__)
    sets = ", ".join(KNOWN_SETS)
    parser.add_argument("set", metavar="SET", help=f"{sets}, or a name of your own")
    parser.add_argument(
        "--from",
        dest="source_dir",
        metavar="DIR",
        default="",
        help="folder, archive, or CSV or JSON Lines file; without it: $SET_DIR, then a "
        "public mirror",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        default="",
        help="where to store; without it: $TFDS_DATA_DIR or ~/tensorflow_datasets",
    )
    parser.add_argument("--name", default="", help="store SET under this name instead")
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="accept a known set with images missing; what is missing is recorded",
    )
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out files that are no images or damaged; they are listed and "
        "recorded",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what is stored already"
    )
    return parser


def _table(known) -> Table:
    """Returns the number of images by class and domain."""
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
    return table


if __name__ == "__main__":
    command_line.run(lambda argv: main(argv[1:]), sys.argv)
