"""Images that a stylizer is fitted on: a folder in memory, and random crops of it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from jigsaw_shape.data.decoding import DecodeError, decode, fault
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.data.resizing import shrink

_SHORTER_PX = 512  # larger images are shrunk, as in the paper


def read_images(
    folder: Path, on_failure: Callable[[Path, str], None]
) -> tuple[list[np.ndarray], dict]:
    """Returns a folder's images, uint8 [H, W, 3], and what a stylizer's file says.

    Args:
      folder: Images at any depth.
      on_failure: Called with path and reason of each image that cannot be read.

    Raises:
      ValueError: There is no image that can be read.
    """
    images, total = [], hashlib.sha256()
    for name in find_images(folder).images:
        try:
            images.append(shrink(decode(folder / name), _SHORTER_PX))
        except (OSError, DecodeError) as error:
            on_failure(folder / name, fault(error))
            continue
        total.update(images[-1].tobytes())
    if not images:
        raise ValueError(f"{folder} holds no readable image")
    return images, {
        "folder": folder.name,
        "n_images": len(images),
        "sha256": total.hexdigest(),
    }


def random_crop(
    rng: np.random.Generator, image: np.ndarray, size_px: int
) -> np.ndarray:
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
