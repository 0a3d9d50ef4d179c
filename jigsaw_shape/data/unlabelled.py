"""Images without labels, by themselves or beside a data set's own."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.image_folders import find_images

DOMAIN = "unlabelled"  # of the images of folders
UNKNOWN = -1  # their label
_HEAD_BYTES = 2**16  # of a file, that its digest reads


def load(folders: Sequence[str], *, size_px: int, background: str) -> Dataset:
    """Returns the images of folders as a data set without classes.

    They have no label (-1) and one domain, `unlabelled`.

    Args:
      folders: Of images, at any depth.
      size_px: The side of the squares that they are resized to.
      background: What shows where one is transparent, as `decode` takes it.

    Raises:
      ValueError: There is no such folder, or no image in it.
      OSError: A file cannot be read.
    """
    found = (Path(f) / name for f in folders for name in find_images(f).images)
    paths = list(dict.fromkeys(found))  # folders may be within each other
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(str(path.stat().st_size).encode())
            digest.update(file.read(_HEAD_BYTES))
    return Dataset(
        name=DOMAIN,
        classes=(),
        domains=(DOMAIN,),
        label=np.full(len(paths), UNKNOWN, np.int32),
        domain=np.zeros(len(paths), np.int32),
        read=lambda i: decode(paths[i], background, size_px=size_px),
        names=tuple(str(path) for path in paths),
        version=digest.hexdigest()[:16],
    )


def with_images(dataset: Dataset, more: Dataset) -> Dataset:
    """Returns the data set with images without labels (`load`) after its own."""
    return _extended(
        dataclasses.replace(
            dataset,
            domains=(*dataset.domains, DOMAIN),
            version=f"{dataset.version} {more.version}",
        ),
        more.read,
        more.names,
        np.full(len(more), len(dataset.domains)),
    )


def with_hidden_labels(dataset: Dataset, indices: np.ndarray) -> Dataset:
    """Returns the data set with some of its images once more, without their labels.

    Args:
      dataset: All images.
      indices: int64 [n], such as the target's.
    """
    names = dataset.names or [f"image {i}" for i in range(len(dataset))]
    return _extended(
        dataset,
        lambda i: dataset.read(int(indices[i])),
        [names[i] for i in indices],
        dataset.domain[indices],
    )


def _extended(dataset: Dataset, read, names, domain) -> Dataset:
    """Returns the data set with images after its own that have no label."""
    n, more = len(dataset), len(names)

    def filled(array, value):
        return None if array is None else np.append(array, [value] * more)

    return dataclasses.replace(
        dataset,
        label=filled(dataset.label, UNKNOWN).astype(np.int32),
        domain=np.append(dataset.domain, domain).astype(np.int32),
        read=lambda i: dataset.read(i) if i < n else read(i - n),
        official=filled(dataset.official, ""),
        texture=filled(dataset.texture, -1),
        names=(*(dataset.names or [f"image {i}" for i in range(n)]), *names),
    )
