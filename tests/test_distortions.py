"""Distortions against plain NumPy and SciPy statements of them, and their laws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jigsaw_shape.measures import distortions as lib
from jigsaw_shape.measures import eidolons

S = 32
SCALE = S / 224


def _images(n=3, size_px=S, seed=0):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((n, size_px, size_px, 3)), (0, 2, 2, 0))
    low, high = smooth.min(), smooth.max()
    return np.float32((smooth - low) / (high - low))


def _rngs(n=3, seed=0):
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))
    return keys(jnp.arange(n))


IMAGES, RNGS = _images(), _rngs()
GREY = IMAGES @ np.array([0.2125, 0.7154, 0.0721])
TABLE = lib.distortions(lib.mean_amplitude([IMAGES]))
NAMES = sorted(TABLE)
# The eidolons differ in one factor; to compile one of them is enough for most laws.
DIFFERENT = [name for name in NAMES if name not in ("eidolon_1", "eidolon_3")]


@functools.cache
def _compiled(name):
    return jax.jit(TABLE[name].distort)


def _distorted(name, level, rngs=RNGS, images=IMAGES):
    """Returns the one channel of grey results, all three of coloured ones."""
    images = np.asarray(_compiled(name)(rngs, images, level))
    assert images.dtype == np.float32
    assert images.shape[-1] == 3
    if name == "false_colour":
        return images
    np.testing.assert_array_equal(images[..., 1:], images[..., :2])
    return images[..., 0]


def test_the_published_levels_are_all_there():
    assert sum(len(d.levels) for d in TABLE.values()) == 71
    assert all(
        d.levels[0] == d.none for name, d in TABLE.items() if name not in lib.EIDOLONS
    )
    assert TABLE["eidolon_2"].levels == tuple(2.0**k for k in range(8))


def test_grey_is_that_of_scikit_image():
    color = pytest.importorskip("skimage.color")
    np.testing.assert_allclose(lib.grey(IMAGES)[..., 0], color.rgb2gray(IMAGES), 1e-5)


@pytest.mark.parametrize("name", DIFFERENT)
def test_no_distortion_is_the_identity(name):
    base = IMAGES if name == "false_colour" else lib.grey(IMAGES)
    if name == "uniform_noise":
        base = lib.contrast(RNGS, IMAGES, 0.3)
    compiled = _compiled(name)(RNGS, IMAGES, TABLE[name].none)
    # Programs differ in how they round luminance, and in nothing else.
    exact = name == "false_colour"
    np.testing.assert_allclose(compiled, base, atol=0 if exact else 2e-7, rtol=0)


@pytest.mark.parametrize("name", DIFFERENT)
def test_results_are_images_under_vmap_over_levels(name):
    levels = jnp.asarray(TABLE[name].levels)
    every = jax.jit(jax.vmap(TABLE[name].distort, (None, None, 0)))
    every = np.asarray(every(RNGS, IMAGES, levels))
    assert every.shape == (len(levels), *IMAGES.shape)
    assert every.min() >= 0
    assert every.max() <= 1
    alone = np.asarray(_compiled(name)(RNGS, IMAGES, TABLE[name].levels[-1]))
    # An eidolon's displacement that rounding moves over a whole pixel moves a pixel.
    differs = np.abs(every[-1] - alone) > 1e-4
    assert differs.mean() < (0.01 if name in lib.EIDOLONS else 1e-6)


@pytest.mark.parametrize("name", DIFFERENT)
def test_an_image_is_distorted_the_same_in_any_batch(name):
    level = TABLE[name].levels[-2]
    together = _distorted(name, level)
    turned = _distorted(name, level, RNGS[::-1], IMAGES[::-1])[::-1]
    differs = np.abs(together - turned) > 1e-5
    assert differs.mean() < (0.01 if name in lib.EIDOLONS else 1e-6)
    if name in ("uniform_noise", "eidolon_2"):
        alone = _distorted(name, level, RNGS[1:2], IMAGES[1:2])
        differs = np.abs(together[1:2] - alone) > 1e-5
        assert differs.mean() < 0.01


@pytest.mark.parametrize("name", ["uniform_noise", "phase_scrambling", "eidolon_2"])
def test_another_key_distorts_otherwise(name):
    level = TABLE[name].levels[3]
    other = _distorted(name, level, _rngs(seed=1))
    assert np.abs(other - _distorted(name, level)).max() > 0.02


@pytest.mark.parametrize("level", [0.5, 0.03])
def test_contrast_shrinks_towards_mid_grey(level):
    expected = level * GREY + (1 - level) / 2
    np.testing.assert_allclose(_distorted("contrast", level), expected, atol=1e-6)


def _scipy_blur(level):
    blur = functools.partial(
        ndimage.gaussian_filter, sigma=level * SCALE, mode="constant", cval=0.4423
    )
    return np.stack([blur(y) for y in GREY])


@pytest.mark.parametrize("level", [1.0, 7.0, 40.0])
def test_low_pass_is_scipys_gaussian_with_mean_grey_around(level):
    expected = np.clip(_scipy_blur(level), 0, 1)
    np.testing.assert_allclose(_distorted("low_pass", level), expected, atol=2e-6)


@pytest.mark.parametrize("level", [3.0, 7.0, 15.0])
def test_high_pass_is_what_the_blur_takes_on_mean_grey(level):
    kept = GREY - _scipy_blur(level)
    expected = np.clip(kept - kept.mean((1, 2), keepdims=True) + 0.4423, 0, 1)
    np.testing.assert_allclose(_distorted("high_pass", level), expected, atol=2e-6)


def test_noise_is_uniform_at_the_published_contrast():
    noise = _distorted("uniform_noise", 0.1) - (0.3 * GREY + 0.35)
    assert np.abs(noise).max() < 0.1001
    np.testing.assert_allclose(noise.std(), 0.1 / np.sqrt(3), rtol=0.03)
    np.testing.assert_allclose(noise.mean(), 0, atol=0.005)
    np.testing.assert_allclose(
        _distorted("uniform_noise", 0.05) - (0.3 * GREY + 0.35), noise / 2, atol=1e-6
    )


@pytest.mark.parametrize("size_px", [32, 27])
def test_phase_scrambling_turns_phases_and_keeps_amplitudes(size_px):
    images = 0.45 + 0.1 * _images(size_px=size_px)  # so that nothing is clipped
    scrambled = _distorted("phase_scrambling", 60.0, RNGS, images)
    before, after = (
        np.fft.fft2(images[..., 0] * 0 + _grey(images)),
        np.fft.fft2(scrambled),
    )
    np.testing.assert_allclose(np.abs(after), np.abs(before), atol=2e-3)
    clear = np.abs(before) > 0.05
    turned = np.degrees(np.angle(after / before))
    assert np.abs(turned[clear]).max() < 60.5
    still = np.zeros((size_px, size_px), bool)
    still[0, 0] = True
    if size_px % 2 == 0:
        still[size_px // 2] = still[:, size_px // 2] = True
    assert np.abs(turned[clear & still]).max() < 2
    moved = turned[clear & ~still]
    np.testing.assert_allclose(moved.std(), 60 / np.sqrt(3), rtol=0.15)


def _grey(images):
    return images @ np.array([0.2125, 0.7154, 0.0721])


def test_equal_power_keeps_phases_and_takes_the_mean_amplitude():
    images = 0.4 + 0.2 * _images()
    mean = lib.mean_amplitude([images[:1], images[1:]])
    spectra = np.fft.fft2(_grey(images))
    np.testing.assert_allclose(mean, np.abs(spectra).mean(0), rtol=1e-3, atol=1e-4)
    equal = jax.jit(lib.equalise_power(mean))(RNGS, images, 1.0)[..., 0]
    expected = np.fft.ifft2(mean * np.exp(1j * np.angle(spectra))).real
    np.testing.assert_allclose(equal, np.clip(expected, 0, 1), atol=1e-4)


def test_false_colour_turns_hues_to_their_opposites_and_keeps_greys():
    greys = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1).repeat(3, -1)
    change = _compiled("false_colour")
    np.testing.assert_allclose(change(RNGS[:1], greys, 1.0), greys, atol=2e-3)
    muted = np.float32(0.55 + 0.1 * (IMAGES - 0.5))  # nothing leaves the gamut
    once = change(RNGS, muted, 1.0)
    np.testing.assert_allclose(change(RNGS, once, 1.0), muted, atol=1e-4)
    red, blue = np.float32([[[[0.7, 0.5, 0.5]]]]), np.float32([[[[0.5, 0.5, 0.7]]]])
    r, g, _ = np.asarray(change(RNGS[:1], red, 1.0))[0, 0, 0]
    assert g > r + 0.1
    r, g, b = np.asarray(change(RNGS[:1], blue, 1.0))[0, 0, 0]
    assert min(r, g) > b + 0.1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotation_is_numpys(turns):
    expected = np.rot90(_distorted("rotation", 0.0), turns, axes=(1, 2))
    np.testing.assert_array_equal(_distorted("rotation", 90.0 * turns), expected)


@functools.cache
def _parts():
    """Returns the parts of the images' eidolons."""
    decompose = jax.jit(functools.partial(eidolons.decompose, scale=SCALE))
    return jax.tree.map(np.asarray, decompose(RNGS, np.float32(GREY)))


