"""Copies of buckets' folders on a disk: what is in them, and what lies beside them."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from fsspec.utils import tokenize

from jigsaw_shape.system import addresses
from jigsaw_shape.system.bucket_files import BucketFiles
from jigsaw_shape.system.lock import lock

STEPS = "checkpoints"
# Orbax's file in the folder of each step, and TFDS's of a data set: there when all is.
COMPLETES = ("_CHECKPOINT_METADATA", "dataset_info.json")
_UNFINISHED = "orbax-checkpoint-tmp"  # in the name of what Orbax is writing


def files_of(folder: pathlib.Path) -> BucketFiles:
    """Returns the files of the bucket's folder that this is the copy of."""
    notes = addresses.home() / "notes.sqlite"
    return BucketFiles(addresses.address_of(folder), folder, notes)


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Waits until no other process copies from or to the folder."""
    with lock(beside(folder, "copying")):
        yield


def identity_of(folder: pathlib.Path) -> pathlib.Path:
    """Returns the file of a copy's identity, there since the copy was first stored."""
    return beside(folder, "identity")


def beside(folder: pathlib.Path, purpose: str) -> pathlib.Path:
    """Returns a file of a copy: beside the copies, as they show what buckets have."""
    files = addresses.home() / "files"
    files.mkdir(parents=True, exist_ok=True)
    return files / f"{tokenize(str(folder.absolute()))}.{purpose}"


def names_in(folder: pathlib.Path) -> list[str]:
    """Returns the files that a bucket keeps, without those of folders stored apart."""
    found = []
    for parent, folders, names in os.walk(folder):  # passes over what goes meanwhile
        here = pathlib.Path(parent)
        folders[:] = [n for n in folders if not identity_of(here / n).exists()]
        found += [(here / name).relative_to(folder) for name in names]
    return [path.as_posix() for path in found if is_visible(path)]


def is_visible(path: pathlib.Path) -> bool:
    """Returns whether a file is no lock, and not half written."""
    return not any(p.startswith(".") or _UNFINISHED in p for p in path.parts)


def step_of(name: str) -> str:
    """Returns the folder of the checkpoint that a file is of, else ""."""
    parts = name.split("/")
    n = parts.index(STEPS) + 2 if STEPS in parts else 0
    return "/".join(parts[:n]) if n < len(parts) else ""


def completes(name: str) -> bool:
    """Returns whether this file says that a checkpoint or a data set is whole."""
    return name.rpartition("/")[2] in COMPLETES
