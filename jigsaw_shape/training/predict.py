"""Every image through a model once, and what is counted of it.

Evaluators know a model as a `predict_fn`, which maps a batch of host arrays [b, ...] to
the outputs of its b images as host arrays. How images are padded to a compiled size,
divided between devices and gathered again is `make_predict_fn`'s business.
"""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from jigsaw_shape.data.image_store import ImageStore

# (bank or None, {"index" or "image": ..., perhaps "order": ...}) -> {head: [b, n]}
PredictFn = Callable[
    [jax.Array | None, Mapping[str, np.ndarray]], dict[str, np.ndarray]
]


def make_predict_fn(
    predict: Callable[..., Mapping[str, jax.Array]],
    shard: Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]],
    variables: Mapping,
    batch_size: int,
) -> PredictFn:
    """Returns `predict_fn(bank, batch)` for batches of 1 to `batch_size` images.

    A short batch is padded with copies of its first image, and the padding's outputs
    are cut off, so that every image counts once and one shape is compiled.

    Args:
      predict: `training.step.make_predict`'s.
      shard: `devices.shard`.
      variables: The model's.
      batch_size: A multiple of the number of devices.
    """

    def predict_fn(bank, batch):
        n = len(next(iter(batch.values())))
        padded = batch
        if n < batch_size:
            rows = np.concatenate([np.arange(n), np.zeros(batch_size - n, np.int64)])
            padded = {name: array[rows] for name, array in batch.items()}
        outputs = predict(variables, bank, shard(padded))
        return {name: np.asarray(array)[:n] for name, array in outputs.items()}

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

    Args:
      predict_fn: See `make_predict_fn`.
      store: Where the images are.
      indices: int64 [n], n at least 1.
      batch_size: Images a call.
      orders: int32 [n], how each image is shuffled; None for not at all.
    """
    starts = range(0, len(indices), batch_size)
    chunks = [indices[start : start + batch_size] for start in starts]
    parts = []
    for start, batch in zip(starts, store.batches(chunks), strict=True):
        if orders is not None:
            batch["order"] = orders[start : start + batch_size]
        parts.append(predict_fn(store.bank, batch))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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
