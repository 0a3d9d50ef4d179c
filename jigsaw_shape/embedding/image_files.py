"""How an image becomes a square of pixels for an encoder."""

import numpy as np

from jigsaw_shape.data.decoding import BACKGROUNDS, decode  # noqa: F401


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
