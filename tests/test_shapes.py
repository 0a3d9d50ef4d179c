"""Laws of the embedded data set: what decides an image, and what its labels promise."""

import numpy as np
import pytest

from jigsaw_shape.data.embedded import drawing, shapes

N_CLASSES = len(shapes.CLASSES)
SIZE_PX = 32  # half the default: the laws are the same and the drawing is faster


def stack(dataset):
    return np.stack([dataset.read(i) for i in range(len(dataset))])


@pytest.fixture(scope="module")
def small():
    return shapes.load(n_per_class=6, seed=3, size_px=SIZE_PX)


@pytest.fixture(scope="module")
def conflict():
    return shapes.load_cue_conflict(n_per_class=14, seed=3, size_px=SIZE_PX)


def test_labels_domains_and_images_are_as_stated(small):
    assert small.name == "shapes"
    assert small.classes == shapes.CLASSES
    assert small.domains == shapes.DOMAINS
    assert small.official is None
    assert len(small) == len(small.names) == 6 * N_CLASSES * len(shapes.DOMAINS)
    assert len(set(small.names)) == len(small)
    cells = np.stack([small.domain, small.label], axis=1)
    kinds, counts = np.unique(cells, axis=0, return_counts=True)
    assert len(kinds) == N_CLASSES * len(shapes.DOMAINS)
    assert set(counts) == {6}
    for array in (small.label, small.domain, small.texture):
        assert array.dtype == np.int32
    image = small.read(0)
    assert image.shape == (SIZE_PX, SIZE_PX, 3)
    assert image.dtype == np.uint8


def test_only_sketches_have_no_texture(small):
    sketch = small.domain == small.domain_index("sketch")
    assert np.all(small.texture[sketch] == -1)
    assert np.all(small.texture[~sketch] >= 0)
    assert np.all(small.texture[~sketch] < len(shapes.TEXTURES))


def test_the_seed_decides_every_image(small):
    again = shapes.load(n_per_class=6, seed=3, size_px=SIZE_PX)
    np.testing.assert_array_equal(stack(small), stack(again))
    np.testing.assert_array_equal(small.texture, again.texture)
    other = shapes.load(n_per_class=6, seed=4, size_px=SIZE_PX)
    differs = (stack(small) != stack(other)).any(axis=(1, 2, 3))
    assert differs.all()


def test_more_images_change_none_of_the_first(small):
    fewer = shapes.load(n_per_class=2, seed=3, size_px=SIZE_PX)
    first = np.concatenate(
        [np.flatnonzero(small.domain == d)[: 2 * N_CLASSES] for d in range(4)]
    )
    np.testing.assert_array_equal(stack(small)[first], stack(fewer))
    np.testing.assert_array_equal(small.texture[first], fewer.texture)
    np.testing.assert_array_equal(small.label[first], fewer.label)


def test_images_of_one_class_differ(small):
    images = stack(small).astype(float)
    for domain in range(len(shapes.DOMAINS)):
        for label in range(N_CLASSES):
            same = images[(small.domain == domain) & (small.label == label)]
            distance = np.abs(same[:, None] - same[None]).mean(axis=(2, 3, 4))
            assert distance[np.triu_indices(len(same), 1)].min() > 3


@pytest.mark.parametrize("correlation", [1 / N_CLASSES, 0.6])
def test_own_texture_is_as_frequent_as_set(correlation):
    n = 40
    data = shapes.load(n_per_class=n, texture_correlation=correlation, size_px=16)
    shown = data.texture >= 0
    own = data.texture[shown] == data.label[shown]
    spread = np.sqrt(correlation * (1 - correlation) / own.size)
    assert abs(own.mean() - correlation) < 4 * spread
    # The rest is spread evenly over the others, for every distance between the two.
    step = (data.texture[shown] - data.label[shown])[~own] % N_CLASSES
    counts = np.bincount(step, minlength=N_CLASSES)[1:]
    expected = len(step) / (N_CLASSES - 1)
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected)


@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_extreme_correlations_are_exact(correlation):
    data = shapes.load(n_per_class=3, texture_correlation=correlation, size_px=16)
    shown = data.texture >= 0
    own = data.texture[shown] == data.label[shown]
    assert np.all(own == bool(correlation))


def test_correlation_changes_textures_and_nothing_else(small):
    strict = shapes.load(
        n_per_class=6, texture_correlation=1.0, seed=3, size_px=SIZE_PX
    )
    kept = small.texture == strict.texture
    assert 0 < np.sum(~kept) < len(small) / 3
    np.testing.assert_array_equal(stack(small)[kept], stack(strict)[kept])


def test_cues_always_conflict_and_every_pair_is_equally_frequent(conflict):
    assert conflict.name == "shapes-cue-conflict"
    assert conflict.domains == ("photo",)
    assert len(conflict) == len(set(conflict.names)) == 14 * N_CLASSES
    pairs = np.zeros((N_CLASSES, N_CLASSES), int)
    np.add.at(pairs, (conflict.label, conflict.texture), 1)
    np.testing.assert_array_equal(pairs, 2 * (1 - np.eye(N_CLASSES, dtype=int)))


