"""Every image through a model once, and what is counted of it.

Evaluators know a model as a `predict_fn`, which maps this process's part of a batch to
the outputs of all of its images as host arrays. How images are padded to a compiled
size and divided between processes is `predict_all`'s business.
"""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.system import devices

# (bank or None, {"index" or "image": [b, ...], perhaps "order": [b]})
# -> {head: [B, n]}, b a process's part of B
PredictFn = Callable[
    [jax.Array | None, Mapping[str, np.ndarray]], dict[str, np.ndarray]
]


def make_predict_fn(
    predict: Callable[..., Mapping[str, jax.Array]], variables: Mapping
) -> PredictFn:
    """Returns `predict_fn(bank, batch)`.

    Args:
      predict: `training.step.make_predict`'s.
      variables: The model's, on every device.
    """

    def predict_fn(bank, batch):
        outputs = predict(variables, bank, devices.shard(batch))
        return {name: np.asarray(array) for name, array in outputs.items()}

    return predict_fn


def predict_all(
    predict_fn: PredictFn,
    store: ImageStore,
    indices: np.ndarray,
    *,
    batch_size: int,
    orders: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Returns the outputs for `indices`, in their order: float32 [n, ...] a head.

    A short batch is padded with copies of its first image, and the padding's outputs
    are cut off, so that every image counts once and one shape is compiled.

    Args:
      predict_fn: See `make_predict_fn`.
      store: Where the images are.
      indices: int64 [n], n at least 1.
      batch_size: Images a call, of all processes; a multiple of the devices.
      orders: int32 [n], how each image is shuffled; None for not at all.
    """
    n = len(indices)
    rows = np.arange(-(-n // batch_size) * batch_size).reshape(-1, batch_size)
    rows = np.where(rows < n, rows, rows[:, :1])
    mine = [devices.own_part(chunk) for chunk in rows]
    parts = []
    batches = store.batches([indices[chunk] for chunk in mine])
    for chunk, batch in zip(mine, batches, strict=True):
        if orders is not None:
            batch["order"] = orders[chunk]
        parts.append(predict_fn(store.bank, batch))
    return {
        name: np.concatenate([part[name] for part in parts])[:n] for name in parts[0]
    }


def confusion_matrix(
    labels: np.ndarray, predictions: np.ndarray, n_classes: int
) -> np.ndarray:
    """Returns counts int64 [n_classes, n_classes]: rows are labels, columns answers."""
    cells = labels.astype(np.int64) * n_classes + predictions
    counts = np.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def accuracy(confusion: np.ndarray) -> float:
    """Returns the share of right answers in a confusion matrix; nan if it is empty."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else float("nan")


def class_accuracies(confusion: np.ndarray) -> list[float]:
    """Returns the share of right answers for each label; nan where it has none."""
    totals = confusion.sum(1)
    hits = np.diagonal(confusion)
    return [
        float(h / t) if t else float("nan") for h, t in zip(hits, totals, strict=True)
    ]
