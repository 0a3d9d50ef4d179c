"""Diversifiers against plain NumPy statements of their formulas, and by their laws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from small_pair import tiny_pair

from jigsaw_shape.diversify import DIVERSIFIERS, bind
from jigsaw_shape.diversify.fourier import mix_amplitude
from jigsaw_shape.diversify.mixstyle import mix_style
from jigsaw_shape.diversify.randconv import draw_kernel
from jigsaw_shape.diversify.style_partners import partners

WITH_STYLES = ("fourier", "colour")
MEAN, STD = np.asarray([0.485, 0.456, 0.406]), np.asarray([0.229, 0.224, 0.225])


def _pictures(n, h, w, seed=0):
    """Smooth random pictures with some noise: float32 [n, h, w, 3] in [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 5, 5, 3), np.uint8)
    smooth = np.stack(
        [np.asarray(Image.fromarray(c).resize((w, h), Image.BICUBIC)) for c in coarse]
    )
    noise = rng.normal(0, 0.05, smooth.shape)
    return jnp.asarray(np.clip(smooth / 255 + noise, 0, 1), jnp.float32)


def _keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


@functools.cache
def _diversifier(name):
    return bind(name, tiny_pair())


@functools.cache
def _jitted(name):
    return jax.jit(_diversifier(name))


def _least(name):
    """Returns what some pixel changes by; mixtures may be mostly the image itself."""
    return 0.002 if name in ("augmix", "prime") else 0.02


# The contract, of every diversifier of images.


@pytest.mark.parametrize("name", DIVERSIFIERS)
@pytest.mark.parametrize("size", [(20, 20), (33, 47)])
def test_images_stay_images(name, size):
    contents, styles = _pictures(6, *size), _pictures(6, *size, seed=1)
    contents = contents.at[0].set(1.0).at[1].set(0.0)  # flat tiles are common
    styles = styles.at[2].set(1.0)
    strengths = jnp.asarray([1, 1, 1, 0.5, 0.1, 1.0])
    out = np.asarray(_jitted(name)(_keys(6), contents, styles, strengths))
    assert out.shape == contents.shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1
    changed = np.abs(out - contents).max((1, 2, 3))
    # White has no edges, flat images have nothing that most operations change, and
    # black and white are two tones.
    few = {"edges": [1, 3, 5], "augmix": [3, 5], "two_tone": [3, 5], "prime": [3, 5]}
    changing = few.get(name, [0, 1, 3, 5])
    assert (changed[changing] > _least(name)).all()
    for flat in out[:2]:  # no shape comes from a style, and none from nothing
        assert np.ptp(flat, axis=(0, 1)).max() < 1e-4


@pytest.mark.parametrize("name", DIVERSIFIERS)
def test_strength_0_is_identity_exactly(name):
    contents, styles = _pictures(6, 33, 47), _pictures(6, 33, 47, seed=1)
    strengths = jnp.asarray([0.0, 1.0, 0.0, 0.4, 0.0, 0.3])
    out = np.asarray(_jitted(name)(_keys(6), contents, styles, strengths))
    np.testing.assert_array_equal(out[::2], contents[::2])
    assert (np.abs(out - contents).max((1, 2, 3))[1::2] > _least(name)).all()


@pytest.mark.parametrize("name", WITH_STYLES)
def test_own_style_is_identity(name):
    contents = _pictures(5, 33, 32).at[4].set(0.7)
    out = _jitted(name)(_keys(5), contents, contents, jnp.linspace(0.2, 1, 5))
    np.testing.assert_allclose(out, contents, atol=2e-6)


