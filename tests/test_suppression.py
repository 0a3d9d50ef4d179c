"""Suppressed cues against plain NumPy and scikit-image; level zero changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import filters

from jigsaw_shape.measures import distortions, suppression
from jigsaw_shape.suites import reliance

RNGS = jax.random.split(jax.random.key(0), 3)
IMAGES = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
SCALE = 224 / 32  # a length of this many published pixels is one pixel here


def _weighted(image, reach, weight):
    """Returns each pixel's mean over its neighbours, of loops in NumPy."""
    n, padded = len(image), np.pad(image, [(reach, reach)] * 2 + [(0, 0)], "reflect")
    top, bottom = np.zeros_like(image, np.float64), np.zeros((n, n, 1))
    for y in range(-reach, reach + 1):
        for x in range(-reach, reach + 1):
            moved = padded[reach + y : reach + y + n, reach + x : reach + x + n]
            w = weight(moved, y, x)[..., None]
            top, bottom = top + w * moved, bottom + w
    return top / bottom


@pytest.mark.parametrize("diameter", [2, 4])
def test_bilateral_is_opencvs_formula(diameter):
    level = diameter * SCALE
    sigma, radius = 50 + 15 * (level - 4), diameter / 2

    def weight(moved, y, x):
        differ = 255 * np.abs(moved - image).sum(-1)
        space = np.hypot(y, x) / (75 / SCALE)
        w = np.exp(-(differ**2) / (2 * sigma**2) - space**2 / 2)
        return w * (np.hypot(y, x) <= radius)

    found = suppression.bilateral(RNGS, IMAGES, level)
    for image, smooth in zip(np.float64(IMAGES), found, strict=True):
        expected = _weighted(image, int(radius), weight)
        np.testing.assert_allclose(smooth, expected, atol=1e-5)


def test_bilateral_keeps_an_edge_and_evens_out_a_faint_pattern():
    image = np.full((1, 224, 224, 3), 0.2, np.float32)
    image[:, :, 112:] = 1.0
    image[:, ::2] = np.clip(image[:, ::2] + 0.03, 0, 1)
    smooth = np.asarray(suppression.bilateral(RNGS[:1], image, 12))[0, 50:60, :, 0]
    assert np.abs(np.diff(smooth[:, :100], axis=0)).max() < 0.006  # 0.03 before
    assert (smooth[:, 112] - smooth[:, 111]).min() > 0.75


@pytest.mark.parametrize("kernel", [3, 7])
def test_blur_is_scikit_images(kernel):
    level = (kernel - 1) * SCALE + 1
    found = suppression.gaussian_blur(RNGS, IMAGES, level)
    for image, blurred in zip(IMAGES, found, strict=True):
        expected = filters.gaussian(
            image,
            (kernel - 1) / 6,
            mode="mirror",
            truncate=(kernel - 1) / 2 / ((kernel - 1) / 6),
            channel_axis=-1,
        )
        np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_non_local_means_is_its_formula():
    reach, half, h = 1, 1, 60.0  # 10 and 7 px of 224 are 1 px of 32

    def weight(moved, y, x):
        square = np.square(255 * (moved - image)).mean(-1)
        padded = np.pad(square, half, "reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        w = np.exp(-windows.mean((2, 3)) / h**2)
        return np.where(w >= 1e-3, w, 0)

    found = suppression.nl_means(RNGS, IMAGES, h)
    for image, smooth in zip(np.float64(IMAGES), found, strict=True):
        expected = _weighted(image, reach, weight)
        np.testing.assert_allclose(smooth, expected, atol=1e-5)


@pytest.mark.parametrize("grid", [2, 4, 5])
def test_each_tile_is_turned_in_its_place(grid):
    px = 32 // grid
    found = np.asarray(suppression.rotate_patches(RNGS, IMAGES, grid))
    seen = set()
    for image, turned in zip(IMAGES, found, strict=True):
        np.testing.assert_array_equal(turned[grid * px :], image[grid * px :])
        for y in range(0, grid * px, px):
            for x in range(0, grid * px, px):
                place = slice(y, y + px), slice(x, x + px)
                turns = [np.rot90(image[place], k) for k in range(4)]
                same = [np.array_equal(turned[place], t) for t in turns]
                assert sum(same) == 1
                seen.add(same.index(True))
    assert seen == {0, 1, 2, 3}


def test_colours_trade_places_in_every_image():
    found = np.asarray(suppression.shuffle_channels(RNGS, IMAGES, 1))
    for image, other in zip(IMAGES, found, strict=True):
        assert not np.array_equal(image, other)
        np.testing.assert_array_equal(np.sort(image, -1), np.sort(other, -1))
        source = [
            [np.array_equal(other[..., i], image[..., j]) for j in range(3)]
            for i in range(3)
        ]
        assert np.sum(source, 0).tolist() == np.sum(source, 1).tolist() == [1, 1, 1]


def test_grey_grows_to_all_of_it():
    half = np.asarray(suppression.less_colour(RNGS, IMAGES, 0.5))
    grey = np.asarray(distortions.grey(IMAGES))
    np.testing.assert_allclose(half, (IMAGES + grey) / 2, atol=1e-6)
    whole = suppression.less_colour(RNGS, IMAGES, 1)
    np.testing.assert_allclose(whole, grey, atol=1e-7)


@pytest.mark.parametrize("name", sorted(set(reliance.SUPPRESSIONS) - {"patch_shuffle"}))
def test_nothing_is_taken_away_at_level_zero(name):
    one = reliance.SUPPRESSIONS[name]
    found = one.suppress(RNGS, jnp.asarray(IMAGES), one.none)
    np.testing.assert_array_equal(found, IMAGES)
