"""The data set `emoji_small`, shipped: 400 names of `emoji` in seven designs, 96 px.

`assets/emoji` holds a sheet a design, lossless WebP, of tiles in the order of
`names.txt`, `COLUMNS` in a row; `SOURCES.csv` there names authors and licences, all of
which permit copies: MIT, Apache-2.0 and CC BY 4.0. `benchmarks/pack_emoji.py` made it.
"""

import functools
import importlib.resources
from pathlib import Path

import numpy as np
from PIL import Image

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.names import plain

# Their packages' names; fluent-emoji-* and emojione* are twins of one drawer each.
DESIGNS = (
    "noto",
    "twemoji",
    "fluent-emoji-flat",
    "fluent-emoji-high-contrast",
    "emojione",
    "emojione-monotone",
    "fxemoji",
)
DOMAINS = tuple(map(plain, DESIGNS))
COLUMNS = 20
SIZE_PX = 96
NAMES_FILE = "names.txt"


def folder() -> Path:
    """Returns where the sheets are."""
    return Path(str(importlib.resources.files("jigsaw_shape") / "assets" / "emoji"))


@functools.cache
def names() -> tuple[str, ...]:
    """Returns the names, spelled as in the packages, in alphabetical order."""
    return tuple((folder() / NAMES_FILE).read_text().split())


@functools.cache
def _sheet(design: str) -> np.ndarray:
    """Returns a design's tiles: uint8 [N, 96, 96, 3]."""
    pixels = decode(folder() / f"{plain(design)}.webp")
    rows = pixels.reshape(-1, SIZE_PX, COLUMNS, SIZE_PX, 3).swapaxes(1, 2)
    return rows.reshape(-1, SIZE_PX, SIZE_PX, 3)[: len(names())]


def load(*, size_px: int = SIZE_PX) -> Dataset:
    """Returns the data set: 2,800 images, of each name one in each design.

    Args:
      size_px: The side of the images; other than 96, they are resized.
    """
    n = len(names())

    def read(i: int) -> np.ndarray:
        pixels = _sheet(DESIGNS[i // n])[i % n]
        if size_px == SIZE_PX:
            return pixels
        image = Image.fromarray(pixels)
        side = (size_px, size_px)
        return np.array(image.resize(side, Image.Resampling.BILINEAR))

    return Dataset(
        name="emoji_small",
        classes=tuple(map(plain, names())),
        domains=DOMAINS,
        label=np.tile(np.arange(n, dtype=np.int32), len(DESIGNS)),
        domain=np.repeat(np.arange(len(DESIGNS), dtype=np.int32), n),
        read=read,
        names=tuple(
            f"{domain}/{plain(name)}" for domain in DOMAINS for name in names()
        ),
    )
