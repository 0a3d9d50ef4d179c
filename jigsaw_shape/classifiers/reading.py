"""Images as users have them, files or arrays, in batches that a network takes."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jigsaw_shape.data.decoding import decode, fault

_BATCHES_AHEAD = 2  # read while one is computed
_SLACK = 1e-3  # by which floats may leave [0, 1], as those of some resizers do
_ALLOWED = "[H, W, 3], RGB: uint8, or floats in [0, 1] that are not normalized yet"

File = str | os.PathLike
Images = File | np.ndarray | Sequence[File | np.ndarray]  # one, or several


class Answers(NamedTuple):
    """Answers to N images, and what became of those without.

    Attributes:
      places: Of the N images that could be read, among those that were given.
      outputs: Arrays [N, ...] by name; empty where N is 0.
      failed: Place and reason of each image that could not be used.
    """

    places: list[int]
    outputs: dict[str, np.ndarray]
    failed: dict[int, str]


def several(images: Images) -> tuple[Sequence[File | np.ndarray], bool]:
    """Returns images one by one, and whether only one was given, and no batch."""
    if isinstance(images, str | os.PathLike):
        return [images], True
    if isinstance(images, Sequence):
        return images, False
    array = np.asarray(images)
    if array.dtype.kind in "UO":  # names
        return array.ravel().tolist(), array.ndim == 0
    if array.ndim == 4:
        return array, False
    return [array], True


def answer(
    compute: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    images: Sequence[File | np.ndarray],
    *,
    size_px: int,
    batch_size: int,
    background: str,
    on_image: Callable[[int], None] = lambda n_done: None,
) -> Answers:
    """Returns what a function says of images; one that cannot be read stops nothing.

    Args:
      compute: Maps uint8, or float32 in [0, 1], [b, size_px, size_px, 3] to arrays
        [b, ...] by name; b is `batch_size` or, for the last ones, less.
      images: Files, and arrays as `as_square` takes them.
      size_px: The side of the squares that they are squashed to.
      batch_size: How many are handed on at a time.
      background: What shows through where a file is transparent, a key of
        `decoding.BACKGROUNDS` or R,G,B.
      on_image: Called with how many images are done.
    """
    kept, parts, failed = [], [], {}
    for places, batch in _batches(images, size_px, batch_size, background, failed):
        parts.append(compute(batch))
        kept += places
        on_image(len(kept) + len(failed))
    names = parts[0] if parts else ()
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return Answers(kept, outputs, failed)


def as_square(image: Any, size_px: int) -> np.ndarray:
    """Returns an array squashed to a square, as `decode` squashes files.

    Args:
      image: [H, W, 3], RGB: uint8, or floats in [0, 1].
      size_px: The side.

    Returns:
      uint8, or float32, [size_px, size_px, 3].

    Raises:
      ValueError: It has another shape, type or range.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or not image.size:
        hint = ", channels last" if 3 in image.shape else ""
        raise ValueError(f"an array of shape {image.shape}: {_ALLOWED}{hint}")
    if image.dtype != np.uint8:
        if not np.issubdtype(image.dtype, np.floating):
            raise ValueError(f"an array of {image.dtype}: {_ALLOWED}")
        low, high = image.min(), image.max()
        if not (low >= -_SLACK and high <= 1 + _SLACK):  # nan is not
            raise ValueError(f"floats from {low:.4g} to {high:.4g}: {_ALLOWED}")
        image = image.astype(np.float32)
    if image.shape[:2] == (size_px, size_px):
        return image
    size, bilinear = (size_px, size_px), Image.Resampling.BILINEAR
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size, bilinear))
    channels = (Image.fromarray(image[:, :, c]) for c in range(3))
    return np.stack([np.asarray(c.resize(size, bilinear)) for c in channels], axis=-1)


def _batches(
    images, size_px: int, batch_size: int, background: str, failed: dict[int, str]
) -> Iterator[tuple[list[int], np.ndarray]]:
    """Yields places and batches; adds the images that cannot be read to `failed`."""

    def read(image):
        try:
            if isinstance(image, str | os.PathLike):
                return decode(image, background, size_px=size_px)
            return as_square(image, size_px)
        except Exception as error:  # Pillow raises nearly any kind
            return fault(error)

    places, pixels = [], []
    n_workers = min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(n_workers) as workers:
        begun, waiting = deque(), enumerate(images)
        while True:
            while len(begun) < _BATCHES_AHEAD * batch_size + n_workers:
                place, image = next(waiting, (-1, None))
                if place < 0:
                    break
                begun.append((place, workers.submit(read, image)))
            if not begun:
                break
            place, future = begun.popleft()
            found = future.result()
            if isinstance(found, str):
                failed[place] = found
                continue
            places.append(place)
            pixels.append(found)
            if len(places) == batch_size:
                yield places, _stack(pixels)
                places, pixels = [], []
    if places:
        yield places, _stack(pixels)


def _stack(pixels: list[np.ndarray]) -> np.ndarray:
    """Returns squares of one side as a batch: of floats if any of them is of floats."""
    if len({image.dtype for image in pixels}) > 1:
        pixels = [
            image / np.float32(255) if image.dtype == np.uint8 else image
            for image in pixels
        ]
    return np.stack(pixels)
