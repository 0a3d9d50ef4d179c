"""Folders of domains: what is read, what is left out, what is refused."""

import os

import numpy as np
import pytest
from PIL import Image

from jigsaw_shape.data import domain_folders


def _write(path, value=0, alpha=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((8, 8, 3 if alpha is None else 4), value, np.uint8)
    if alpha is not None:
        pixels[..., 3] = alpha
    Image.fromarray(pixels).save(path)


def test_domains_and_classes_are_folders_and_spellings_agree(tmp_path):
    _write(tmp_path / "Real World" / "Alarm_Clock" / "1.png", 10)
    _write(tmp_path / "clipart" / "alarm-clock" / "deeper" / "1.png", 20)
    _write(tmp_path / "clipart" / "bed" / "1.png", 30)
    stimuli, notes = domain_folders.read_folder(tmp_path)
    assert notes == []
    assert stimuli.experiment == domain_folders.EXPERIMENT
    assert stimuli.domain.tolist() == ["real_world", "clipart", "clipart"]
    assert stimuli.category.tolist() == ["alarm_clock", "alarm_clock", "bed"]
    assert stimuli.images[1] == "clipart/alarm-clock/deeper/1.png"
    assert [int(stimuli.read(i, 4).max()) for i in range(3)] == [10, 20, 30]
    part = stimuli.subset(np.array([2, 0]))
    assert part.domain.tolist() == ["clipart", "real_world"]


def test_copies_in_a_domain_count_once(tmp_path):
    for domain in ("photo", "sketch"):
        _write(tmp_path / domain / "cat" / "1.png", 10)
        _write(tmp_path / domain / "dog" / "1.png", 20)
    again = tmp_path / "photo" / "dog" / "again.png"
    again.write_bytes((tmp_path / "photo" / "cat" / "1.png").read_bytes())
    stimuli, (note,) = domain_folders.read_folder(tmp_path)
    assert stimuli.images == (
        *("photo/cat/1.png", "photo/dog/1.png"),
        *("sketch/cat/1.png", "sketch/dog/1.png"),
    )
    assert "1 of 5 files are copies" in note
    assert stimuli.category.tolist() == ["cat", "dog"] * 2


def test_what_is_no_image_stops_nothing(tmp_path):
    _write(tmp_path / "photo" / "cat" / "1.png", 10)
    (tmp_path / "photo" / "cat" / "2.png").write_bytes(b"nothing")
    stimuli, (note,) = domain_folders.read_folder(tmp_path)
    assert stimuli.images == ("photo/cat/1.png",)
    assert "1 of 2 files are left out, such as" in note
    assert "2.png is no readable image" in note
    (tmp_path / "photo" / "cat" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match="2 of 2 files are left out"):
        domain_folders.read_folder(tmp_path)


def test_images_of_too_many_pixels_are_left_out(tmp_path, monkeypatch):
    _write(tmp_path / "photo" / "cat" / "1.png", 10)
    monkeypatch.setenv("JIGSAW_SHAPE_MAX_MEGAPIXELS", "0.000063")  # of 8 x 8
    with pytest.raises(ValueError, match="it has 8 x 8 pixels, more than"):
        domain_folders.read_folder(tmp_path)


def test_what_is_transparent_is_shown_on_white(tmp_path):
    _write(tmp_path / "flat" / "cat" / "1.png", 0, alpha=0)
    _write(tmp_path / "flat" / "cat" / "2.png", 0, alpha=255)
    stimuli, _ = domain_folders.read_folder(tmp_path)
    assert (stimuli.read(0, 4) == 255).all()
    assert (stimuli.read(1, 4) == 0).all()


def test_folders_of_other_layouts_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no image, expected .*DOMAIN/CLASS"):
        domain_folders.read_folder(tmp_path)
    with pytest.raises(ValueError, match="absent is not a folder"):
        domain_folders.read_folder(tmp_path / "absent")
    _write(tmp_path / "photo" / "cat" / "1.png")
    _write(tmp_path / "cat" / "1.png")
    with pytest.raises(ValueError, match=r"cat/1\.png is in no class's folder"):
        domain_folders.read_folder(tmp_path)


@pytest.mark.parametrize("between", [("images",), ("train", "val")])
def test_folders_between_domain_and_class_are_no_classes(tmp_path, between):
    for domain in ("amazon", "dslr"):
        for n, split in enumerate(between):
            _write(tmp_path / domain / split / "mug" / f"{n}.png", 10 + n)
            _write(tmp_path / domain / split / "bike" / f"{n}.png", 20 + n)
    found, notes = domain_folders.read_folder(tmp_path)
    assert notes == []
    assert set(found.category) == {"bike", "mug"}
    assert set(found.domain) == {"amazon", "dslr"}


def test_names_that_are_not_utf_8_are_read(tmp_path):
    _write(tmp_path / "photo" / "cat" / os.fsdecode(b"caf\xe9.png"), 10)
    found, _ = domain_folders.read_folder(tmp_path)
    assert found.images == ("photo/cat/caf\\udce9.png",)
    assert found.read(0, 4).max() == 10