@pytest.mark.parametrize("name", DIVERSIFIERS)
def test_an_image_depends_on_its_own_key_content_style_and_strength_alone(name):
    contents, styles = _pictures(6, 20, 20), _pictures(6, 20, 20, seed=1)
    arguments = _keys(6), contents, styles, jnp.linspace(0.2, 1, 6)
    together = _jitted(name)(*arguments)
    np.testing.assert_array_equal(together, _jitted(name)(*arguments))
    backwards = _jitted(name)(*(x[::-1] for x in arguments))
    np.testing.assert_allclose(together, backwards[::-1], atol=2e-6)
    parts = [x.reshape(2, 3, 1, *x.shape[1:]) for x in arguments]
    apart = jax.pmap(jax.vmap(_diversifier(name)))(*parts)
    np.testing.assert_allclose(together, apart.reshape(together.shape), atol=2e-6)


@pytest.mark.parametrize("name", DIVERSIFIERS)
def test_jit_equals_eager(name):
    contents, styles = _pictures(6, 20, 20), _pictures(6, 20, 20, seed=1)
    arguments = _keys(6), contents, styles, jnp.linspace(0.2, 1, 6)
    eager = _diversifier(name)(*arguments)
    np.testing.assert_allclose(_jitted(name)(*arguments), eager, atol=2e-6)


# Fourier


@pytest.mark.parametrize("size", [(20, 20), (23, 32), (32, 21)])
@pytest.mark.parametrize("beta", [0.5, 0.2, 0.06])
def test_mix_amplitude_equals_the_formula(size, beta):
    contents, styles = _pictures(3, *size), _pictures(3, *size, seed=1)
    strengths = np.asarray([0.3, 0.8, 1.0], np.float32)
    h, w = size
    down, across = (np.arange(n) - n // 2 for n in size)
    low = (np.abs(down)[:, None] <= beta * h) & (np.abs(across) <= beta * w)
    expected = []
    for content, style, strength in zip(contents, styles, strengths, strict=True):
        spectra = [
            np.fft.fftshift(np.fft.fft2(np.asarray(x, np.float64), axes=(0, 1)), (0, 1))
            for x in (content, style)
        ]
        amplitude, style_amplitude = np.abs(spectra)
        mixed = (1 - strength) * amplitude + strength * style_amplitude
        amplitude = np.where(low[..., None], mixed, amplitude)
        spectrum = amplitude * np.exp(1j * np.angle(spectra[0]))
        image = np.fft.ifft2(np.fft.ifftshift(spectrum, (0, 1)), axes=(0, 1))
        np.testing.assert_allclose(image.imag, 0, atol=1e-9)
        expected.append(np.clip(image.real, 0, 1))
    mix = functools.partial(mix_amplitude, beta=beta)
    out = mix(_keys(3), contents, styles, jnp.asarray(strengths))
    np.testing.assert_allclose(out, expected, atol=5e-6)


# Two tones


def test_two_tone_equals_the_formula():
    contents, keys = _pictures(40, 21, 20), _keys(40)
    out = np.asarray(_jitted("two_tone")(keys, contents, contents, jnp.ones(40)))
    assert (np.ptp(out, axis=-1) == 0).all()  # no colour
    assert (((out == 0) | (out == 1)).mean((1, 2, 3)) > 0.5).mean() > 0.9
    # Some grey of the content's channels, the threshold taken off, is the picture: the
    # linear fit to what is neither black nor white is exact, and its shares sum to 1.
    n_fitted = 0
    for content, picture in zip(np.asarray(contents, np.float64), out, strict=True):
        between = (picture[..., 0] > 0) & (picture[..., 0] < 1)
        if between.sum() < 12:
            continue
        n_fitted += 1
        known = np.c_[content[between], np.ones(between.sum())]
        fit, *_ = np.linalg.lstsq(known, picture[between, 0], rcond=None)
        shares, threshold = 0.1 * fit[:3], 0.1 * (0.5 - fit[3])
        np.testing.assert_allclose(known @ fit, picture[between, 0], atol=1e-5)
        np.testing.assert_allclose(shares.sum(), 1, atol=1e-3)
        assert (shares > -1e-3).all()
        assert 0.3 - 1e-3 < threshold < 0.95 + 1e-3
        expected = np.clip((content @ shares - threshold) / 0.1 + 0.5, 0, 1)
        np.testing.assert_allclose(picture[..., 0], expected, atol=1e-3)
    assert n_fitted > 20


# Random convolutions


def test_random_convolution_equals_the_formula():
    contents = _pictures(6, 20, 20)
    strengths = np.asarray([0.5, 1.0, 0.9, 0.2, 0.7, 1.0], np.float32)
    kernels = np.asarray(jax.vmap(draw_kernel)(_keys(6)))
    assert len({(kernel != 0).sum() for kernel in kernels}) > 1  # several sizes
    expected = np.zeros(contents.shape)
    for i, image in enumerate(np.asarray((contents - MEAN) / STD)):
        padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), mode="edge")
        for y, x in np.ndindex(20, 20):
            window = padded[y : y + 7, x : x + 7]
            convolved = np.einsum("yxi,yxio->o", window, kernels[i])
            mixed = (1 - strengths[i]) * image[y, x] + strengths[i] * convolved
            expected[i, y, x] = np.clip(mixed * STD + MEAN, 0, 1)
    out = _jitted("randconv")(_keys(6), contents, contents, strengths)
    np.testing.assert_allclose(out, expected, atol=2e-6)


