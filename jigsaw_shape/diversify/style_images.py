"""Style images for training: the images of a folder, none of them of the target.

The shipped pack is a folder like any other, `assets/styles` of the package.
"""

import dataclasses
import hashlib
import importlib.resources
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import DecodeError, decode, fault
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.data.resizing import cover
from jigsaw_shape.system.command_line import track

PACK = "pack"
_THUMBNAIL_PX = 16
# Two thumbnails show one picture if they correlate at least so well and differ by less
# than so much of 255 on average. One picture in two sizes and formats reaches 0.99.
_LEAST_CORRELATION = 0.97
_MOST_DIFFERENCE = 10.0
_LEAST_SPREAD = 1.0  # standard deviation, of 0 to 255, of what is not blank


def folder(name: str) -> Path:
    """Returns the folder that `"pack"` or a path means."""
    if name == PACK:
        return Path(
            str(importlib.resources.files("jigsaw_shape") / "assets" / "styles")
        )
    return Path(name)


@dataclasses.dataclass(frozen=True)
class Pool:
    """Style images.

    Attributes:
      name: `config.diversify.styles`.
      names: The path of each below the folder.
      images: uint8 [M, S, S, 3].
      thumbnails: float32 [M, n].
    """

    name: str
    names: list[str]
    images: np.ndarray
    thumbnails: np.ndarray

    def digest(self) -> str:
        """Returns a digest of the styles' pixels."""
        return hashlib.sha256(self.images.tobytes()).hexdigest()[:16]


def load(
    name: str, *, n_most: int, size_px: int, seed: int, background: str = "white"
) -> Pool:
    """Returns styles of one size.

    Args:
      name: `"pack"`, or a folder of images at any depth.
      n_most: Of a larger folder, so many are chosen at random.
      size_px: Each is cut to its central square and resized to this side.
      seed: Decides the choice.
      background: What shows where one is transparent, as `decode` takes it.

    Raises:
      ValueError: There is no such folder, or no image in it.
      OSError: An image cannot be read; names it.
    """
    root = folder(name)
    names = find_images(root).images
    if len(names) > n_most:
        chosen = np.random.default_rng(seed).choice(len(names), n_most, replace=False)
        names = [names[i] for i in np.sort(chosen)]
    images, thumbnails = [], []
    for path in names:
        try:
            image = decode(root / path, background)
        except (OSError, DecodeError) as error:
            message = f"style {root / path} cannot be read: {fault(error)}"
            raise OSError(message) from error
        images.append(cover(image, size_px, size_px))
        thumbnails.append(thumbnail(image))
    return Pool(name, names, np.stack(images), np.stack(thumbnails))


def thumbnails(dataset: Dataset, name: str) -> Pool:
    """Returns images as `refuse_target` compares them: thumbnails alone, in parallel.

    Args:
      dataset: The images, each read once.
      name: For messages.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda i: thumbnail(dataset.read(i)), range(len(dataset)))
        rows = list(track(found, f"comparing {name} with the target", len(dataset)))
    return Pool(name, dataset.names, np.empty(0), np.stack(rows))


def refuse_target(
    pool: Pool,
    dataset: Dataset,
    indices: np.ndarray,
    field: str = "config.diversify.styles",
) -> None:
    """Refuses a folder that holds an image of the held-out target.

    A picture is found in any size or format, or squashed to a square; not where it is
    only a part of another.

    Args:
      pool: The images.
      dataset: The data set.
      indices: Of the target's images.
      field: That names the folder.

    Raises:
      ValueError: One of them is there; names both.
    """
    for i in indices:
        same = _same(pool.thumbnails, thumbnail(dataset.read(i)))
        if same.any():
            image = dataset.names[i] if dataset.names else f"image {i}"
            raise ValueError(
                f"{field} is {pool.name!r}, whose "
                f"{pool.names[int(same.argmax())]} is {image} of the held-out domain "
                f"{dataset.domains[dataset.domain[i]]}: training on it would leak the "
                "target; remove that domain's images from the folder"
            )


def _same(thumbnails: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Returns which of float32 [M, n] are of the same picture as `one`: bool [M]."""
    several = thumbnails - thumbnails.mean(1, keepdims=True)
    centred = one - one.mean()
    lengths = np.linalg.norm(several, axis=1) * np.linalg.norm(centred)
    alike = several @ centred >= _LEAST_CORRELATION * lengths
    # A blank one is like no picture but a blank one.
    are_blank, is_blank = several.std(1) < _LEAST_SPREAD, centred.std() < _LEAST_SPREAD
    alike = (are_blank & is_blank) | (alike & ~are_blank & ~is_blank)
    return alike & (np.abs(thumbnails - one).mean(1) < _MOST_DIFFERENCE)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Returns a picture's colours on a coarse grid: float32 [n] in [0, 255]."""
    small = Image.fromarray(image).resize(
        (_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.BILINEAR
    )
    return np.asarray(small, np.float32).ravel()
