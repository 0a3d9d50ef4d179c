"""Folders of images: found, read, cut to size, kept in memory, written, recorded."""

import collections
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jigsaw_shape.data.decoding import decode, open_image
from jigsaw_shape.data.decoding import fault as decoding_fault
from jigsaw_shape.data.image_folders import SUFFIXES
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.lock import lock

MANIFEST, FACTS = "manifest.jsonl", "stylize.json"

# Pillow's name and its options. Colours are not subsampled: textures live in them.
FORMATS = {"jpg": ("JPEG", {"quality": 95, "subsampling": 0}), "png": ("PNG", {})}


def read(path: Path, *, shorter_px: int = 0) -> np.ndarray:
    """Returns an image: uint8 [H, W, 3], RGB, upright.

    Args:
      path: A file in any format that Pillow reads.
      shorter_px: If above 0 and below the shorter side, the image is shrunk to it.

    Raises:
      Exception: The file is damaged; Pillow raises nearly any kind.
    """
    pixels = decode(path, "stored")
    shorter = min(pixels.shape[:2])
    if not 0 < shorter_px < shorter:
        return pixels
    h, w = (round(side * shorter_px / shorter) for side in pixels.shape[:2])
    shrunk = Image.fromarray(pixels).resize((w, h), Image.Resampling.LANCZOS)
    return np.asarray(shrunk)


def square(image: np.ndarray, size_px: int) -> np.ndarray:
    """Returns an image's central square, resized: uint8 [S, S, 3]."""
    return cover(image, size_px, size_px)


def cover(image: np.ndarray, h: int, w: int) -> np.ndarray:
    """Returns an image's largest central part of sides h : w, resized: uint8 [h, w, 3].

    Args:
      image: uint8 [H, W, 3].
      h: Height.
      w: Width.
    """
    height, width, _ = image.shape
    scale = min(height / h, width / w)
    top, left = max(0, (height - h * scale) / 2), max(0, (width - w * scale) / 2)
    resized = Image.fromarray(image).resize(
        (w, h),
        Image.Resampling.BILINEAR,
        box=(left, top, min(width, left + w * scale), min(height, top + h * scale)),
        reducing_gap=3.0,
    )
    return np.asarray(resized)


def random_crop(rng: np.random.Generator, image: np.ndarray, size_px: int):
    """Returns a random square of an image, perhaps mirrored: uint8 [S, S, 3].

    Its side before resizing is uniform between `size_px` and the image's shorter side.
    """
    h, w, _ = image.shape
    side = rng.integers(min(size_px, h, w), min(h, w), endpoint=True)
    top, left = rng.integers(h - side + 1), rng.integers(w - side + 1)
    box = (left, top, left + side, top + side)
    square = Image.fromarray(image).resize(
        (size_px, size_px), Image.Resampling.BILINEAR, box=box
    )
    pixels = np.asarray(square)
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def output_name(name: str, file_format: str, mark: str = "") -> str:
    """Returns the name under which what was made of an image is written.

    It is the image's own where the suffix says that format already, else the format's
    suffix is added: `a/b.JPEG` stays and `a/b.png` becomes `a/b.png.jpg`. A name that
    reads like the latter from the start gets a suffix more. So no two images of a tree
    have one output, whatever else the tree holds.

    Args:
      name: Of an image, whose suffix is one of `SUFFIXES`.
      file_format: A key of `FORMATS`.
      mark: Goes before the suffix; two that end in different numbers never collide.
    """
    stem, suffix = os.path.splitext(name)
    kind = Image.registered_extensions()[suffix.lower()]
    reads_as_added = os.path.splitext(stem)[1].lower() in SUFFIXES
    if kind != FORMATS[file_format][0] or reads_as_added:
        stem, suffix = name, f".{file_format}"
    return f"{stem}{mark}{suffix}"


def write(path: Path, pixels: np.ndarray, file_format: str) -> None:
    """Writes an image, whole or not at all; folders are made.

    Args:
      path: The file.
      pixels: uint8 [H, W, 3].
      file_format: A key of `FORMATS`.

    Raises:
      Exception: It cannot be written; Pillow raises several kinds.
    """
    kind, options = FORMATS[file_format]
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_files.replacing(path) as partial:
        Image.fromarray(pixels).save(partial, kind, **options)


def fault(path: Path, error: Exception) -> str:
    """Returns why a file could not be used, in words for the user."""
    del path
    return decoding_fault(error)


