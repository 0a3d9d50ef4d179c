"""A page of images by likeness: search by clicking one, a map, near-duplicates."""

import base64
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jigsaw_shape.reports import page, thumbnails
from jigsaw_shape.reports.thumbnails import Thumbnails

MOST = 3000  # images of a page; with features of 1,280 numbers these are 10 MB


class Shown(NamedTuple):
    """What the page shows of N images.

    Attributes:
      names: Their paths, as text.
      vectors: float32 [N, F], their features.
      places: float32 [N, 2] in [0, 1], where they lie on the map.
      groups: Near-duplicates, as indices.
      thumbnails: Their pictures.
    """

    names: Sequence[str]
    vectors: np.ndarray
    places: np.ndarray
    groups: Sequence[Sequence[int]]
    thumbnails: Thumbnails


def chosen(n_images: int) -> np.ndarray:
    """Returns which of the images are shown: all, or `MOST` at even distances."""
    if n_images <= MOST:
        return np.arange(n_images)
    return np.arange(MOST) * n_images // MOST


def quantize(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors as int8 [N, F], each scaled so that its largest entry is 127.

    Scaling keeps a vector's direction, by which the page compares.
    """
    largest = np.abs(vectors).max(1, keepdims=True)
    return np.rint(vectors * (127 / np.where(largest > 0, largest, 1))).astype(np.int8)


def make(
    shown: Shown, *, lead: str, of_map: str, of_groups: str, notes: Sequence[str]
) -> str:
    """Returns the page, one HTML file that fetches nothing.

    Args:
      shown: What is on it.
      lead: What it shows, in a sentence or two.
      of_map: How the map was made.
      of_groups: When two images are near-duplicates.
      notes: What a reader should know, such as what was left out.
    """
    folder = _common_folder(shown.names)
    vectors = quantize(shown.vectors)
    data = {
        "names": [name[len(folder) :] for name in shown.names],
        "folder": folder,
        "vectors": base64.b64encode(vectors.tobytes()).decode(),
        "places": np.round(shown.places, 4).tolist(),
        "groups": [list(map(int, group)) for group in shown.groups],
        "sheets": shown.thumbnails.sheets,
        "cell": thumbnails.CELL_PX,
        "columns": thumbnails.COLUMNS,
    }
    return page.make(
        "search.html",
        title="Images by likeness",
        lead=lead,
        of_map=of_map,
        of_groups=of_groups,
        notes=notes,
        data=data,
    )


def _common_folder(names: Sequence[str]) -> str:
    """Returns the folder that all names begin with, with its last separator."""
    folders = {os.path.dirname(name) for name in names}
    if len({os.path.isabs(folder) for folder in folders}) > 1:
        return ""
    common = os.path.commonpath(folders)
    return os.path.join(common, "") if common else ""
