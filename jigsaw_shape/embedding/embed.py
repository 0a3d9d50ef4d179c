"""Features of many images: decoded in threads while the model computes."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jigsaw_shape.embedding import image_files
from jigsaw_shape.embedding.encoders import Encoder
from jigsaw_shape.stylizing.images import fault

_BATCHES_AHEAD = 2  # decoded while one is computed


class Embedded(NamedTuple):
    """Features, and what became of files without.

    Attributes:
      paths: Of the images that could be read, in the order they were named.
      vectors: float32 [N, F].
      failed: Path and reason of each file that could not be used.
    """

    paths: list[str]
    vectors: np.ndarray
    failed: dict[str, str]


def embed(
    encoder: Encoder,
    paths: Sequence[str],
    *,
    background: str = "white",
    on_image: Callable[[int, int], None] = lambda n_done, n_total: None,
) -> Embedded:
    """Returns the features of images; one that cannot be read stops nothing.

    Args:
      encoder: See `encoders.open_encoder`.
      paths: Files.
      background: A key of `images.BACKGROUNDS`.
      on_image: Called with how many files are through, and how many there are; once
        before the first.
    """
    kept, parts, failed, running = [], [], {}, None
    on_image(0, len(paths))
    for names, batch in _batches(encoder, paths, background, failed):
        # The next batch is begun before the last one's features are waited for.
        started = names, encoder.embed(batch)
        if running is not None:
            _collect(running, kept, parts)
            on_image(len(kept) + len(failed), len(paths))
        running = started
    if running is not None:
        _collect(running, kept, parts)
    on_image(len(paths), len(paths))
    vectors = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
    return Embedded(kept, vectors, failed)


def _collect(running, kept: list[str], parts: list[np.ndarray]) -> None:
    names, features = running
    parts.append(np.asarray(features, np.float32)[: len(names)])
    kept += names


def _batches(
    encoder: Encoder, paths: Sequence[str], background: str, failed: dict[str, str]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields names and batches, the last one padded with copies of its first image."""
    size = encoder.batch_size

    def read(path):
        try:
            return image_files.read(path, encoder.input_px, background)
        except Exception as error:  # Pillow raises nearly any kind
            return _reason(path, error)

    names, pixels = [], []
    n_workers = min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(n_workers) as workers:
        begun = deque()
        waiting = iter(paths)
        while True:
            while len(begun) < _BATCHES_AHEAD * size + n_workers:
                path = next(waiting, None)
                if path is None:
                    break
                begun.append((path, workers.submit(read, path)))
            if not begun:
                break
            path, future = begun.popleft()
            found = future.result()
            if isinstance(found, str):
                failed[path] = found
                continue
            names.append(path)
            pixels.append(found)
            if len(names) == size:
                yield names, np.stack(pixels)
                names, pixels = [], []
    if names:
        padding = [pixels[0]] * (size - len(names))
        yield names, np.stack(pixels + padding)


def _reason(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "a link to nothing"
    return fault(Path(path), error)