def test_cue_conflict_is_seeded_prefix_stable_and_apart_from_the_photos(conflict):
    fewer = shapes.load_cue_conflict(n_per_class=3, seed=3, size_px=SIZE_PX)
    np.testing.assert_array_equal(stack(conflict)[: len(fewer)], stack(fewer))
    np.testing.assert_array_equal(conflict.texture[: len(fewer)], fewer.texture)
    same = shapes.load(n_per_class=3, texture_correlation=0, seed=3, size_px=SIZE_PX)
    photos = {image.tobytes() for image in stack(same)}
    assert not photos & {image.tobytes() for image in stack(fewer)}


def test_silhouettes_fit_the_picture_and_area_does_not_give_the_class_away():
    area = np.empty((N_CLASSES, 60))
    for shape, name in enumerate(shapes.CLASSES):
        for seed in range(area.shape[1]):
            rng = np.random.default_rng(seed)
            parts = drawing.pose(drawing.SILHOUETTES[name], rng, 64)
            points = np.concatenate([polygon for polygon, _ in parts])
            assert points.min() > 1.5
            assert points.max() < 62.5
            area[shape, seed] = drawing.fill(parts, 64).mean()
    # The classes' means lie well within the spread that each class has.
    assert np.ptp(area.mean(axis=1)) < area.std(axis=1).mean()


def test_colour_does_not_give_the_class_away():
    data = shapes.load(n_per_class=40, texture_correlation=1.0, size_px=16)
    for domain in range(3):
        mean = stack(data)[data.domain == domain].mean(axis=(1, 2)) / 255
        label = data.label[data.domain == domain]
        train = np.arange(len(mean)) % 16 < 8
        centres = np.stack([mean[train & (label == c)].mean(0) for c in range(8)])
        nearest = np.argmin(((mean[:, None] - centres) ** 2).sum(-1), axis=1)
        assert np.mean(nearest[~train] == label[~train]) < 0.3


def _statistics(image):
    """Rotation-sensitive contrast at several distances: a texture's fingerprint."""
    image = (image - image.mean()) / image.std()
    spectrum = np.abs(np.fft.fft2(image)) ** 2
    fy, fx = np.meshgrid(*2 * [np.abs(np.fft.fftfreq(len(image)))], indexing="ij")
    radius, angle = np.hypot(fx, fy), np.arctan2(fy, fx)
    bins = np.digitize(radius, np.linspace(0, 0.5, 12)) * 6
    bins += np.digitize(angle, np.linspace(0, np.pi / 2, 6))
    power = np.bincount(bins.ravel(), spectrum.ravel(), minlength=90)
    skew = (image**3).mean()
    return np.append(np.log(power + 1), 8 * np.abs(skew))


def test_textures_are_told_apart_by_simple_statistics():
    features, labels = [], []
    for label, name in enumerate(shapes.TEXTURES):
        for seed in range(30):
            image = drawing.pattern(name, np.random.default_rng([seed, label]), 64)
            assert image.dtype == np.float32
            assert image.min() >= 0
            assert image.max() <= 1
            assert image.std() > 0.2
            features.append(_statistics(image))
            labels.append(label)
    features, labels = np.array(features), np.array(labels)
    distance = ((features[:, None] - features[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    assert np.mean(labels[distance.argmin(axis=1)] == labels) > 0.85


def test_the_pattern_is_drawn_on_the_object_and_shares_its_pose():
    for domain in shapes.TEXTURED:
        dots, plain = (
            shapes.draw(domain, 5, texture, np.random.default_rng(1)).astype(int)
            for texture in (3, None)
        )
        assert np.abs(dots - plain).max() > 40
    bare, dressed = (
        shapes.draw("sketch", 5, texture, np.random.default_rng(1))
        for texture in (None, 3)
    )
    np.testing.assert_array_equal(bare, dressed)


@pytest.mark.parametrize("domain", shapes.DOMAINS)
@pytest.mark.parametrize("size_px", [16, 33, 96])
def test_any_size_is_drawn(domain, size_px):
    image = shapes.draw(domain, 0, 0, np.random.default_rng(0), size_px)
    assert image.shape == (size_px, size_px, 3)
    assert image.std() > 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"texture_correlation": 1.2}, r"config\.data\.texture_correlation is 1\.2"),
        ({"texture_correlation": -0.1}, r"config\.data\.texture_correlation is -0\.1"),
        ({"texture_correlation": float("nan")}, r"config\.data\.texture_correlation"),
        ({"n_per_class": 0}, r"config\.data\.n_per_class is 0"),
        ({"size_px": 15}, r"config\.data\.stored_px is 15"),
        ({"seed": -1}, r"config\.data\.draw_seed is -1"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        shapes.load(**settings)
    assert "\n" not in str(caught.value)
    if "texture_correlation" not in settings:
        with pytest.raises(ValueError, match=message):
            shapes.load_cue_conflict(**settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clipart", 0, 0), "unknown domain 'clipart': shapes has photo, painting"),
        (("photo", 8, 0), r"shape 8 is not in 0\.\.7"),
        (("photo", -1, 0), r"shape -1 is not in 0\.\.7"),
        (("photo", 0, 8), "texture 8"),
        (("photo", 0, -2), "texture -2"),
        (("photo", 0, 0, 8), r"config\.data\.stored_px is 8"),
    ],
)
def test_draw_refuses_what_it_cannot_draw(arguments, message):
    domain, shape, texture, *size = arguments
    with pytest.raises(ValueError, match=message):
        shapes.draw(domain, shape, texture, np.random.default_rng(0), *size)