class Kept:
    """What is made of each image of a folder, kept as far as memory for it goes.

    Several threads may ask at once.

    Attributes:
      names: Of the images.
      failed: Path and reason of those that cannot be used; each is tried once.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        make_fn: Callable[[Path], np.ndarray],
        n_bytes: int,
    ):
        """Opens every file, which finds those that are no images.

        Args:
          folder: Where they are.
          names: Of the images, from there.
          make_fn: Reads one; raises any `Exception` where it cannot.
          n_bytes: Of arrays that are kept.
        """
        self.names, self.failed = names, {}
        self._folder, self._make_fn, self._n_bytes = folder, make_fn, n_bytes
        self._arrays, self._lock = collections.OrderedDict(), threading.Lock()
        sizes = hashlib.sha256()
        for name in names:
            path = folder / name
            try:
                sizes.update(os.fsencode(f"{name}\n{path.stat().st_size}\n"))
                with open_image(path):
                    pass
            except Exception as error:  # Pillow raises nearly any kind
                self._fail(path, error)
        self.digest = sizes.hexdigest()[:16]  # of names and sizes

    def get(self, index: int) -> np.ndarray | None:
        """Returns what `make_fn` does of an image; None where that fails."""
        path = self._folder / self.names[index]
        if str(path) in self.failed:
            return None
        array = self._arrays.get(index)
        if array is None:
            try:
                array = self._make_fn(path)
            except Exception as error:  # Pillow raises nearly any kind
                self._fail(path, error)
                return None
            with self._lock:
                if index not in self._arrays:
                    self._arrays[index] = array
                    self._n_bytes -= array.nbytes
                while self._n_bytes < 0:
                    self._n_bytes += self._arrays.popitem(last=False)[1].nbytes
        return array

    def _fail(self, path: Path, error: Exception) -> None:
        self.failed[str(path)] = fault(path, error)


class Output:
    """A folder that images are written to, each with a line in `manifest.jsonl`.

    An image is there once both are; a later process goes on from what is there.
    """

    def __init__(self, folder: Path):
        """Reads what is there; a line that is torn, or of no file, goes."""
        self._folder, self._done = folder, set()
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
                if key not in self._done and output.is_file():
                    self._done.add(key)
                    new.write(json.dumps(row) + "\n")
        self._manifest = path.open("a", buffering=1)  # a line at a time

    def __contains__(self, key: tuple[str, int]) -> bool:
        """Returns whether (content, k) is there."""
        return key in self._done

    def write(self, name: str, pixels: np.ndarray, file_format: str) -> None:
        """Writes the file alone; see the function `write`."""
        write(self._folder / name, pixels, file_format)

    def record(self, row: Mapping[str, Any]) -> None:
        """Adds the line of a file that is written: content, k, output, and more."""
        self._manifest.write(json.dumps(row) + "\n")

    def close(self) -> None:
        """Closes the manifest."""
        self._manifest.close()


@contextlib.contextmanager
def claimed(
    folder: Path, facts: Mapping[str, Any], about: Mapping[str, Any]
) -> Iterator[Output]:
    """Yields a folder that no other process writes to meanwhile.

    Args:
      folder: New, empty, or claimed with the same facts before.
      facts: What its images depend on, in JSON's types; `stylize.json` has them.
      about: What else that file is to say.

    Raises:
      ValueError: It is in use, of other facts, or holds other files.
    """
    stored = folder / FACTS
    if folder.exists() and not stored.exists():
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder")
        if any(not name.startswith(".") for name in os.listdir(folder)):
            raise ValueError(
                f"{folder} holds files but no {FACTS}: name a new or empty folder"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(folder / ".lock", wait=False))
        except BlockingIOError as error:
            raise ValueError(f"{folder} is in use by another process") from error
        if stored.exists():
            _refuse_changes(stored, facts)
        else:
            text = json.dumps({"settings": facts, **about}, indent=2) + "\n"
            whole_files.write_text(stored, text)
        output = Output(folder)
        stack.callback(output.close)
        yield output


def _refuse_changes(stored: Path, facts: Mapping[str, Any]) -> None:
    """Raises a `ValueError` where the facts are not those of a file."""
    try:
        before = dict(json.loads(stored.read_text())["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{stored} cannot be read: {error}") from error
    changes = [
        f"{name} is {before.get(name)!r} there, {facts.get(name)!r} now"
        for name in {**before, **facts}
        if before.get(name) != facts.get(name)
    ]
    if changes:
        raise ValueError(
            f"{stored.parent} was begun with other settings ({'; '.join(changes)}): "
            "name another folder, or delete it"
        )