def _plain_eidolon(parts, image, b, reach, coherence):
    """Says it plainly: slices of the plane, each pixel looked up somewhere else."""
    margin = S // 2
    plane = np.pad(image, margin, mode="symmetric")
    stds = [SCALE * 2 ** (k / 2 - 0.5) for k in range(12)]
    blurred = [
        ndimage.gaussian_filter(np.float64(plane), std, mode="wrap", truncate=8)
        for std in stds
    ]
    total = np.zeros((S, S))
    for k in range(12):
        coarser = blurred[k + 1] if k < 11 else 0
        moves = (
            coherence * parts.coherent[k, b] + (1 - coherence) * parts.incoherent[k, b]
        )
        places = np.indices((S, S)) + margin + reach * SCALE * np.asarray(moves)
        rows, columns = np.clip(places, 0, 2 * S - 1).astype(int)
        total += (blurred[k] - coarser)[rows, columns]
    return np.clip(total, 0, 1)


@pytest.mark.parametrize(("name", "reach"), [("eidolon_2", 8), ("eidolon_1", 64)])
def test_eidolons_are_displaced_slices_of_the_scale_space(name, reach):
    parts = _parts()
    for b in range(len(GREY)):
        expected = _plain_eidolon(parts, GREY[b], b, reach, lib.EIDOLONS[name])
        differs = np.abs(_distorted(name, float(reach))[b] - expected) > 1e-4
        assert differs.mean() < 0.01


