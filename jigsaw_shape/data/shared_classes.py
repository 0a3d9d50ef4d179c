"""Which classes the sources teach, and what that means for the held-out target."""

from collections.abc import Sequence

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import Splits


def taught(dataset: Dataset, splits: Splits) -> np.ndarray:
    """Returns of which classes there is an image to train on: bool [C]."""
    return np.bincount(dataset.label[splits.train], minlength=len(dataset.classes)) > 0


def untaught_note(dataset: Dataset, splits: Splits) -> str:
    """Returns, for the user, which classes only the target has; `""` if there are none.

    `"no source has fish: 8 target images cannot be right"`.
    """
    labels = dataset.label[splits.target]
    if not len(labels):
        return ""
    lost = labels[~taught(dataset, splits)[labels]]
    if not len(lost):
        return ""
    names = [dataset.classes[label] for label in np.unique(lost)]
    return (
        f"no source has {some(names)}: {len(lost)} target "
        f"{'image' if len(lost) == 1 else 'images'} cannot be right"
    )


def some(names: Sequence[str], most: int = 3) -> str:
    """Returns a few names, and how many there are where that is not all."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{len(names)} classes, such as {', '.join(names[:most])}"
