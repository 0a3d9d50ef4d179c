"""What a training run measures of its model, at every evaluation."""

from collections.abc import Iterator

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.measures.shape_bias import shape_bias
from jigsaw_shape.training import predict

Measure = tuple[str, float | list]


def evaluate_run(
    predict_fn: predict.PredictFn,
    store: ImageStore,
    splits: Splits,
    *,
    batch_size: int,
    n_orders: int,
    cue_conflict: ImageStore | None = None,
) -> Iterator[Measure]:
    """Yields `(name, value)` of everything that a training run reports.

    `val/...` is the sources' held-out part, pooled and a domain at a time; `target/...`
    the held-out domain with its classes and confusion matrix; `puzzle/...` the jigsaw
    head on the validation images, ordered and shuffled *apart*, since a head that
    always answers "ordered" is right on most of a mixed stream. `cue_conflict/...` is
    the shape bias, where the data set has conflicting images.

    Args:
      predict_fn: See `predict.make_predict_fn`.
      store: The data set's images.
      splits: Indices into it.
      batch_size: Images a call of `predict_fn`.
      n_orders: K + 1; 0 where the model has no jigsaw head.
      cue_conflict: Images with `dataset.texture`.
    """
    dataset = store.dataset

    def answers(store, indices):
        # A model that is asked for shuffled images too compiles one program for both.
        ordered = np.zeros(len(indices), np.int32) if n_orders else None
        return predict.predict_all(
            predict_fn, store, indices, batch_size=batch_size, orders=ordered
        )

    val = answers(store, splits.val)
    decisions = val["classification"].argmax(-1)
    yield from _by_domain(dataset, splits.val, decisions)
    if n_orders:
        yield from _puzzle(predict_fn, store, splits.val, val, batch_size, n_orders)

    target = answers(store, splits.target)
    confusion = predict.confusion_matrix(
        dataset.label[splits.target],
        target["classification"].argmax(-1),
        len(dataset.classes),
    )
    yield "target/accuracy", predict.accuracy(confusion)
    for name, value in zip(
        dataset.classes, predict.class_accuracies(confusion), strict=True
    ):
        yield f"target/class/{name}", value
    yield "target/confusion", confusion.tolist()

    if cue_conflict is not None:
        outputs = answers(cue_conflict, np.arange(len(cue_conflict.dataset)))
        measures = shape_bias(
            outputs["classification"].argmax(-1),
            cue_conflict.dataset.label,
            cue_conflict.dataset.texture,
        )
        for name, value in measures.items():
            yield f"cue_conflict/{name}", value


def _by_domain(dataset: Dataset, indices, decisions) -> Iterator[Measure]:
    right = decisions == dataset.label[indices]
    yield "val/accuracy", float(right.mean())
    for d in np.unique(dataset.domain[indices]):
        here = dataset.domain[indices] == d
        yield f"val/{dataset.domains[d]}/accuracy", float(right[here].mean())


def _puzzle(
    predict_fn, store, indices, ordered_outputs, batch_size, n_orders
) -> Iterator[Measure]:
    # Each image gets one fixed order, the same at every evaluation of every run.
    orders = np.random.default_rng(0).integers(1, n_orders, len(indices), np.int32)
    shuffled = predict.predict_all(
        predict_fn, store, indices, batch_size=batch_size, orders=orders
    )
    yield (
        "puzzle/ordered_accuracy",
        float((ordered_outputs["jigsaw"].argmax(-1) == 0).mean()),
    )
    yield (
        "puzzle/shuffled_accuracy",
        float((shuffled["jigsaw"].argmax(-1) == orders).mean()),
    )
    right = shuffled["classification"].argmax(-1) == store.dataset.label[indices]
    yield "puzzle/shuffled_class_accuracy", float(right.mean())
