"""Folders of images: the one walk through them, behind every command.

What is passed over: hidden files, what systems and network storage leave behind
(`JUNK`), and what is neither a file nor a folder, such as a named pipe. Links are
followed, with two exceptions, so that a walk ends and finds nothing twice: a link to a
folder that is in the tree anyway, or that holds the tree, and a link to a file that
another name of the tree leads to as well.
"""

import collections
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image

from jigsaw_shape.data.decoding import PLUGINS
from jigsaw_shape.system.command_line import counted, printable

JUNK = frozenset(
    {
        *("__macosx", "thumbs.db", "desktop.ini", "lost+found"),
        *("@eadir", "#recycle", "@recycle", "#snapshot"),
        *("$recycle.bin", "system volume information"),
    }
)
_FORMATS = {
    *("AVIF", "BMP", "DIB", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "JXL", "MPO"),
    *("PCX", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP"),
}
# Suffixes of images, in lower case, that the installed Pillow reads.
SUFFIXES = frozenset(
    suffix for suffix, kind in Image.registered_extensions().items() if kind in _FORMATS
) - {".pfm"}  # floats

# What is left out, one and several of it.
NO_IMAGES = (
    "file that is no image by its suffix",
    "files that are no images by their suffix",
)
REPEATED = (
    "link to what is found by another name anyway",
    "links to what is found by another name anyway",
)


class File(NamedTuple):
    """A file of a folder or an archive.

    Attributes:
      name: Its path from there, such as `"a/b.jpg"`.
      size: In bytes; -1 where it was not asked for, 0 of a link to nothing.
      mtime_ns: When it was last changed; 0 where that is not known.
      real: Its path with links followed; `""` in an archive.
      is_link: Whether it is a link itself.
    """

    name: str
    size: int = -1
    mtime_ns: int = 0
    real: str = ""
    is_link: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The names on its path."""
        return tuple(self.name.split("/"))

    @property
    def is_image(self) -> bool:
        """Whether its suffix is an image's."""
        return is_image(self.name)


class Found(NamedTuple):
    """What a folder holds, as names from it, sorted folder by folder.

    Attributes:
      images: By their suffixes.
      others: Files that are no images by their suffixes.
      repeated: Links that lead to what is found by another name anyway.
    """

    images: list[str]
    others: list[str]
    repeated: list[str]

    def notes(self) -> list[str]:
        """Returns what was left out, a sentence each, with an example."""
        left_out = (
            (*NO_IMAGES, self.others),
            (*REPEATED, self.repeated),
        )
        return [
            f"left out {counted(len(names), one, many)}, such as {printable(names[0])}"
            for one, many, names in left_out
            if names
        ] + unread_notes(self.others)


def is_image(name: str) -> bool:
    """Returns whether a file's suffix is one that Pillow reads as a picture."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_junk(name: str) -> bool:
    """Returns whether a file or folder of this name is passed over everywhere."""
    return name.startswith(".") or name.lower() in JUNK


def find_images(folder: str | os.PathLike, expected: str = "at any depth") -> Found:
    """Returns the images below a folder, at any depth, and what was left out.

    Args:
      folder: Where to look.
      expected: For the refusal of a folder without images.

    Raises:
      ValueError: There is no such folder, or no image in it.
      OSError: A folder cannot be read.
    """
    files, repeated = walk(folder)
    files, again = without_repeats(files)
    images, others = [], []
    for file in files:
        (images if file.is_image else others).append(file.name)
    if not images:
        unread = "; ".join(unread_notes(others))
        unread = f"; {unread}" if unread else ""
        raise ValueError(f"{folder} holds no image, {expected}{unread}")
    return Found(images, others, repeated + again)


def find_named(arguments: Sequence[str]) -> Found:
    """Returns the images that are named, or are below folders that are, each once.

    They are paths, in the order of the arguments.

    Args:
      arguments: Files and folders; folders are searched at any depth.

    Raises:
      ValueError: There is no such file or folder, or no image in one.
      OSError: A folder cannot be read.
    """
    paths, others, repeated = {}, [], []
    for argument in arguments:
        if os.path.isdir(argument):
            found = find_images(argument)
            below = (os.path.join(argument, name) for name in found.images)
            paths |= dict.fromkeys(below)
            others += found.others
            repeated += found.repeated
        elif os.path.exists(argument) and not os.path.isfile(argument):
            raise ValueError(f"{argument} is neither a file nor a folder")
        elif os.path.lexists(argument):
            paths[argument] = None
        else:
            raise ValueError(f"{argument}: no such file or folder")
    return Found(list(paths), others, repeated)


def unread_notes(names: Iterable[str]) -> list[str]:
    """Returns which packages would read some of these files, a sentence each."""
    kinds = collections.Counter(os.path.splitext(name)[1].lower() for name in names)
    return [
        f"{counted(kinds[suffix], f'{suffix} file')} can be read once {package} is "
        f"installed (pip install {package})"
        for suffix, (package, _) in PLUGINS.items()
        if kinds[suffix] and suffix not in SUFFIXES
    ]


def walk(
    folder: str | os.PathLike, *, with_sizes: bool = False
) -> tuple[list[File], list[str]]:
    """Returns a folder's files, sorted folder by folder, and links left out.

    Args:
      folder: Where to look, at any depth.
      with_sizes: Ask each file for its size and time, which takes longer.

    Raises:
      ValueError: There is no such folder.
      OSError: A folder cannot be read.
    """
    if not os.path.isdir(folder):
        raise ValueError(f"{folder} is not a folder")
    root, repeated, seen = os.path.realpath(folder), [], set()

    def visit(path: str, real: str, above: str) -> Iterator[File]:
        seen.add(real)
        with os.scandir(path) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            if is_junk(entry.name):
                continue
            name, is_link = above + entry.name, entry.is_symlink()
            target = os.path.join(real, entry.name)
            target = os.path.realpath(entry.path) if is_link else target
            if entry.is_dir(follow_symlinks=False) or (
                is_link and os.path.isdir(target)
            ):
                if target in seen or (is_link and _overlap(target, root)):
                    repeated.append(name)
                else:
                    yield from visit(entry.path, target, f"{name}/")
            elif os.path.isfile(target) or (is_link and not os.path.exists(target)):
                size, mtime_ns = _size_and_time(target) if with_sizes else (-1, 0)
                yield File(name, size, mtime_ns, target, is_link)

    return list(visit(os.fspath(folder), root, "")), repeated


def without_repeats(files: Sequence[File]) -> tuple[list[File], list[str]]:
    """Returns files without links to others of them, and the names of such links."""
    if not any(file.is_link for file in files):
        return list(files), []
    seen = {file.real for file in files if not file.is_link}
    kept, repeated = [], []
    for file in files:
        if file.is_link and file.real in seen:
            repeated.append(file.name)
        else:
            seen.add(file.real)
            kept.append(file)
    return kept, repeated


def _overlap(one: str, other: str) -> bool:
    """Returns whether one of two real paths is the other or below it."""
    return os.path.commonpath((one, other)) in (one, other)


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0  # a link to nothing: found out when it is read
    return found.st_size, found.st_mtime_ns
