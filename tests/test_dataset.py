"""A data set with fixed classes: which images it keeps, and their labels."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from jigsaw_shape.data import sources
from jigsaw_shape.data.dataset import Dataset, with_classes


@pytest.fixture
def dataset():
    return Dataset(
        name="own",
        classes=("alarm_clock", "bed", "cup"),
        domains=("photo", "sketch"),
        label=np.array([0, 1, 2, 0, 1, 2], np.int32),
        domain=np.array([0, 0, 0, 1, 1, 1], np.int32),
        read=lambda i: np.full((2, 2, 3), i, np.uint8),
        official=np.array(["train", "val", "", "train", "val", ""]),
        texture=np.array([-1, 0, 2, -1, 2, 0], np.int32),
        names=tuple("abcdef"),
    )


def test_classes_are_kept_in_the_order_that_is_named(dataset):
    found = with_classes(dataset, ("cup", "Alarm Clock"))
    assert found.classes == ("cup", "alarm_clock")
    assert found.names == ("a", "c", "d", "f")
    assert found.label.tolist() == [1, 0, 1, 0]
    assert found.texture.tolist() == [-1, 0, -1, 1]
    assert found.domain.tolist() == [0, 0, 1, 1]
    assert found.official.tolist() == ["train", "", "train", ""]
    assert [int(found.read(i)[0, 0, 0]) for i in range(4)] == [0, 2, 3, 5]
    assert found.digest() != dataset.digest()
    assert with_classes(dataset, ()) is dataset


def test_an_absent_class_keeps_its_label_and_is_said(dataset, caplog):
    found = with_classes(dataset, ("bed", "fish", "cup"))
    assert found.classes == ("bed", "fish", "cup")
    assert set(found.label.tolist()) == {0, 2}
    assert "own has no images of fish" in caplog.text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("fish", "boat"), "own has none of them, but alarm_clock, bed, cup"),
        (("bed", "Bed"), "names a class twice"),
    ],
)
def test_classes_that_are_refused(dataset, names, message):
    with pytest.raises(ValueError, match=message):
        with_classes(dataset, names)


def test_a_list_of_classes_may_be_a_file(tmp_path):
    (tmp_path / "classes.txt").write_text("alarm clock\r\n\nbed\n")
    data = ConfigDict({"classes": str(tmp_path / "classes.txt")})
    assert sources.class_names(data) == ("alarm clock", "bed")
    data.classes = "bed, cup,"
    assert sources.class_names(data) == ("bed", "cup")
    data.classes = str(tmp_path / "gone.txt")
    with pytest.raises(ValueError, match=r"config\.data\.classes is .*gone\.txt"):
        sources.class_names(data)
    assert sources.class_names(ConfigDict({})) == ()  # of a run without the field
