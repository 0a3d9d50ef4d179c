"""Prepares a folder of images for training: checks every file and stores it once.

    python -m jigsaw_shape.prepare pacs --from ~/data/PACS
    python -m jigsaw_shape.prepare mydata --from photos.zip
    python -m jigsaw_shape.prepare emoji
    python -m jigsaw_shape.prepare stimuli

The folder, or the zip or tar archive, holds `{domain}/{class}/*` at any depth, perhaps
with a folder `images`, `train` or `val` between domain and class. A CSV or JSON Lines
file with the columns path, class, domain and split names the images of a set instead.
Known sets (pacs, vlcs, office_home, office_31, terra_incognita, domainnet,
nico_plus_plus, digits_dg, emoji) must be complete; of digits, whose copies differ, what
is missing is noted.
`config.data.name` then takes the name. The same command again compares the folder with
what is stored.
`stimuli` fetches the 17 published sets of model-vs-human for `evaluate`, or takes those
that the folder --from holds, unpacked or as archives.
`emoji` is drawn from npm packages, which npm fetches or --from holds (docs/flat.md).
Exit codes: 0 done; 2 refused, with what is wrong, item by item, or no room to store it,
which leaves what there was; 74 a bucket is out of reach.
"""

import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from jigsaw_shape.data import (
    archives,
    emoji,
    emoji_drawings,
    image_records,
    prepared_folders,
    published_stimuli,
    sources,
)
from jigsaw_shape.data.known_sets import KNOWN_SETS
from jigsaw_shape.data.names import plain
from jigsaw_shape.system import addresses, command_line

_NEED_NONE = {
    "shapes": "is drawn",
    "emoji_small": "comes with the package",
    "imagenet": "is read from TFDS",
}
_MOST_CLASSES = 100  # in the table; of more only the total is shown


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    args = _parser().parse_args(argv)
    if args.set == published_stimuli.NAME:
        return _stimuli(args)
    name = plain(args.name or args.set)
    if name in sources.SOURCES:
        needs_none = _NEED_NONE.get(name, "is no folder")
        command_line.refuse(
            "prepare", f"{name} {needs_none}, see configs/: choose another name"
        )
    with command_line.refusals("prepare"):
        drawn = _draw(args)
        builder, is_new = prepared_folders.prepare(
            args.name or args.set,
            spec_name=args.set if args.name else "",
            source_dir=drawn.folder if drawn else args.source_dir,
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
    for note in (*prepared_folders.notes(builder), *(drawn.notes if drawn else ())):
        console.print(f"note: {note}")
    if drawn:
        console.print(f"drawings: {drawn.folder}")
    how = "prepared in" if is_new else "was prepared before, in"
    if not is_new and (drawn or args.source_dir or archives.named_folder(name)):
        how = "was prepared before, and is unchanged, in"
    console.print(f"{known['name']} {how} {builder.data_path}")
    return command_line.OK


def _stimuli(args) -> int:
    """Fetches published stimuli; returns the exit code."""
    source = pathlib.Path(args.source_dir).expanduser() if args.source_dir else None
    with command_line.refusals("prepare"):
        folder = image_records.data_home(args.data_dir) / published_stimuli.NAME
        if address := addresses.address_of(folder):
            raise ValueError(
                f"stimuli are read from a disk, and {address} is in a bucket: name a "
                "folder with --data-dir"
            )
        outcomes = published_stimuli.prepare(folder, source)
    console = command_line.make_console(soft_wrap=True)
    there = [one for one in outcomes if not one.fault]
    for one in there:
        terms = published_stimuli.SETS[one.name].terms
        console.print(f"{one.name}: {one.n_images:,} images; {terms}")
    if there:
        console.print(f"to use them: python -m jigsaw_shape.evaluate --data {folder}")
    if len(there) < len(outcomes):
        faults = (one.fault for one in outcomes if one.fault)
        command_line.refuse("prepare", "\nprepare: ".join(faults))
    return command_line.OK


def _draw(args) -> emoji_drawings.Drawings | None:
    """Returns the drawings of a data set that is drawn from packages."""
    if plain(args.set) != emoji.NAME:
        if args.size is not None:
            raise ValueError(f"--size is for {emoji.NAME} alone: leave it out")
        return None
    return emoji_drawings.draw(
        args.source_dir,
        args.data_dir,
        size_px=emoji_drawings.SIZE_PX if args.size is None else args.size,
        strict=not args.allow_partial,
        skip_broken=args.skip_broken,
    )


def _parser():
    parser = command_line.make_parser("prepare", __doc__)
    sets = ", ".join(KNOWN_SETS)
    parser.add_argument(
        "set", metavar="SET", help=f"{sets}, stimuli, or a name of your own"
    )
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
        "--size",
        type=int,
        metavar="PX",
        help=f"emoji: the side of the drawings (default {emoji_drawings.SIZE_PX})",
    )
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
    """Returns the number of images by class, where these are few, and domain."""
    n_classes = len(known["classes"])
    counts = [
        np.bincount(labels, minlength=n_classes) for labels in known["labels"].values()
    ]
    counts = np.stack([*counts, sum(counts)], axis=1)  # [classes, domains + total]
    table = Table("class", title=known["name"])
    for column in (*known["labels"], "total"):
        table.add_column(column, justify="right")
    few = known["classes"] if n_classes <= _MOST_CLASSES else ()
    for name, row in zip(few, counts, strict=False):
        table.add_row(name, *map(str, row))
    table.add_section()
    table.add_row("total", *map(str, counts.sum(axis=0)))
    return table


if __name__ == "__main__":
    command_line.run(lambda argv: main(argv[1:]), sys.argv)
