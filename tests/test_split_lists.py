"""Lists of images and splits: PACS's, DomainNet's, CSV and JSON Lines."""

import pytest

from jigsaw_shape.data import split_lists


def test_kfold_lists_of_any_system_are_read():
    official, notes = split_lists.read_splits(
        {
            "photo_train_kfold.txt": "photo/dog/a.jpg 1\nkfold/photo/dog/b c.jpg 1\n\n",
            "photo_crossval_kfold.txt": "photo\\dog\\c.jpg 1\r\nphoto/dog/a.jpg 1\r\n",
            "photo_test_kfold.txt": "photo/dog/d.jpg 1\n",
        }
    )
    assert official == {
        ("photo", "dog", "a.jpg"): "val",
        ("photo", "dog", "b c.jpg"): "train",
        ("photo", "dog", "c.jpg"): "val",
    }
    assert len(notes) == 1
    assert "1 image into both" in notes[0]


def test_domainnet_validates_on_its_test_lists():
    official, notes = split_lists.read_splits(
        {
            "clipart_train.txt": "clipart/alarm_clock/clipart_001_000001.jpg 0\n",
            "clipart_test.txt": "clipart/alarm_clock/clipart_001_000002.jpg 0\n",
        }
    )
    assert list(official.values()) == ["val", "train"]
    assert notes == []


def test_of_an_image_in_several_lists_validation_counts_then_training():
    official, notes = split_lists.read_splits(
        {
            "photo_train.txt": "photo/dog/a.jpg 0\nphoto/dog/b.jpg 0\n",
            "photo_val.txt": "photo/dog/a.jpg 0\n",
            "lists/photo_test.txt": "photo/dog/b.jpg 0\nphoto/dog/c.jpg 0\n",
        }
    )
    assert official == {
        ("photo", "dog", "a.jpg"): "val",
        ("photo", "dog", "b.jpg"): "train",
    }
    assert "1 image into both" in notes[0]


_CSV = "path,split\nphoto/dog/a.jpg,train\nphoto/dog/b.jpg,val\nphoto/dog/c.jpg,test\n"
_JSONL = """
{"file_name": "a.jpg", "label": "dog", "domain": "photo", "split": "train"}
{"file_name": "b.jpg", "label": "dog", "domain": "photo", "split": "Val"}

{"file_name": "c.jpg", "label": "dog", "domain": "photo", "split": "test"}
"""


@pytest.mark.parametrize(
    ("name", "text"), [("splits.csv", _CSV), ("splits.jsonl", _JSONL)]
)
def test_tables_say_a_split(name, text):
    official, _ = split_lists.read_splits({name: text})
    assert official == {
        ("photo", "dog", "a.jpg"): "train",
        ("photo", "dog", "b.jpg"): "val",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image_path\nx.png\n", r"a\.csv, line 2: no path"),
        ("a.csv", "path,split\nx.png,dev\n", "split is 'dev': train, val or test"),
        ("a.jsonl", '{"path": "x"}\n[1]\n', r"a\.jsonl, line 2: not a JSON object"),
    ],
)
def test_tables_that_are_refused(name, text, message):
    with pytest.raises(ValueError, match=message):
        split_lists.read_table(name, text)
