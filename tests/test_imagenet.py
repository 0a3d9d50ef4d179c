"""ImageNet through TFDS: domains, splits, labels, what is refused."""

import shutil

import numpy as np
import pytest
import small_imagenet

from jigsaw_shape.data import imagenet
from jigsaw_shape.data.splits import split


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    small_imagenet.prepare(path)
    return path


def _load(data_dir, domains=("sketch", "photo"), stored_px=16):
    return imagenet.load(domains, data_dir=data_dir, stored_px=stored_px)


def test_photographs_are_split_as_published_and_sketches_held_out(data_dir):
    dataset = _load(data_dir)
    assert dataset.domains == ("photo", "sketch")
    assert dataset.classes == small_imagenet.CLASSES
    assert len(dataset) == 36
    splits = split(dataset, target="sketch", method="official")
    assert [len(part) for part in (splits.train, splits.val, splits.target)] == [12] * 3
    assert splits.sources == ("photo",)


def test_an_image_is_its_label_s_central_square(data_dir):
    dataset = _load(data_dir)
    for i in range(len(dataset)):
        pixels = dataset.read(i)
        assert pixels.shape == (16, 16, 3)
        assert pixels[..., 0].min() == pixels[..., 0].max() == 40 * dataset.label[i]
    assert len({int(label) for label in dataset.label}) == 3


def test_labels_are_read_once_and_kept(data_dir):
    before = _load(data_dir)
    path = data_dir / "imagenet2012" / "5.1.0" / "jigsaw_shape_labels.npz"
    kept = dict(np.load(path))
    assert set(kept) == {"train", "validation"}
    kept["train"] = kept["train"][::-1]
    np.savez(path, **kept)
    after = _load(data_dir)
    assert (after.label != before.label).any()
    assert after.digest() != before.digest()
    path.unlink()


def test_what_is_not_prepared_is_refused(data_dir, tmp_path):
    with pytest.raises(ValueError, match=r"imagenet_r is not prepared in .*builder\("):
        _load(data_dir, domains=("photo", "rendition"))
    with pytest.raises(ValueError, match="photo, sketch, rendition, not drawing"):
        _load(data_dir, domains=("drawing",))
    folder = tmp_path / "imagenet_sketch" / "5.1.0"
    shutil.copytree(data_dir / "imagenet_sketch" / "5.1.0", folder)
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(ValueError, match=r"holds tfrecord files: prepare .* again"):
        _load(tmp_path, domains=("sketch",))
