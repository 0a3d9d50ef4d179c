"""Small pictures of many image files, on a few sheets."""

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from jigsaw_shape.data.decoding import decode

CELL_PX, COLUMNS = 96, 32  # of a sheet; it has as many rows as columns, or less
LOOK_PX = 16
_QUALITY = 55  # of WebP: about 2 KB a photograph


class Thumbnails(NamedTuple):
    """Pictures of N files.

    Attributes:
      sheets: WebP in data URIs, `COLUMNS` x `COLUMNS` cells each; image i is in cell i.
        Pictures keep their shape; what they leave of a cell is transparent.
      looks: uint8 [N, LOOK_PX, LOOK_PX, 3], the images squashed to small squares.
    """

    sheets: list[str]
    looks: np.ndarray


def make(paths: Sequence[str], background: str) -> Thumbnails:
    """Returns pictures of files; one that cannot be read any more has an empty cell.

    Args:
      paths: N of them.
      background: What shows through where an image is transparent, a key of
        `decoding.BACKGROUNDS` or R,G,B.
    """

    def read(path):
        try:
            picture = Image.fromarray(decode(path, background))
        except Exception:  # it could be read before; Pillow raises any kind
            return None, np.zeros((LOOK_PX, LOOK_PX, 3), np.uint8)
        small = picture.resize((LOOK_PX, LOOK_PX), Image.Resampling.BOX)
        picture.thumbnail((CELL_PX, CELL_PX))
        return picture, np.asarray(small)

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as workers:
        found = list(workers.map(read, paths))
    cells = COLUMNS**2
    sheets = [
        _sheet([picture for picture, _ in found[start : start + cells]])
        for start in range(0, len(found), cells)
    ]
    return Thumbnails(sheets, np.stack([look for _, look in found]))


def _sheet(pictures: Sequence[Image.Image | None]) -> str:
    n_rows = -(-len(pictures) // COLUMNS)
    size = (CELL_PX * min(COLUMNS, len(pictures)), CELL_PX * n_rows)
    sheet = Image.new("RGBA", size)
    for place, picture in enumerate(pictures):
        if picture is not None:
            row, column = divmod(place, COLUMNS)
            left = column * CELL_PX + (CELL_PX - picture.width) // 2
            sheet.paste(
                picture, (left, row * CELL_PX + (CELL_PX - picture.height) // 2)
            )
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
