"""A classifier's answers to many image files, decoded in threads while it computes."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Console

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data import image_folders
from jigsaw_shape.system import command_line
from jigsaw_shape.system.command_line import counted


class Answers(NamedTuple):
    """Answers, and what became of files without.

    Attributes:
      paths: Of the N images that could be read, in the order they were named.
      outputs: Of one head, float32 [N, ...]; [0, 0] where N is 0.
      failed: Path and reason of each file that could not be used.
    """

    paths: list[str]
    outputs: np.ndarray
    failed: dict[str, str]


def answer_files(
    classifier: Classifier,
    paths: Sequence[str],
    background: str,
    *,
    head: str,
    on_image: Callable[[int], None] = lambda n_done: None,
) -> Answers:
    """Returns what a classifier says of files; one that cannot be read stops nothing.

    Args:
      classifier: Any.
      paths: Files.
      background: What shows through where an image is transparent, a key of
        `decoding.BACKGROUNDS` or R,G,B.
      head: The output that is kept, such as `features`.
      on_image: Called with how many files are done.
    """
    found = classifier.answer(
        paths, classifier.only(head), background=background, on_image=on_image
    )
    failed = {paths[place]: reason for place, reason in found.failed.items()}
    kept = [paths[place] for place in found.places]
    return Answers(kept, found.outputs.get(head, np.zeros((0, 0), np.float32)), failed)


def answer_with_bar(
    classifier: Classifier,
    found: image_folders.Found,
    background: str,
    *,
    head: str,
    console: Console,
) -> Answers:
    """Does what `answer_files` does with a bar; prints what became of the files.

    Args:
      classifier: Any.
      found: The images.
      background: See `answer_files`.
      head: See `answer_files`.
      console: Where it is printed.
    """
    since, n = time.perf_counter(), len(found.images)
    bar = command_line.progress_bar("image", n, console=console, lines=True)
    with bar as update:
        update(0, "compiling")

        def on_image(n_done):
            update(n_done, f"{n_done / (time.perf_counter() - since):.1f} images/s")

        answers = answer_files(
            classifier, found.images, background, head=head, on_image=on_image
        )
    time_s = time.perf_counter() - since
    print_failed(answers, console)
    for note in found.notes():
        console.print(note)
    console.print(
        f"{counted(len(answers.paths), 'image')} done, "
        f"{counted(len(answers.failed), 'file')} failed, "
        f"{time_s:.1f} s, {n / time_s:.1f} images/s"
    )
    return answers


def print_failed(answers: Answers, console: Console) -> None:
    """Prints the files that could not be used, a line each."""
    for path, reason in sorted(answers.failed.items()):
        console.print(f"failed: {command_line.printable(path)}: {reason}")
