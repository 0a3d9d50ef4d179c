"""What every network that answers images looks like, whatever it is made of."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.models.network import Network


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A network that answers images, whatever it is made of.

    Attributes:
      name: For rows and figures.
      classes: Its label space, in the order of its scores; empty where it gives
        features alone.
      size_px: The side of the squares that the network sees.
      input_px: The side at which to read image files for it. Where it is not `size_px`
        they are resized inside, as in training's evaluation.
      batch_size: How many images are computed at a time.
      predict: `predict(images, orders=None)` maps one or more images, uint8 or float32
        in [0, 1], [b, H, W, 3], JAX or NumPy, to host arrays: `classification`, float32
        [b, n], whose largest entry is the answer, `jigsaw`, float32 [b, K + 1], and
        `features`, float32 [b, F], as far as it has them.
        Images of another side than `size_px` are resized as in training's evaluation
        (`augment.resize`). With `orders`, int32 [b], each image is cut into `grid` x
        `grid` tiles and shuffled by that row of `permutations`. Any number of devices;
        each image counts once.
      permutations: int32 [K + 1, T], row 0 the identity; None without a jigsaw head.
      grid: Tiles a side of the puzzle; 0 without a jigsaw head.
      has_features: Whether `predict` returns its pooled features too.
      background: What shows through transparent images, as in its training.
      about: Flat facts for rows: weights, encoder, checkpoint, digests, ...
      digest: Tells its weights from others'.
      network: The weights themselves; None of programs, such as an ONNX file.
      config: Of a training run; None of all others.
    """

    name: str
    classes: tuple[str, ...]
    size_px: int
    batch_size: int
    predict: Callable[..., dict[str, np.ndarray]]
    input_px: int = 0
    permutations: np.ndarray | None = None
    grid: int = 0
    has_features: bool = False
    background: str = "white"
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    digest: str = ""
    network: Network | None = None
    config: ConfigDict | None = None

    def __post_init__(self):
        object.__setattr__(self, "input_px", self.input_px or self.size_px)


def in_batches(compute: Callable[..., Mapping[str, Any]], batch_size: int) -> Callable:
    """Returns `Classifier.predict` of a function that takes `batch_size` images.

    A short batch is padded with copies of its first image, whose outputs are cut off.

    Args:
      compute: `compute(images)`, or `compute(images, orders)`, returns arrays
        [batch_size, ...] by head.
      batch_size: The one shape that is compiled.
    """

    def predict(images, orders=None):
        given = (images,) if orders is None else (images, np.asarray(orders, np.int32))
        parts = []
        for start in range(0, len(images), batch_size):
            n = min(batch_size, len(images) - start)
            batch = given
            if len(images) != batch_size:
                rows = start + np.arange(batch_size) * (np.arange(batch_size) < n)
                batch = tuple(array[rows] for array in given)
            outputs = compute(*batch)
            parts.append({head: np.asarray(a)[:n] for head, a in outputs.items()})
        return {
            head: np.concatenate([part[head] for part in parts]) for head in parts[0]
        }

    return predict
