"""Anagrams: the same tiles exactly, read from folders, and what tells them apart."""

import numpy as np
import pytest
from PIL import Image
from small_stimuli import evaluate, make_stimuli

from jigsaw_shape.classifiers import imagenet_labels
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data import anagrams
from jigsaw_shape.data.embedded import anagrams as drawn
from jigsaw_shape.data.embedded import shapes
from jigsaw_shape.measures import configural
from jigsaw_shape.suites import SUITES
from jigsaw_shape.suites import configural as suite
from jigsaw_shape.suites.opened import Opened

PX, N_PAIRS = 60, 14


def _bag(image):
    """Returns an image's tiles of 5 px in no order."""
    n = len(image) // 5
    tiles = image.reshape(n, 5, n, 5, 3).swapaxes(1, 2).reshape(n * n, -1)
    return sorted(map(bytes, tiles))


@pytest.fixture(scope="module")
def silhouettes():
    return drawn.load(n_pairs=N_PAIRS)


def test_pairs_have_the_same_tiles_exactly_and_differ(silhouettes):
    pairs = anagrams.pairs_of(silhouettes)
    assert pairs.rows.shape == pairs.wholes.shape == (N_PAIRS, 2)
    for first, second in pairs.rows:
        one, other = (silhouettes.read(i, PX) for i in (first, second))
        assert _bag(one) == _bag(other)
        assert (one != other).any(-1).mean() > 0.05
        assert silhouettes.category[first] != silhouettes.category[second]


def test_composed_silhouettes_cover_what_they_show(silhouettes):
    pairs = anagrams.pairs_of(silhouettes)
    shares = []
    for row, whole in zip(pairs.rows.ravel(), pairs.wholes.ravel(), strict=True):
        images = [silhouettes.read(i, PX).mean(-1) for i in (row, whole)]
        middle = (images[1].min() + images[1].max()) / 2
        made, wanted = (image < middle for image in images)
        shares.append((made & wanted).sum() / (made | wanted).sum())
    assert min(shares) > 0.7
    assert np.mean(shares) > 0.85


def test_all_ordered_pairs_of_classes_are_drawn_equally_often():
    n = len(shapes.CLASSES) * (len(shapes.CLASSES) - 1)
    found = drawn.load(n_pairs=n)
    pairs = anagrams.pairs_of(found).rows
    assert len({tuple(found.category[list(two)]) for two in pairs}) == n
    two = drawn.load(("cat", "tree"), n_pairs=4)
    assert set(two.category) == {"cat", "tree"}
    assert drawn.load(n_pairs=4).digest != drawn.load(n_pairs=4, seed=1).digest


def test_images_of_one_arrangement_are_composed_without_loss():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    moved = np.roll(image, 10, axis=1)
    made = anagrams.compose(image, moved, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(made[0], image)
    np.testing.assert_array_equal(made[1], moved)


def test_what_is_left_over_at_the_border_tells_nothing():
    images = np.random.default_rng(0).integers(0, 256, (2, 23, 23, 3), dtype=np.uint8)
    one, other = anagrams.compose(*images, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(one[20:], other[20:])
    np.testing.assert_array_equal(one[:, 20:], other[:, 20:])
    assert len(np.unique(one[20:].reshape(-1, 3), axis=0)) == 1


def test_pairs_of_labelled_images_are_grey_and_use_each_once():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8)
    category = np.array([*"aaaabbbcc"])
    names = [f"{n}.png" for n in range(9)]
    source = make_stimuli(names, category, lambda i, px: pixels[i])
    found = anagrams.of_stimuli(source)
    pairs = anagrams.pairs_of(found)
    assert len(pairs.rows) == 4
    images = [found.read(i, 20) for i in range(len(found.images))]
    assert all(image.shape == (20, 20, 3) for image in images)
    assert all((image == image[..., :1]).all() for image in images)
    for (a, b), (c, d) in zip(pairs.rows, pairs.wholes, strict=True):
        assert found.category[a] == found.category[c] != found.category[b]
        assert found.category[b] == found.category[d]
        assert _bag(images[a]) == _bag(images[b])
    wholes = {images[i].tobytes() for i in pairs.wholes.ravel()}
    assert len(wholes) == 8


def _write(folder, *names):
    folder.mkdir(exist_ok=True)
    for n, name in enumerate(names):
        Image.new("RGB", (8, 8), (20 * n,) * 3).save(folder / name)


def test_published_folders_are_read(tmp_path):
    _write(
        tmp_path / "images",
        "000_003_transform_bear_bunny_object0_bear.png",
        "000_003_transform_bear_bunny_object1_bunny.png",
        "001_transform_cat_wolf_object1_wolf.png",
        "001_transform_cat_wolf_object0_cat.png",
    )
    found = anagrams.read_folder(tmp_path)
    assert found.experiment == "anagrams"
    pairs = anagrams.pairs_of(found)
    assert pairs.wholes is None
    shown = [tuple(found.category[list(two)]) for two in pairs.rows]
    assert shown == [("bear", "bunny"), ("cat", "wolf")]
    assert found.side_px == 8


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0_transform_a_b_object0_a.png"], "has one image: expected two"),
        (["0_object0_a.png", "cat.png"], "cat.png is not called as an anagram"),
        (["0_object0_a.png", "0_object0_b.png"], "two images are object0 of"),
    ],
)
def test_other_names_are_refused(tmp_path, names, message):
    _write(tmp_path / "images", *names)
    with pytest.raises(ValueError, match=message):
        anagrams.read_folder(tmp_path)


