"""External styles: the shipped pack, folders, and the target that may not be there."""

import csv

import numpy as np
import pytest
from PIL import Image

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.diversify import style_images


def _picture(seed, h=40, w=60):
    """Smooth colours, as pictures have."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC))


def _dataset(n=6):
    pictures = [_picture(100 + i) for i in range(n)]
    return Dataset(
        name="made-up",
        classes=("cat",),
        domains=("photo", "sketch"),
        label=np.zeros(n, np.int32),
        domain=(np.arange(n) >= n // 2).astype(np.int32),
        read=pictures.__getitem__,
        names=tuple(f"image-{i}.png" for i in range(n)),
    )


def _folder(path, n=5):
    (path / "deep" / "er").mkdir(parents=True)
    for i in range(n):
        parent = path / "deep" / "er" if i % 2 else path
        Image.fromarray(_picture(i)).save(parent / f"style-{i}.png")
    return path


def _load(name, n_most=1000, seed=0):
    return style_images.load(str(name), n_most=n_most, size_px=16, seed=seed)


def test_the_pack_is_whole_and_every_style_has_its_licence():
    styles = _load(style_images.PACK)
    assert styles.images.shape == (len(styles.names), 16, 16, 3)
    assert len(styles.names) >= 96
    with (style_images.folder(style_images.PACK) / "SOURCES.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == styles.names
    free = ("GPL", "CC-BY", "public domain")
    assert all(any(word in row["licence"] for word in free) for row in rows)
    assert all(row["title"] and row["author"] and row["source"] for row in rows)
    # Styles, not copies of a few: no two are alike.
    flat = styles.images.reshape(len(styles.images), -1).astype(float)
    apart = np.abs(flat[:, None] - flat).mean(-1) + 255 * np.eye(len(flat))
    assert apart.min() > 2


def test_a_folder_is_read_at_any_depth_and_cut_square(tmp_path):
    styles = _load(_folder(tmp_path))
    assert len(styles.names) == 5
    image = Image.fromarray(_picture(0)).crop((10, 0, 50, 40)).resize((16, 16))
    position = styles.names.index("style-0.png")
    difference = np.abs(styles.images[position].astype(int) - np.asarray(image))
    assert difference.mean() < 4


def test_of_many_styles_the_seed_chooses_some(tmp_path):
    root = _folder(tmp_path, 8)
    chosen = [_load(root, 3, seed) for seed in (0, 0, 1, 2)]
    assert all(len(styles.names) == 3 for styles in chosen)
    assert chosen[0].names == chosen[1].names
    assert chosen[0].digest() == chosen[1].digest()
    assert len({tuple(styles.names) for styles in chosen}) > 1


def test_an_unreadable_style_is_named(tmp_path):
    (_folder(tmp_path) / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"broken\.jpg cannot be read"):
        _load(tmp_path)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no image"):
        _load(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        _load(tmp_path / "nowhere")


@pytest.mark.parametrize("disguise", ["copy", "jpeg", "smaller", "squashed"])
def test_an_image_of_the_target_is_no_style(tmp_path, disguise):
    root, dataset = _folder(tmp_path), _dataset()
    image = Image.fromarray(dataset.read(4))
    if disguise == "smaller":
        image = image.resize((30, 20), Image.Resampling.BILINEAR)
    if disguise == "squashed":
        image = image.resize((64, 64), Image.Resampling.BILINEAR)
    image.save(root / ("leak.jpg" if disguise == "jpeg" else "leak.png"), quality=90)
    with pytest.raises(ValueError, match=r"leak.* is image-4\.png of .* sketch"):
        style_images.refuse_target(_load(root), dataset, np.arange(3, 6))


def test_other_pictures_and_the_sources_may_be_styles(tmp_path):
    root, dataset = _folder(tmp_path), _dataset()
    Image.fromarray(dataset.read(1)).save(root / "of-a-source.png")
    style_images.refuse_target(_load(root), dataset, np.arange(3, 6))
