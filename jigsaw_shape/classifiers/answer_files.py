"""A classifier's answers to many image files, decoded in threads while it computes."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.decoding import decode, fault

_BATCHES_AHEAD = 2  # decoded while one is computed


class Answers(NamedTuple):
    """Answers, and what became of files without.

    Attributes:
      paths: Of the N images that could be read, in the order they were named.
      outputs: `Classifier.predict`'s, float32 [N, ...] by head; empty where N is 0.
      failed: Path and reason of each file that could not be used.
    """

    paths: list[str]
    outputs: dict[str, np.ndarray]
    failed: dict[str, str]


def answer_files(
    classifier: Classifier,
    paths: Sequence[str],
    background: str,
    *,
    heads: Sequence[str],
    on_image: Callable[[int, int], None] = lambda n_done, n_total: None,
) -> Answers:
    """Returns what a classifier says of images; one that cannot be read stops nothing.

    Args:
      classifier: Any.
      paths: Files.
      background: What shows through where an image is transparent, a key of
        `decoding.BACKGROUNDS` or R,G,B.
      heads: The outputs that are kept, such as `["features"]`.
      on_image: Called with how many files are through, and how many there are; once
        before the first.
    """
    kept, parts, failed = [], [], {}
    on_image(0, len(paths))
    for names, batch in _batches(classifier, paths, background, failed):
        outputs = classifier.predict(batch)
        parts.append({head: outputs[head] for head in heads})
        kept += names
        on_image(len(kept) + len(failed), len(paths))
    on_image(len(paths), len(paths))
    joined = {head: np.concatenate([p[head] for p in parts]) for head in heads if parts}
    return Answers(kept, joined, failed)


def _batches(
    classifier: Classifier, paths, background: str, failed: dict[str, str]
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yields names and batches; adds the files that cannot be read to `failed`."""
    size = classifier.batch_size

    def read(path):
        try:
            return decode(path, background, size_px=classifier.input_px)
        except Exception as error:  # Pillow raises nearly any kind
            return fault(error)

    names, pixels = [], []
    n_workers = min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(n_workers) as workers:
        begun, waiting = deque(), iter(paths)
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
        yield names, np.stack(pixels)