def test_kernel_sizes_are_uniform_and_weights_normal():
    kernels = np.asarray(jax.jit(jax.vmap(draw_kernel))(_keys(4000)))
    extents = (np.abs(kernels) > 0).any((3, 4))  # [4000, 7, 7]
    n_taps = extents.sum((1, 2))
    for size in (1, 3, 5, 7):
        chosen = n_taps == size * size
        assert abs(chosen.mean() - 0.25) < 0.03  # 4 standard errors
        margin = (7 - size) // 2
        inside = kernels[chosen][:, margin : 7 - margin, margin : 7 - margin]
        assert inside.size == (kernels[chosen] != 0).sum()  # centred
        scaled = inside * np.sqrt(3 * size * size)
        tolerance = 4 / np.sqrt(scaled.size)
        assert abs(scaled.mean()) < tolerance
        assert abs(scaled.std() - 1) < tolerance
        assert abs((np.abs(scaled) < 1).mean() - 0.6827) < tolerance
    assert set(n_taps) == {1, 9, 25, 49}


# Colour


def _axes(images):
    """Returns images in lightness, yellow-blue and red-green."""
    rows = np.asarray([[1, 1, 1], [1, 1, -2], [1, -1, 0]], np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(images, np.float64) @ rows.T


def test_match_colour_equals_the_formula():
    contents = _pictures(4, 20, 22) * 0.5 + 0.25
    styles = _pictures(4, 20, 22, seed=1) * 0.3 + 0.4
    strengths = jnp.asarray([0.3, 0.5, 0.8, 1.0])
    out = _jitted("colour")(_keys(4), contents, styles, strengths)
    assert 0 < np.min(out) < np.max(out) < 1  # nothing is clipped
    content, style = _axes(contents), _axes(styles)
    statistics = {"axis": (1, 2), "keepdims": True}
    matched = (content - content.mean(**statistics)) / content.std(**statistics)
    matched = matched * style.std(**statistics) + style.mean(**statistics)
    weight = np.asarray(strengths)[:, None, None, None]
    expected = (1 - weight) * content + weight * matched
    np.testing.assert_allclose(_axes(out), expected, atol=3e-6)


def test_match_colour_does_not_amplify_noise():
    rng = np.random.default_rng(0)
    tile = jnp.asarray(0.6 + rng.normal(0, 0.004, (1, 20, 20, 3)), jnp.float32)
    style = _pictures(1, 20, 20)
    out = np.asarray(_jitted("colour")(_keys(1), tile, style, jnp.ones(1)))
    assert _axes(out).std((1, 2)).max() < 4 * 0.005
    np.testing.assert_allclose(out.mean((1, 2)), style.mean((1, 2)), atol=1e-3)


# Partners


@pytest.mark.parametrize("domain", [[0, 0, 1, 2, 2, 2, 7], [5, 5, 5, 1], [0, 1]])
def test_partners_are_uniform_over_the_other_domains(domain):
    domain = np.asarray(domain, np.int32)
    n = 3000
    drawn = jax.jit(jax.vmap(partners, (0, None)))(_keys(n), domain)
    drawn = np.asarray(drawn)
    assert drawn.dtype == np.int32
    for i, own in enumerate(domain):
        others = np.flatnonzero(domain != own)
        counts = np.bincount(drawn[:, i], minlength=len(domain))
        assert counts[others].sum() == n
        share = 1 / len(others)
        error = np.sqrt(share * (1 - share) / n)
        assert np.abs(counts[others] / n - share).max() <= 4.5 * error


def test_without_another_domain_each_is_its_own_partner():
    drawn = partners(jax.random.key(0), jnp.full(5, 3))
    np.testing.assert_array_equal(drawn, np.arange(5))
    np.testing.assert_array_equal(partners(jax.random.key(0), jnp.zeros(1)), [0])


# MixStyle

_mixed = jax.jit(mix_style, static_argnames="mix")


@jax.jit
def _mixed_often(rngs, features, p, alpha):
    """Returns features [2, h, w, C] mixed with each other, once a key."""

    def mixed(rng):
        settings = {"p": p, "alpha": alpha, "mix": "crossdomain"}
        return mix_style(rng, features, jnp.arange(2), **settings)

    return jax.vmap(mixed)(rngs)


def _two_features():
    """Returns features [2, 4, 4, 1] of the means 0 and 1."""
    noise = np.random.default_rng(0).normal(size=(2, 4, 4, 1))
    noise -= noise.mean((1, 2), keepdims=True)
    return jnp.asarray(noise + np.arange(2)[:, None, None, None], jnp.float32)


def _features(b=6, dtype=jnp.float32):
    rng = np.random.default_rng(0)
    scale, offset = rng.uniform(0.5, 3, (2, b, 1, 1, 4))
    return jnp.asarray(rng.normal(size=(b, 5, 7, 4)) * scale + offset, dtype)


def _statistics(x):
    x = np.asarray(x, np.float64)
    return x.mean((1, 2)), x.std((1, 2))


def _own_weights(out, features):
    """Returns own weight [B] and partner [B] that explain the statistics of `out`."""
    own = np.concatenate(_statistics(features), -1)
    mixed = np.concatenate(_statistics(out), -1)
    best = []
    for i in range(len(own)):
        found = []
        for j in range(len(own)):
            step = own[j] - own[i]
            shift = mixed[i] - own[i]
            away = step @ shift / max(step @ step, 1e-12)
            found.append((np.abs(shift - away * step).max(), 1 - away, j))
        best.append(min(found))
    error, weight, partner = map(np.asarray, zip(*best, strict=True))
    assert error.max() < 1e-4  # one weight for all channels, mean and deviation alike
    return weight, partner


@pytest.mark.parametrize("mix", ["random", "crossdomain"])
def test_mix_style_equals_the_formula(mix):
    features, domain = _features(), np.asarray([0, 0, 1, 1, 2, 2])
    for seed in range(8):
        out = _mixed(jax.random.key(seed), features, domain, p=1.0, alpha=0.8, mix=mix)
        weight, partner = _own_weights(out, features)
        mean, deviation = _statistics(features)
        weight = weight[:, None]
        mixed_mean = weight * mean + (1 - weight) * mean[partner]
        mixed_deviation = weight * deviation + (1 - weight) * deviation[partner]
        normal = (features - mean[:, None, None]) / deviation[:, None, None]
        expected = normal * mixed_deviation[:, None, None] + mixed_mean[:, None, None]
        np.testing.assert_allclose(out, expected, atol=1e-3)
        assert (weight > -1e-4).all()
        assert (weight < 1 + 1e-4).all()
        if mix == "crossdomain":
            moved = weight[:, 0] < 0.99
            assert moved.any()
            assert (domain[partner] != domain)[moved].all()


def test_mix_style_weights_follow_the_beta_distribution():
    # The means are 0 and 1, so the new mean tells the weight.
    out = np.asarray(_mixed_often(_keys(4000), _two_features(), 1.0, 0.1))
    weights = out.mean((2, 3, 4))
    weights = np.stack([1 - weights[:, 0], weights[:, 1]], -1)
    error = 4.5 / np.sqrt(weights.size)
    assert abs(weights.mean() - 0.5) < error
    # Beta(a, a) has the variance 1 / (4 (2 a + 1)); uniform weights would have 1 / 12.
    assert abs(weights.var() - 1 / 4.8) < error / 4
    reference = np.random.default_rng(0).beta(0.1, 0.1, 200_000)
    for edge in (0.01, 0.1, 0.5, 0.9, 0.99):
        assert abs((weights < edge).mean() - (reference < edge).mean()) < error
    assert abs(np.corrcoef(weights.T)[0, 1]) < 0.08  # a weight for each example


def test_mix_style_is_applied_to_whole_batches_with_probability_p():
    features = _two_features()
    same = np.asarray(_mixed_often(_keys(4000), features, 0.3, 1.0) == features)
    same = same.all((2, 3, 4))
    assert (same[:, 0] == same[:, 1]).all()  # both examples or none, exactly
    assert abs((~same[:, 0]).mean() - 0.3) < 0.03  # 4 standard errors
    assert (_mixed_often(_keys(4000), features, 0.0, 1.0) == features).all()


def test_mix_style_leaves_what_has_its_partners_statistics():
    features, settings = _features(), {"p": 1.0, "alpha": 0.5, "mix": "crossdomain"}
    # One domain: the only partner is oneself.
    alone = _mixed(jax.random.key(0), features, jnp.zeros(6, jnp.int32), **settings)
    np.testing.assert_allclose(alone, features, atol=1e-5)
    moved = jnp.stack([jnp.roll(features[0], n, 0) for n in range(6)])
    out = _mixed(jax.random.key(0), moved, jnp.arange(6), **settings)
    np.testing.assert_allclose(out, moved, atol=1e-5)


@pytest.mark.parametrize("alpha", [1e6, 1e-3])
def test_mix_style_goes_from_half_way_to_all_or_nothing(alpha):
    features, domain = _features(), jnp.asarray([0, 0, 1, 1, 2, 2])
    settings = {"p": 1.0, "alpha": alpha, "mix": "crossdomain"}
    out = _mixed(jax.random.key(1), features, domain, **settings)
    weight, _ = _own_weights(out, features)
    wanted = [0.5] if alpha > 1 else [0, 1]
    assert np.abs(np.subtract.outer(weight, wanted)).min(1).max() < 0.01


def test_mix_style_stops_the_gradient_through_the_statistics():
    features, domain = _features(), jnp.asarray([0, 0, 1, 1, 2, 2])
    settings = {"p": 1.0, "alpha": 0.8, "mix": "crossdomain"}
    key = jax.random.key(2)
    out, pull = jax.vjp(lambda x: _mixed(key, x, domain, **settings), features)
    direction = jax.random.normal(jax.random.key(3), out.shape)
    (gradient,) = pull(direction)
    # Only the normalized features' own path is left: a gain per example and channel.
    gain = _statistics(out)[1] / _statistics(features)[1]
    np.testing.assert_allclose(
        gradient, direction * gain[:, None, None].astype(np.float32), rtol=1e-3
    )


def test_mix_style_keeps_the_dtype_and_refuses_an_unknown_mix():
    features, domain = _features(dtype=jnp.bfloat16), jnp.arange(6)
    narrow = _mixed(jax.random.key(0), features, domain, p=1.0, alpha=0.8)
    assert narrow.dtype == jnp.bfloat16
    wide = _mixed(
        jax.random.key(0), features.astype(jnp.float32), domain, p=1.0, alpha=0.8
    )
    np.testing.assert_array_equal(narrow, wide.astype(jnp.bfloat16))
    with pytest.raises(ValueError, match=r"'swap'.*'crossdomain'"):
        mix_style(jax.random.key(0), features, domain, mix="swap")
