"""A classifier's answers to many image files, decoded in threads while it computes."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from rich.console import Console

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data import image_folders
from jigsaw_shape.data.decoding import decode, fault
from jigsaw_shape.system import command_line

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
    on_image: Callable[[int], None] = lambda n_done: None,
) -> Answers:
    """Returns what a classifier says of images; one that cannot be read stops nothing.

    Args:
      classifier: Any.
      paths: Files.
      background: What shows through where an image is transparent, a key of
        `decoding.BACKGROUNDS` or R,G,B.
      heads: The outputs that are kept, such as `["features"]`.
      on_image: Called with how many files are done.
    """
    kept, parts, failed = [], [], {}
    for names, batch in _batches(classifier, paths, background, failed):
        outputs = classifier.predict(batch)
        parts.append({head: outputs[head] for head in heads})
        kept += names
        on_image(len(kept) + len(failed))
    joined = {head: np.concatenate([p[head] for p in parts]) for head in heads if parts}
    return Answers(kept, joined, failed)


def answer_with_bar(
    classifier: Classifier,
    found: image_folders.Found,
    background: str,
    *,
    heads: Sequence[str],
    console: Console,
) -> Answers:
    """Does what `answer_files` does with a bar; prints what became of the files.

    Args:
      classifier: Any.
      found: The images.
      background: See `answer_files`.
      heads: See `answer_files`.
      console: Where it is printed.
    """
    since, n = time.perf_counter(), len(found.images)
    bar = command_line.progress_bar("image", n, console=console, lines=True)
    with bar as update:
        update(0, "compiling")

        def on_image(n_done):
            update(n_done, f"{n_done / (time.perf_counter() - since):.1f} images/s")

        answers = answer_files(
            classifier, found.images, background, heads=heads, on_image=on_image
        )
    time_s = time.perf_counter() - since
    print_failed(answers, console)
    for note in (*found.notes(), *image_folders.unread_notes(found.others)):
        console.print(note)
    console.print(
        f"{len(answers.paths)} images done, {len(answers.failed)} files failed, "
        f"{time_s:.1f} s, {n / time_s:.1f} images/s"
    )
    return answers


def print_failed(answers: Answers, console: Console) -> None:
    """Prints the files that could not be used, a line each."""
    for path, reason in sorted(answers.failed.items()):
        console.print(f"failed: {command_line.printable(path)}: {reason}")


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
