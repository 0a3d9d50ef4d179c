"""Classes that no source has: which, how many images, and how they are told."""

import numpy as np

from jigsaw_shape.data import shared_classes
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import split


def _dataset(n_classes, target_labels):
    source = np.repeat(np.arange(2), 10)  # the first two classes alone
    return Dataset(
        name="own",
        classes=tuple(f"class{k}" for k in range(n_classes)),
        domains=("photo", "sketch"),
        label=np.concatenate([source, target_labels]).astype(np.int32),
        domain=np.repeat([0, 1], [20, len(target_labels)]).astype(np.int32),
        read=lambda i: np.zeros((4, 4, 3), np.uint8),
    )


def _shared_target(dataset, splits):
    taught = shared_classes.taught(dataset, splits)
    return splits.target[taught[dataset.label[splits.target]]]


def test_a_class_of_the_target_alone_is_named_with_its_images():
    dataset = _dataset(3, [0, 2, 1, 2, 2])
    splits = split(dataset, target="sketch")
    assert shared_classes.taught(dataset, splits).tolist() == [True, True, False]
    assert _shared_target(dataset, splits).tolist() == [20, 22]
    note = shared_classes.untaught_note(dataset, splits)
    assert note == "no source has class2: 3 target images cannot be right"


def test_many_classes_are_counted_and_three_named():
    dataset = _dataset(500, np.arange(500))
    splits = split(dataset, target="sketch")
    assert shared_classes.untaught_note(dataset, splits) == (
        "no source has 498 classes, such as class2, class3, class4: 498 target images "
        "cannot be right"
    )


def test_nothing_is_said_where_all_classes_are_taught():
    dataset = _dataset(3, [0, 1])  # the third has no image anywhere
    splits = split(dataset, target="sketch")
    assert shared_classes.untaught_note(dataset, splits) == ""
    np.testing.assert_array_equal(_shared_target(dataset, splits), splits.target)
