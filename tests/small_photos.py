"""Pictures to resize and to recolour."""

import numpy as np
from PIL import Image


def photos(n: int = 4, h: int = 50, w: int = 50) -> np.ndarray:
    """Returns smooth random pictures, neither noise nor flat: uint8 [n, h, w, 3]."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 6, 6, 3), np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize((w, h), Image.BICUBIC)) for c in coarse]
    )
