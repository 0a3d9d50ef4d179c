"""Folders of images that are written: names, formats, a manifest to continue from."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jigsaw_shape.data.image_folders import is_image
from jigsaw_shape.data.stimuli import MANIFEST, SETTINGS
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.lock import lock

# Pillow's name and its options. Colours are not subsampled: textures live in them.
FORMATS = {"jpg": ("JPEG", {"quality": 95, "subsampling": 0}), "png": ("PNG", {})}

# Settings that are digests of files: their values would tell a reader nothing.
_DIGESTS = ("styles", "stylizer", "style_map", "images", "first_texture")


def output_name(name: str, file_format: str, mark: str = "") -> str:
    """Returns the name under which what is made of an image is written.

    It is the image's own where its suffix says that format already, else the format's
    suffix is added: `a/b.JPEG` stays and `a/b.png` becomes `a/b.png.jpg`. A name that
    looks like the latter from the start gets one more suffix, so no two images of a
    tree have the same output.

    Args:
      name: Of an image.
      file_format: A key of `FORMATS`.
      mark: Goes before the suffix.
    """
    stem, suffix = os.path.splitext(name)
    kind = Image.registered_extensions()[suffix.lower()]
    if kind != FORMATS[file_format][0] or is_image(stem):
        stem, suffix = name, f".{file_format}"
    return f"{stem}{mark}{suffix}"


class OutputFolder:
    """A folder that images are written to, each with a line in its manifest.

    An image is done once both are there; a later process continues after them.

    Attributes:
      folder: The folder.
      n_changed: Images that are made anew, since what they were made of has changed.
    """

    def __init__(self, folder: Path, is_current: Callable[[dict], bool]):
        """Reads the manifest and drops lines that are torn, of no file, or outdated."""
        self.folder, self.n_changed, self._done = folder, 0, set()
        path = folder / MANIFEST
        path.touch()
        with (
            path.open(errors="replace") as old,
            whole_files.replacing(path) as partial,
            partial.open("w") as new,
        ):
            for line in old:
                try:
                    row = json.loads(line)
                    key, output = (row["content"], row["k"]), folder / row["output"]
                except (ValueError, KeyError, TypeError):
                    continue
                if key in self._done or not output.is_file():
                    continue
                if is_current(row):
                    self._done.add(key)
                    new.write(json.dumps(row) + "\n")
                else:
                    self.n_changed += 1
        self._manifest = path.open("a", buffering=1)  # a line at a time

    def __contains__(self, key: tuple[str, int]) -> bool:
        """Returns whether image (content, k) is done."""
        return key in self._done

    def write(self, name: str, pixels: np.ndarray, file_format: str) -> None:
        """Writes an image, whole or not at all.

        Args:
          name: The file's path in the folder.
          pixels: uint8 [H, W, 3].
          file_format: A key of `FORMATS`.

        Raises:
          Exception: It cannot be written; Pillow raises several kinds.
        """
        kind, options = FORMATS[file_format]
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_files.replacing(path) as partial:
            Image.fromarray(pixels).save(partial, kind, **options)

    def record(self, row: Mapping[str, Any]) -> None:
        """Adds the line of a written image: content, k, output, and more."""
        self._manifest.write(json.dumps(row) + "\n")

    def close(self) -> None:
        """Closes the manifest."""
        self._manifest.close()


@contextlib.contextmanager
def claimed(
    folder: Path,
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    *,
    earlier: Mapping[str, Any] | None = None,
    is_current: Callable[[dict], bool] = lambda row: True,
) -> Iterator[OutputFolder]:
    """Yields a folder that no other process writes to meanwhile.

    Args:
      folder: New, empty, or claimed with the same settings before.
      settings: What its images depend on, in JSON's types, kept in `stylize.json`.
      about: What else that file is to say.
      earlier: Values of settings that older folders do not mention.
      is_current: Whether the image of a manifest's row need not be made anew.

    Raises:
      ValueError: It is in use, has other settings, or holds other files.
    """
    stored = folder / SETTINGS
    if folder.exists() and not stored.exists():
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder")
        if any(not name.startswith(".") for name in os.listdir(folder)):
            raise ValueError(
                f"{folder} holds files but no {SETTINGS}: choose a new or empty folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(folder / ".lock", wait=False))
        except BlockingIOError as error:
            raise ValueError(f"{folder} is in use by another process") from error
        if stored.exists():
            _refuse_changes(stored, settings, earlier or {})
        else:
            text = json.dumps({"settings": settings, **about}, indent=2) + "\n"
            whole_files.write_text(stored, text)
        yield stack.enter_context(contextlib.closing(OutputFolder(folder, is_current)))


def _refuse_changes(stored: Path, settings: Mapping, earlier: Mapping) -> None:
    """Raises a `ValueError` where the settings are not those of a file."""
    try:
        before = {**earlier, **json.loads(stored.read_text())["settings"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{stored} cannot be read: {error}") from error
    changes = [
        f"{name} changed"
        if name in _DIGESTS
        else f"{name} was {before.get(name)!r} and is now {settings.get(name)!r}"
        for name in {**before, **settings}
        if before.get(name) != settings.get(name)
    ]
    if changes:
        raise ValueError(
            f"{stored.parent} was begun with other settings ({'; '.join(changes)}): "
            "choose another folder, or delete it"
        )
