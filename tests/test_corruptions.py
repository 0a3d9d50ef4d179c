"""Corruptions against plain NumPy, SciPy and Pillow, their laws, and their suite."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats
from small_stimuli import make_answers

from jigsaw_shape.measures import blurs, corruptions, jpeg, weather
from jigsaw_shape.suites import corruptions as suite
from jigsaw_shape.suites.suite import PLAIN

S, SMALL = 64, 30
TABLE = corruptions.corruptions()
RANDOM = ("gaussian_noise", "shot_noise", "impulse_noise", "glass_blur", "motion_blur")
RANDOM += ("snow", "fog", "elastic_transform")


def _images(size_px=S):
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.random((2, size_px, size_px, 3)), (0, 2, 2, 0))
    low, high = smooth.min(), smooth.max()
    return np.float32((smooth - low) / (high - low))


IMAGES = _images()
RNGS = jax.random.split(jax.random.key(0), 2)


@functools.cache
def _compiled(name):
    return jax.jit(TABLE[name].distort)


def _corrupted(name, severity, rngs=RNGS, images=IMAGES):
    return np.asarray(_compiled(name)(rngs, images, jnp.float32(severity)))


@pytest.mark.parametrize("size_px", [S, SMALL])
@pytest.mark.parametrize("name", TABLE)
def test_laws(name, size_px):
    plain = _images(size_px)
    np.testing.assert_array_equal(_corrupted(name, 0, images=plain), plain)
    weak, strong = (_corrupted(name, severity, images=plain) for severity in (3, 5))
    for images in (weak, strong):
        assert images.dtype == np.float32
        assert 0 <= images.min() < images.max() <= 1
    changes = [np.abs(images - plain).mean() for images in (weak, strong)]
    if (name, size_px) != ("pixelate", S):  # it changes little, see below
        assert min(changes) > (0.005 if size_px == S else 0.004)
    if (name, size_px) not in (("fog", S), ("elastic_transform", SMALL)):
        assert changes[0] < changes[1]
    turned = _corrupted(name, 3, RNGS[::-1], plain[::-1])[::-1]
    np.testing.assert_allclose(turned, weak, atol=1e-4)
    other = _corrupted(name, 3, jax.random.split(jax.random.key(1), 2), plain)
    assert (np.abs(other - weak).max() > 0.01) == (name in RANDOM)


def test_no_setting_asks_for_more_than_is_drawn():
    assert corruptions._SMALL.keys() == TABLE.keys()
    table = {
        name: np.array([*settings, *corruptions._SMALL[name]])
        for name, (_, settings) in corruptions._TABLE.items()
    }
    assert table["defocus_blur"].max() + 0.5 <= blurs.MOST_FOCUS
    assert table["glass_blur"][:, 2].max() <= blurs.MOST_SHUFFLES
    radii = [table["motion_blur"][:, 0], table["snow"][:, 4]]
    assert 2 * np.max(radii) + 1 <= blurs.MOST_TRAIL


def test_noise_has_the_published_strengths():
    grey = np.full((2, 128, 128, 3), 0.5, np.float32)
    noise = _corrupted("gaussian_noise", 1, images=grey) - 0.5
    np.testing.assert_allclose(noise.std(), 0.08, rtol=0.02)
    salted = _corrupted("impulse_noise", 5, images=grey)
    shares = [(salted == value).mean() for value in (0, 0.5, 1)]
    np.testing.assert_allclose(shares, [0.135, 0.73, 0.135], atol=0.005)


def test_shot_noise_is_poisson_s_at_a_uniform_draw():
    unit = np.asarray(jax.random.uniform(RNGS[0], IMAGES[0].shape))
    for severity, photons in ((1, 60), (5, 3)):
        expected = stats.poisson.ppf(unit, IMAGES[0] * np.float64(photons)) / photons
        found = _corrupted("shot_noise", severity)[0]
        differs = np.abs(found - np.clip(expected, 0, 1)) > 1e-5
        assert differs.mean() < 1e-3  # a draw at a step of the distribution


def test_defocus_is_a_mean_over_a_disk():
    image = _images(224)[0]
    offsets = np.hypot(*np.mgrid[-12:13, -12:13])
    disk = np.clip(4.5 - offsets, 0, 1)
    expected = ndimage.correlate(image, (disk / disk.sum())[..., None], mode="nearest")
    found = np.asarray(blurs.defocus(jnp.asarray(image), 4.0))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_motion_draws_a_point_out_to_one_side():
    image = np.zeros((224, 224, 1), np.float32)
    image[100, 100] = 1
    found = np.asarray(blurs.trail(jnp.asarray(image), 10.0, 3.0, 0.0))[..., 0]
    weights = np.exp(-np.square(np.arange(21) / 3) / 2)
    expected = np.zeros((224, 224))
    expected[100, 100 - np.arange(21)] = weights / weights.sum()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_zoom_is_a_mean_of_enlargements():
    image = _images(33)[0]
    found = np.asarray(blurs.zoom(jnp.asarray(image), jnp.array([0.02, 5.0])))
    total = np.float64(image)
    for factor in 1 + 0.02 * np.arange(5):
        matrix = np.diag([1 / factor, 1 / factor, 1])
        offset = [16 - 16 / factor, 16 - 16 / factor, 0]
        total += ndimage.affine_transform(image, matrix, offset, order=1)
    np.testing.assert_allclose(found, total / 6, atol=1e-5)


def test_glass_moves_pixels_by_less_than_its_reach():
    image = np.zeros((224, 224, 3), np.float32)
    image[:, 112:] = 1
    found = np.asarray(
        blurs.glass(RNGS[0], jnp.asarray(image), jnp.array([0.1, 4.0, 1.0]))
    )
    np.testing.assert_array_equal(found[:, :108], 0)
    np.testing.assert_array_equal(found[:, 116:], 1)
    between = found[:, 108:116].mean((0, 2))
    assert (np.diff(between) > 0).all()  # the nearer, the more often from there


def test_plasma_is_the_diamond_square_algorithm():
    found = np.asarray(weather.plasma(RNGS[0], 1.7, 8))
    height, side, wibble, rng = np.zeros((1, 1)), 1, 100.0, RNGS[0]
    while side < 8:
        rng, *rngs = jax.random.split(rng, 4)
        noise = [
            wibble**2 * np.asarray(jax.random.uniform(r, (side, side), minval=-1.0))
            for r in rngs
        ]
        finer = np.zeros((2 * side, 2 * side))
        finer[::2, ::2] = height
        at = lambda i, j, n=2 * side, grid=finer: grid[i % n, j % n]  # noqa: E731
        for k, (i0, j0) in enumerate(((1, 1), (0, 1), (1, 0))):
            for i in range(i0, 2 * side, 2):
                for j in range(j0, 2 * side, 2):
                    if k == 0:
                        four = [at(i + a, j + b) for a in (-1, 1) for b in (-1, 1)]
                    else:
                        four = [at(i - 1, j), at(i + 1, j), at(i, j - 1), at(i, j + 1)]
                    finer[i, j] = np.mean(four) + noise[k][i // 2, j // 2]
        height, side, wibble = finer, 2 * side, wibble / 1.7
    height -= height.min()
    np.testing.assert_allclose(found, height / height.max(), atol=1e-5)


def test_fog_is_no_brighter_than_the_image():
    foggy = _corrupted("fog", 5)
    assert (foggy.max((1, 2, 3)) <= IMAGES.max((1, 2, 3)) + 1e-6).all()


def test_snow_without_flakes_whitens():
    settings = jnp.array([0.1, 0.3, 3.0, 99.0, 10.0, 4.0, 0.7])
    found = np.asarray(weather.snow(RNGS[0], jnp.asarray(IMAGES[0]), settings))
    grey = IMAGES[0] @ np.array([0.299, 0.587, 0.114])
    white = np.maximum(IMAGES[0], 1.5 * grey[..., None] + 0.5)
    np.testing.assert_allclose(found, 0.7 * IMAGES[0] + 0.3 * white, atol=1e-5)


def test_brightness_and_contrast_are_their_formulas():
    color = pytest.importorskip("skimage.color")
    hsv = color.rgb2hsv(IMAGES)
    hsv[..., 2] = np.clip(hsv[..., 2] + 0.3, 0, 1)
    np.testing.assert_allclose(
        _corrupted("brightness", 3), color.hsv2rgb(hsv), atol=1e-5
    )
    mean = IMAGES.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(
        _corrupted("contrast", 3), mean + 0.2 * (IMAGES - mean), atol=1e-5
    )


def test_elastic_without_displacement_is_the_affine_map_of_its_corners():
    image = jnp.asarray(_images(224)[0])
    found = np.asarray(
        corruptions._elastic(RNGS[0], image, jnp.array([0.0, 2.0, 20.0]))
    )
    corner_rng, _ = jax.random.split(RNGS[0])
    corners = np.array([[186, 186], [186, 38], [38, 38]], np.float64)
    moved = corners + np.asarray(
        jax.random.uniform(corner_rng, (3, 2), minval=-20.0, maxval=20.0)
    )
    back = np.linalg.solve(np.c_[moved, np.ones(3)], corners)
    expected = np.stack(
        [
            ndimage.affine_transform(c, back[:2].T, back[2], order=1, mode="mirror")
            for c in np.moveaxis(np.asarray(image), -1, 0)
        ],
        -1,
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(("severity", "n"), [(1, 134), (4, 67), (5, 56)])
def test_pixelate_is_pillow_s_box(severity, n):
    images = np.round(255 * _images(224)) / np.float32(255)
    shown = Image.fromarray(np.uint8(np.round(255 * images[0])))
    for side in (n, 224):
        shown = shown.resize((side, side), Image.Resampling.BOX)
    found = _corrupted("pixelate", severity, images=np.float32(images))[0]
    np.testing.assert_allclose(found, np.asarray(shown) / 255, atol=2.5 / 255)


def test_pixelate_scales_with_the_image():
    np.testing.assert_allclose(_corrupted("pixelate", 4), IMAGES, atol=1e-6)  # 67


def test_small_images_have_the_settings_of_cifar_10_c():
    grey = np.full((2, 63, 63, 3), 0.5, np.float32)
    noise = _corrupted("gaussian_noise", 1, images=grey) - 0.5
    np.testing.assert_allclose(noise.std(), 0.04, rtol=0.05)
    images = _images(32)
    for severity, photons in ((1, 500), (3, 100), (5, 50)):
        unit = np.asarray(jax.random.uniform(RNGS[0], images[0].shape))
        expected = stats.poisson.ppf(unit, images[0] * np.float64(photons))
        gap = _corrupted("shot_noise", severity, images=images)[0] * photons - expected
        gap = np.abs(gap[expected < photons])  # the others are cut to 1
        assert gap.max() < 1.01
        assert (gap > 0.01).mean() < 0.02
    shown = Image.fromarray(np.uint8(np.round(255 * images[0])))
    for side in (24, 32):
        shown = shown.resize((side, side), Image.Resampling.BOX)
    found = _corrupted("pixelate", 4, images=images)[0]
    np.testing.assert_allclose(found, np.asarray(shown) / 255, atol=4 / 255)


@pytest.mark.parametrize("size_px", [28, 32])
def test_a_small_disk_weighs_neighbours_as_the_published_one(size_px):
    point = np.zeros((2, size_px, size_px, 3), np.float32)
    point[:, 9, 9] = 1
    for severity, std in ((1, 0.4), (2, 0.5), (3, 0.6)):
        blurred = _corrupted("defocus_blur", severity, images=point)[0, ..., 0]
        neighbour = blurred[9, 10] / blurred[9, 9]
        np.testing.assert_allclose(neighbour, np.exp(-0.5 / std**2), atol=0.002)


@pytest.mark.parametrize(("severity", "quality"), [(1, 25), (5, 7)])
@pytest.mark.parametrize("size_px", [64, 84])
def test_jpeg_is_pillow_s(severity, quality, size_px):
    image = np.uint8(np.round(255 * _images(size_px)[0]))
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        steps = [np.reshape(opened.quantization[k], (8, 8)) for k in (0, 1)]
        expected = np.asarray(opened, np.float32) / 255
    np.testing.assert_array_equal(jpeg.steps_of(quality), steps)
    images = np.float32(image)[None].repeat(2, 0) / 255
    found = _corrupted("jpeg_compression", severity, images=images)[0]
    gap = np.abs(found - expected)
    assert gap.mean() < 0.01
    assert gap.mean() < np.abs(expected - images[0]).mean() / 2


def test_the_suite_sums_up_severities_and_shares_the_images_themselves():
    assert suite.PROBES["plain"] is PLAIN
    assert len(suite.PROBES) == 1 + 5 * len(TABLE)
    label = np.array([0, 1, 1, 0])
    right = {"classification": np.eye(2, dtype=np.float32)[label]}
    wrong = {"classification": np.eye(2, dtype=np.float32)[1 - label]}
    outputs = dict.fromkeys(suite.PROBES, right)
    outputs |= {"fog/4": wrong, "fog/5": wrong}
    rows = list(suite.SUITE.rows(make_answers(outputs, label)))
    means = {row["condition"]: row["mean"] for row in rows if "mean" in row}
    assert list(means) == list(TABLE)
    assert means["fog"] == pytest.approx(3 / 5)
    assert means["snow"] == 1
    levels = [row["level"] for row in rows if row.get("probe", "").startswith("fog")]
    assert levels == [1, 2, 3, 4, 5]
