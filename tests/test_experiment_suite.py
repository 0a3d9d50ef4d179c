"""Stimuli against scikit-image and plain statements of what they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed")

import skimage
import skimage.color
import skimage.feature
import skimage.filters
from small_stimuli import make_answers

from jigsaw_shape.suites import experiments

S = 48


def _disc(radius=14, inside=(0.8, 0.7, 0.2), ground=(0.3, 0.4, 0.6)):
    down, right = np.indices((S, S)) - S / 2 + 0.5
    disc = (np.hypot(down, right) < radius)[..., None]
    noise = 0.03 * np.random.default_rng(0).random((S, S, 3))
    return np.float32(np.where(disc, inside, ground) + noise), disc[..., 0]


def _made(name, images):
    make = experiments.VERSIONS[name].make
    rngs = jax.random.split(jax.random.key(0), len(images))
    return np.asarray(make(rngs, jnp.asarray(images)))


def test_black_and_white_is_otsus_threshold_of_luminance():
    image, _ = _disc()
    grey = skimage.color.rgb2gray(image)
    # Otsu's threshold has the least variance within the two sides of it.
    candidates = np.linspace(grey.min(), grey.max(), 200)[1:-1]
    within = [
        sum(part.size * part.var() for part in (grey[grey <= t], grey[grey > t]))
        for t in candidates
    ]
    best = candidates[int(np.argmin(within))]
    # scikit-image's threshold is the middle of one of 256 bins.
    assert (experiments.black_and_white(image) != (grey > best)).mean() < 0.001


def test_a_silhouette_is_what_stands_out_from_the_border_with_its_holes_filled():
    image, disc = _disc()
    image[22:26, 22:26] = image[0, 0]  # a hole of the ground's colour
    np.testing.assert_array_equal(experiments.silhouette(image), 1 - disc)
    dark_on_light = np.float32(1 - 0.9 * disc[..., None] * np.ones(3))
    np.testing.assert_array_equal(experiments.silhouette(dark_on_light), 1 - disc)


def test_edges_are_cannys_and_lie_on_the_outline():
    image, _ = _disc()
    drawn = experiments.edges(image) == 0
    down, right = np.nonzero(drawn)
    radius = np.hypot(down - S / 2 + 0.5, right - S / 2 + 0.5)
    on_outline = np.abs(radius - 14) < 1.5
    assert on_outline.sum() > 2 * np.pi * 14 * 0.8
    blurless = skimage.feature.canny(skimage.color.rgb2gray(image), 2**0.5)
    assert drawn[blurless].all()  # with fixed thresholds it finds no others, but fewer


def test_probes_are_images_of_one_plane_and_batches_do_not_matter():
    images = np.stack([_disc(r)[0] for r in (8, 14, 18)])
    for name in ("black_and_white", "silhouette", "edges"):
        made = _made(name, images)
        assert made.dtype == np.float32
        assert made.shape == images.shape
        assert set(np.unique(made)) == {0, 1}
        np.testing.assert_array_equal(made[..., 0], made[..., 2])
        np.testing.assert_array_equal(made[1:2], _made(name, images[1:2]))


def test_texture_keeps_every_tile_and_moves_all():
    images = np.random.default_rng(0).random((2, S, S, 3)).astype(np.float32)
    made = _made("texture", images)
    side = S // experiments.TEXTURE_GRID
    for before, after in zip(images, made, strict=True):
        places = [(i, j) for i in range(0, S, side) for j in range(0, S, side)]
        tiles = {
            before[i : i + side, j : j + side].tobytes(): (i, j) for i, j in places
        }
        for i, j in places:
            origin = tiles.pop(after[i : i + side, j : j + side].tobytes())
            assert origin != (i, j)
        assert not tiles


def test_constant_images_make_no_exception():
    flat = np.full((S, S, 3), 0.5, np.float32)
    for function in (
        experiments.black_and_white,
        experiments.silhouette,
        experiments.edges,
    ):
        assert len(np.unique(function(flat))) == 1


def test_rows_count_right_answers_for_each_condition():
    label = np.array([0, 1, 1, 0])
    right = np.eye(2, dtype=np.float32)[label]
    names = [probe.name for probe in experiments.VERSIONS.values()]
    outputs = {name: {"classification": right} for name in names}
    outputs["edges"] = {"classification": np.float32([[1, 0]] * 4)}
    rows = {
        row["condition"]: row
        for row in experiments.SUITE.rows(make_answers(outputs, label))
    }
    assert set(rows) == {
        "original", "greyscale", "black_and_white", "silhouette", "edges", "texture",
    }  # fmt: skip
    assert rows["silhouette"]["accuracy"] == 1
    assert rows["edges"]["accuracy"] == 0.5
    assert 0 <= rows["edges"]["low"] < 0.5 < rows["edges"]["high"] <= 1
