"""What a training run measures of its model, at every evaluation."""

from collections.abc import Iterator

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.data import shared_classes
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.measures.shape_bias import shape_bias
from jigsaw_shape.training import predict
from jigsaw_shape.training.solved_puzzles import answered_permutations

Measure = tuple[str, float | list]


def evaluate_run(
    predict_fn: predict.PredictFn,
    store: ImageStore,
    splits: Splits,
    *,
    batch_size: int,
    permutations: np.ndarray | None = None,
    jigsaw: ConfigDict | None = None,
    cue_conflict: ImageStore | None = None,
) -> Iterator[Measure]:
    """Yields `(name, value)` of everything that a training run reports.

    `val/...` is the sources' held-out part, pooled and a domain at a time, with its
    cross-entropy as `loss`; `target/...`
    the held-out domain with its classes and confusion matrix, and, where it has classes
    that no source has, its `shared_accuracy` on the others; `puzzle/...` the jigsaw
    head on the validation images, ordered and shuffled *apart*, since a head that
    always answers "ordered" is right on most of a mixed stream; `placed_tiles` is the
    share of shuffled tiles that the answer puts back rightly. `cue_conflict/...` is the
    shape bias, where the data set has conflicting images. Of a model without a class
    head there is `puzzle/...` alone, with `target_accuracy`, the share of the target's
    images that are solved; where no image is held out for validation `target/...` and
    `cue_conflict/...` alone.

    Args:
      predict_fn: See `predict.make_predict_fn`.
      store: The data set's images.
      splits: Indices into it.
      batch_size: Images a call of `predict_fn`.
      permutations: int32 [K + 1, T]; None where the model has no jigsaw head.
      jigsaw: `config.jigsaw`, where it has one.
      cue_conflict: Images with `dataset.texture`.
    """
    dataset = store.dataset

    def answers(store, indices):
        # A model that is asked for shuffled images too compiles one program for both.
        ordered = np.zeros(len(indices), np.int32) if permutations is not None else None
        return predict.predict_all(
            predict_fn, store, indices, batch_size=batch_size, orders=ordered
        )

    def in_fixed_orders(indices):
        # Each image gets one fixed order, the same at every evaluation of every run.
        orders = np.random.default_rng(0).integers(
            1, len(permutations), len(indices), np.int32
        )
        return orders, predict.predict_all(
            predict_fn, store, indices, batch_size=batch_size, orders=orders
        )

    has_val = len(splits.val) > 0
    val = answers(store, splits.val) if has_val else {}
    classifies = "classification" in val or not has_val
    if has_val and classifies:
        logits = val["classification"]
        yield "val/loss", _cross_entropy(logits, dataset.label[splits.val])
        decisions = logits.argmax(-1)
        yield from _by_domain(dataset, splits.val, decisions)
    if permutations is not None and has_val:
        orders, shuffled = in_fixed_orders(splits.val)
        yield from _puzzle(val, shuffled, permutations, orders, jigsaw)
        if classifies:
            right = shuffled["classification"].argmax(-1) == dataset.label[splits.val]
            yield "puzzle/shuffled_class_accuracy", float(right.mean())
    if not classifies:  # what is left to select by
        if len(splits.target):
            orders, shuffled = in_fixed_orders(splits.target)
            answered = answered_permutations(shuffled, permutations, jigsaw)
            right = (answered == permutations[orders]).all(-1)
            yield "puzzle/target_accuracy", float(right.mean())
        return

    target = answers(store, splits.target)
    confusion = predict.confusion_matrix(
        dataset.label[splits.target],
        target["classification"].argmax(-1),
        len(dataset.classes),
    )
    yield "target/accuracy", predict.accuracy(confusion)
    taught = shared_classes.taught(dataset, splits)
    if not taught[dataset.label[splits.target]].all():
        shared = np.where(taught[:, None], confusion, 0)
        yield "target/shared_accuracy", predict.accuracy(shared)
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


def _cross_entropy(logits, label) -> float:
    own = logits[np.arange(len(label)), label]
    return float((np.logaddexp.reduce(logits, -1) - own).mean())


def _by_domain(dataset: Dataset, indices, decisions) -> Iterator[Measure]:
    right = decisions == dataset.label[indices]
    yield "val/accuracy", float(right.mean())
    for d in np.unique(dataset.domain[indices]):
        here = dataset.domain[indices] == d
        yield f"val/{dataset.domains[d]}/accuracy", float(right[here].mean())


def _puzzle(ordered, shuffled, permutations, orders, jigsaw) -> Iterator[Measure]:
    right = answered_permutations(ordered, permutations, jigsaw) == permutations[0]
    yield "puzzle/ordered_accuracy", float(right.all(-1).mean())
    answered = answered_permutations(shuffled, permutations, jigsaw)
    right = answered == permutations[orders]
    yield "puzzle/shuffled_accuracy", float(right.all(-1).mean())
    yield "puzzle/placed_tiles", float(right.mean())
