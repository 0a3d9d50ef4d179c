"""Pictures of image files side by side, in rows of any length."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from jigsaw_shape.data.decoding import decode
from jigsaw_shape.reports import figures

_THUMBNAIL_PX = 96


class Row(NamedTuple):
    """A row of a contact sheet: its name, its files and a title above each."""

    name: str
    paths: Sequence[str]
    titles: Sequence[str]


def draw(rows: Sequence[Row], background: str) -> Figure:
    """Returns the pictures; a file that cannot be read any more is blank, "(gone)".

    Args:
      rows: At least one.
      background: What shows through where an image is transparent, a key of
        `decoding.BACKGROUNDS` or R,G,B.
    """
    drawn = []
    for row in rows:
        pixels = np.ones((len(row.paths), _THUMBNAIL_PX, _THUMBNAIL_PX, 3))
        titles = list(row.titles)
        for n, path in enumerate(row.paths):
            try:
                pixels[n] = decode(path, background, size_px=_THUMBNAIL_PX) / 255
            except Exception:  # it could be read before; Pillow raises any kind
                titles[n] += " (gone)"
        drawn.append((row.name, pixels, titles))
    return figures.sheet(drawn)


def refuse_replacing(picture: pathlib.Path, paths: Sequence[str]) -> None:
    """Refuses to write a file in the place of an image.

    Args:
      picture: The file that is to be written.
      paths: The images.

    Raises:
      ValueError: It is one of them.
    """
    place = picture.resolve()
    for path in map(pathlib.Path, paths):
        if path.name == place.name and path.resolve() == place:
            raise ValueError(
                f"the contact sheet would replace the image {path}: name another file "
                "with --sheet"
            )
