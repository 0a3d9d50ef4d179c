"""A store of a few images, for tests."""

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore


def store_of(images: np.ndarray) -> ImageStore:
    """Returns a store of images uint8 [N, S, S, 3], of one class and domain."""
    n, size_px = images.shape[:2]
    dataset = Dataset(
        name="made-up",
        classes=("a",),
        domains=("x",),
        label=np.zeros(n, np.int32),
        domain=np.zeros(n, np.int32),
        read=images.__getitem__,
    )
    return ImageStore(dataset, cache="none", stored_px=size_px)