def test_the_score_is_the_share_of_pairs_with_both_right():
    correct = np.array([1, 1, 1, 0, 0, 0, 1, 1], bool)
    pairs = np.array([[0, 1], [2, 3], [4, 5], [7, 6]])
    assert configural.both_right(correct, pairs).tolist() == [True, False, False, True]


def test_imagenets_classes_answer_as_published():
    indices = [i for group in configural.ANIMALS.values() for i in group]
    assert len(indices) == len(set(indices)) == 49
    scores = np.random.default_rng(0).standard_normal((5, 1000))
    found = configural.animal_scores(scores)
    for column, group in enumerate(configural.ANIMALS.values()):
        np.testing.assert_array_equal(found[:, column], scores[:, list(group)].max(1))


def _model(name, answer, classes=shapes.CLASSES, size_px=PX):
    def predict(images, orders=None):
        numbers = [classes.index(answer(np.asarray(x))) for x in images]
        return {"classification": np.eye(len(classes), dtype=np.float32)[numbers]}

    return Classifier(name, classes, size_px, 8, predict)


def _rows(models, stimuli):
    results = evaluate(("configural",), models, stimuli)
    rows = [row for row in results.rows if "both" in row]
    return {row["model"]: row for row in rows}, results


def test_parts_score_nothing_and_shapes_score_all(silhouettes):
    known = {}
    for i in range(len(silhouettes.images)):
        image = silhouettes.read(i, PX)
        known[image.tobytes()] = silhouettes.category[i]

    def by_parts(image):
        pixels = np.uint8(np.rint(255 * image)) if image.dtype != np.uint8 else image
        return shapes.CLASSES[hash(tuple(_bag(pixels))) % len(shapes.CLASSES)]

    def by_shape(image):
        pixels = np.uint8(np.rint(255 * image)) if image.dtype != np.uint8 else image
        return known[pixels.tobytes()]

    models = [_model("parts", by_parts), _model("shape", by_shape)]
    rows, results = _rows(models, silhouettes)
    assert rows["parts"]["both"] == 0
    assert rows["parts"]["single"] <= 0.5
    assert rows["shape"]["both"] == rows["shape"]["whole_both"] == 1
    assert rows["shape"]["foil"] == 0
    assert rows["parts"]["n"] == N_PAIRS
    assert rows["parts"]["chance"] == pytest.approx(1 / len(shapes.CLASSES) ** 2)
    (gap,) = [row for row in results.rows if "difference" in row]
    assert gap["difference"] == -1
    (line,) = SUITES["configural"].headlines([rows["shape"]])
    assert "in 100 of 100 pairs" in line.clause


def test_imagenet_networks_answer_with_the_nine_animals(tmp_path):
    _write(
        tmp_path / "images",
        "0_transform_bear_wolf_object0_bear.png",
        "0_transform_bear_wolf_object1_wolf.png",
    )
    stimuli = anagrams.read_folder(tmp_path)

    def predict(images, orders=None):
        bright = np.asarray(images).reshape(len(images), -1).mean(1) > 0.01
        scores = np.zeros((len(images), 1000), np.float32)
        scores[np.arange(len(images)), np.where(bright, 270, 295)] = 9
        return {"classification": scores}

    thousand = Classifier("net", imagenet_labels.wordnet_ids(), 8, 2, predict)
    model = imagenet_labels.in_categories(thousand)
    (job,) = suite.find(Opened((model,), (stimuli,)), ("configural",)).jobs
    assert job.models[0].classes == tuple(configural.ANIMALS)
    rows, _ = _rows([model], stimuli)
    assert rows["net"]["both"] == 1
    assert rows["net"]["n_classes"] == 9
