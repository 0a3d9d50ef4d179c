"""Folders of stimuli: names, manifests, refusals."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from jigsaw_shape.data import stimuli as stimuli_lib
from jigsaw_shape.data.dataset import Dataset


def _write(path, value=0, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(path)


def test_published_folders_are_read(shared_data):
    stimuli = stimuli_lib.read_folder(shared_data("cue-conflict-320"))
    assert stimuli.experiment == "cue_conflict"
    assert len(stimuli.images) == 320
    assert stimuli.side_px == 224
    assert len(stimuli.categories) == 16
    assert all((stimuli.category == s).sum() == 20 for s in stimuli.categories)
    agree = stimuli.category == stimuli.texture
    assert 0 < agree.sum() < 40
    edges = stimuli_lib.read_folder(shared_data("edges"))
    assert (edges.experiment, len(edges.images)) == ("edges", 160)
    assert edges.texture is None


@pytest.mark.parametrize(
    ("name", "cues"),
    [
        ("cat1-dog12.png", ("cat", "dog")),
        ("0001_s5n_dnn_0_cat_00_cat1-dog12.png", ("cat", "dog")),
        ("a/b/oven10-oven1.jpg", ("oven", "oven")),
    ],
)
def test_a_name_says_shape_and_texture(name, cues):
    assert stimuli_lib.cues_of(pathlib.PurePath(name)) == cues


@pytest.mark.parametrize("name", ["cat1.png", "1-2.png", "a-b-c.png", "cat1-.png"])
def test_a_name_that_does_not_parse_is_refused(tmp_path, name):
    _write(tmp_path / "cue-conflict" / "cat" / name)
    with pytest.raises(ValueError, match="SHAPEi-TEXTUREj") as caught:
        stimuli_lib.read_folder(tmp_path / "cue-conflict")
    assert name in str(caught.value)


def test_a_manifest_wins_over_names(tmp_path):
    _write(tmp_path / "x" / "alarm-clock" / "alarm-clock1-t-shirt2.png")
    row = {
        "output": "alarm-clock/alarm-clock1-t-shirt2.png",
        "shape": "alarm-clock",
        "texture": "t-shirt",
    }
    (tmp_path / "x" / stimuli_lib.MANIFEST).write_text(json.dumps(row) + "\n")
    (tmp_path / "x" / stimuli_lib.SUMMARY).write_text('{"made_by": "hand"}')
    stimuli = stimuli_lib.read_folder(tmp_path / "x")
    assert stimuli.experiment == "cue_conflict"
    assert stimuli.category.tolist() == ["alarm-clock"]
    assert stimuli.texture.tolist() == ["t-shirt"]
    assert stimuli.made_by == "hand"
    (tmp_path / "x" / stimuli_lib.MANIFEST).write_text("{}\n")
    with pytest.raises(ValueError, match=r"manifest\.jsonl, line 1"):
        stimuli_lib.read_folder(tmp_path / "x")


def test_images_are_squares_with_labels(tmp_path):
    _write(tmp_path / "mine" / "cat" / "a.png", 10, (9, 5))
    _write(tmp_path / "mine" / "dog" / "a.png", 20)
    stimuli = stimuli_lib.read_folder(tmp_path / "mine")
    assert stimuli.images == ("cat/a.png", "dog/a.png")
    assert stimuli.side_px == 0
    dataset = stimuli.dataset(6)
    assert dataset.read(0).shape == (6, 6, 3)
    assert (dataset.read(1) == 20).all()
    assert dataset.label.tolist() == [0, 1]


def test_images_of_a_data_set_are_stimuli_too():
    dataset = Dataset(
        name="made-up",
        classes=("cat", "dog"),
        domains=("x",),
        label=np.array([0, 1, 1], np.int32),
        domain=np.zeros(3, np.int32),
        read=lambda i: np.full((4, 4, 3), i, np.uint8),
        texture=np.array([1, 0, 0], np.int32),
    )
    chosen = np.array([2, 0])
    plain = stimuli_lib.of_dataset(dataset, chosen, name="made-up/x", side_px=4)
    assert (plain.experiment, plain.texture) == ("images", None)
    stimuli = stimuli_lib.of_dataset(
        dataset, chosen, name="made-up/x", side_px=4, conflict=True
    )
    assert stimuli.experiment == "cue_conflict"
    assert stimuli.images == ("2", "0")
    assert stimuli.category.tolist() == ["dog", "cat"]
    assert stimuli.texture.tolist() == ["cat", "dog"]
    assert (stimuli.dataset(4).read(0) == 2).all()


def test_the_digest_follows_the_contents(tmp_path):
    digests = set()
    for value in (1, 2, 1):
        _write(tmp_path / "mine" / "cat" / "a.png", value)
        digests.add(stimuli_lib.read_folder(tmp_path / "mine").digest)
    assert len(digests) == 2


def test_folders_that_hold_no_stimuli_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        stimuli_lib.read_folder(tmp_path / "absent")
    (tmp_path / "edges").mkdir()
    with pytest.raises(ValueError, match="holds no image"):
        stimuli_lib.read_folder(tmp_path / "edges")
    (tmp_path / "edges" / "cat").mkdir()
    (tmp_path / "edges" / "cat" / "cat1.png").write_bytes(b"not a picture")
    with pytest.raises(OSError, match=r"cat1\.png is no readable image"):
        stimuli_lib.read_folder(tmp_path / "edges")
    (tmp_path / "edges" / "cat" / "cat1.png").unlink()
    _write(tmp_path / "edges" / "cat1.png")
    with pytest.raises(ValueError, match="in no category's folder"):
        stimuli_lib.read_folder(tmp_path / "edges")


def test_two_images_of_one_name_are_refused(tmp_path):
    for folder in ("cat", "dog"):
        _write(tmp_path / "cue-conflict" / folder / "cat1-dog2.png")
    with pytest.raises(ValueError, match=r"two images called cat1-dog2\.png"):
        stimuli_lib.read_folder(tmp_path / "cue-conflict")