def test_displacements_are_blurred_noise_of_the_published_size():
    n, n_images = 48, 24
    blank = jnp.zeros((n_images, n, n))
    parts = jax.jit(eidolons.decompose)(_rngs(n_images), blank)
    deviation = lambda std: 127.5 / 4.71 / (2 * np.sqrt(np.pi) * std)  # noqa: E731
    own = np.asarray(parts.incoherent)
    np.testing.assert_allclose(own.std(), deviation(10), rtol=0.05)
    lag = 10
    along = (own[..., lag:] * own[..., :-lag]).mean() / np.square(own).mean()
    np.testing.assert_allclose(along, np.exp(-(lag**2) / (4 * 10**2)), atol=0.05)
    # A scale's own share of the coherent displacement weighs deviation / 64.
    shared = np.asarray(parts.coherent)
    for k, std in ((2, 2**0.5), (5, 4.0), (7, 8.0)):
        share = shared[k] - shared[k + 1]
        np.testing.assert_allclose(share.std(), deviation(std) * std / 64, rtol=0.1)


def test_a_coherent_eidolon_moves_all_scales_alike_where_fields_are_smooth():
    parts = _parts()
    same = parts._replace(coherent=jnp.ones_like(parts.coherent))
    moved = eidolons.compose(same, reach=3.0 / SCALE, coherence=1.0, scale=SCALE)
    blur = functools.partial(ndimage.gaussian_filter, sigma=SCALE / 2**0.5, truncate=8)
    expected = np.stack([blur(y, mode="reflect") for y in GREY])[:, 3:, 3:]
    np.testing.assert_allclose(moved[:, :-3, :-3], expected, atol=1e-5)


def test_larger_images_are_distorted_as_larger_pictures():
    small = _images(size_px=28)
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    a = _distorted("low_pass", 15.0, RNGS, small)
    b = _distorted("low_pass", 15.0, RNGS, large)
    np.testing.assert_allclose(b[:, ::2, ::2], a, atol=0.03)
