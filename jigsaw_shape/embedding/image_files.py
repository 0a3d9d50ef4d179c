"""Images for an encoder: which there are, and how each becomes a square of pixels."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jigsaw_shape.data.decoding import BACKGROUNDS, decode  # noqa: F401
from jigsaw_shape.stylizing import images as images_lib


def find(arguments: Sequence[str]) -> tuple[list[str], int]:
    """Returns the images that are named, or are below folders that are, each once.

    Args:
      arguments: Files and folders; folders are searched at any depth.

    Returns:
      Paths, in the order of the arguments, those of a folder sorted; and how many files
      in folders were left out, since by their names they are no images.

    Raises:
      ValueError: There is no such file or folder, or no image in one.
      OSError: A folder cannot be read.
    """
    paths, n_left_out = {}, 0
    for argument in arguments:
        if os.path.isdir(argument):
            names, others = images_lib.names(Path(argument))
            paths |= dict.fromkeys(os.path.join(argument, name) for name in names)
            n_left_out += len(others)
        elif os.path.lexists(argument):
            paths[argument] = None
        else:
            raise ValueError(f"{argument}: no such file or folder")
    return list(paths), n_left_out


def read(path: str, size_px: int, background: str = "white") -> np.ndarray:
    """Returns a whole image squashed to a square: uint8 [size_px, size_px, 3], RGB.

    As the images of a data set are, but for transparency.

    Args:
      path: A file in any format that Pillow reads.
      size_px: The side.
      background: A key of `BACKGROUNDS`.

    Raises:
      Exception: The file is damaged; Pillow raises nearly any kind.
    """
    return decode(path, background, size_px=size_px)
