"""The classes that a network names for images, in files: CSV or Parquet.

A row an image: `path`, the best `class` and its `score`, then `class_2`, `score_2` and
so on. Scores are shares of 1 over all classes.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
from pyarrow import parquet

from jigsaw_shape.measures import imagenet16
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.command_line import printable

SUFFIXES = (".csv", ".parquet")


class Ranked(NamedTuple):
    """The best classes of N images.

    Attributes:
      classes: str [N, top], the best first.
      scores: float64 [N, top], in [0, 1].
    """

    classes: np.ndarray
    scores: np.ndarray


def rank(scores: np.ndarray, classes: Sequence[str], top: int) -> Ranked:
    """Returns the best classes of each image, of equal ones the first first.

    Args:
      scores: float [N, n], logits or probabilities.
      classes: Names of the n.
      top: How many; all where there are fewer.
    """
    shares = np.exp(imagenet16.log_probabilities(scores))
    shares /= shares.sum(1, keepdims=True)
    order = np.argsort(-shares, axis=1, kind="stable")[:, :top]
    return Ranked(np.asarray(classes)[order], np.take_along_axis(shares, order, 1))


def write(path: Path, paths: Sequence[str], ranked: Ranked) -> None:
    """Writes predictions, whole or not at all.

    Args:
      path: The file, whose suffix names the format; replaced if it exists.
      paths: N of them.
      ranked: Their classes.
    """
    columns = {"path": [printable(name) for name in paths]}
    for n in range(ranked.classes.shape[1]):
        place = f"_{n + 1}" if n else ""
        columns[f"class{place}"] = ranked.classes[:, n].tolist()
        columns[f"score{place}"] = ranked.scores[:, n].tolist()
    with whole_files.replacing(path) as partial:
        if path.suffix == ".parquet":
            parquet.write_table(pyarrow.table(columns), partial)
            return
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for values in zip(*columns.values(), strict=True):
                writer.writerow(
                    f"{v:.6f}" if isinstance(v, float) else v for v in values
                )
