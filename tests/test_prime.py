"""PRIME's primitives against plain NumPy, and what is mixed of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify import prime
from jigsaw_shape.diversify.prime import PRIMITIVES, mix_primitives
from jigsaw_shape.presets import apply_preset

H, W = 15, 21
IMAGES = np.random.default_rng(0).random((8, H, W, 3)).astype(np.float32)
KEY = jax.random.key(3)

_mix = jax.jit(mix_primitives)
_draw = jax.jit(jax.vmap(prime._draw))
_primitives = {name: jax.jit(function) for name, function in PRIMITIVES.items()}


def _normal(*shape):
    """Returns the normal numbers that a primitive draws from KEY."""
    draw = jax.random.normal(KEY, (np.prod(shape),))
    return np.asarray(draw, np.float64).reshape(shape)


def _keys(n):
    return jax.random.split(KEY, n)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.9])
def test_convolve_adds_noise_to_the_identity(share):
    kernel = 4 * share * _normal(3, 3)
    kernel[1, 1] += 1
    padded = np.pad(IMAGES[0], ((1, 1), (1, 1), (0, 0)), mode="edge")
    expected = np.zeros((H, W, 3))
    for y, x in np.ndindex(H, W):
        expected[y, x] = np.einsum("yx,yxc->c", kernel, padded[y : y + 3, x : x + 3])
    shares = jnp.array([share, 0.5, 0.5])
    out = _primitives["convolve"](KEY, shares, IMAGES[0])
    np.testing.assert_allclose(out, np.clip(expected, 0, 1), atol=1e-5)
    if share == 0:
        np.testing.assert_array_equal(out, IMAGES[0])


def _displacements(shares):
    """Returns how far pixels move down and to the right: float64 [2, H, W]."""
    largest = np.floor(3 + shares[0] * (round(500 / 224 * H) - 2))  # 3 to 33
    betas = np.sin(np.pi / 2 * np.asarray(shares[1:])) ** 2
    cut = min(np.floor(2 + betas[0] * (largest - 1)), H - 1)
    low = 1 / (np.pi * H**2 * np.log(cut))
    high = max(low, 4 / (np.pi**3 * cut**2 * np.log(cut)))
    temperature = low + betas[1] * (high - low)
    normal = _normal(2, H - 1, H - 1)
    v, u = np.linspace(0, 1, H)[:, None], np.linspace(0, 1, W)
    moves = np.zeros((2, H, W))
    for i, j in np.ndindex(H - 1, H - 1):
        length = np.hypot(i + 1, j + 1)
        if length <= cut + 0.5:
            wave = np.sin(np.pi * (i + 1) * v) * np.sin(np.pi * (j + 1) * u)
            deviation = np.sqrt(temperature) / length
            moves += H * deviation * normal[:, i, j, None, None] * wave
    return moves


@pytest.mark.parametrize("shares", [(0.0, 0.3, 1.0), (0.9, 0.3, 0.7), (0.99, 1.0, 0.5)])
def test_warp_moves_pixels_by_a_sum_of_sines(shares):
    rows, columns = np.mgrid[:H, :W]
    down, right = _displacements(shares)
    assert 0.3 < np.abs(down).max() < H / 2
    y, x = np.clip(rows - down, 0, H - 1), np.clip(columns - right, 0, W - 1)
    expected = np.zeros((H, W, 3))
    for row, column in np.ndindex(H, W):  # each pixel weighs by its nearness
        near = np.maximum(1 - np.abs(rows[..., None] - y[row, column]), 0)
        near = near * np.maximum(1 - np.abs(columns[..., None] - x[row, column]), 0)
        expected[row, column] = (near * IMAGES[0]).sum((0, 1))
    out = _primitives["warp"](KEY, jnp.array(shares), IMAGES[0])
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_warp_leaves_the_border_and_flat_images():
    shares = jnp.array([0.5, 0.4, 0.9])
    out = np.asarray(_primitives["warp"](KEY, shares, IMAGES[0]))
    inside = np.zeros((H, W), bool)
    inside[1:-1, 1:-1] = True
    np.testing.assert_allclose(out[~inside], IMAGES[0][~inside], atol=1e-5)
    assert np.abs(out - IMAGES[0])[inside].max() > 0.2
    flat = jnp.full((H, W, 3), 0.3)
    np.testing.assert_array_equal(_primitives["warp"](KEY, shares, flat), flat)


@pytest.mark.parametrize(
    ("shares", "frequencies"),
    [
        ((0.0, 0.5, 0.7), range(1, 2)),  # cut-off 1
        ((0.1, 0.9, 0.5), range(46, 52)),  # the band ends at the cut-off 51
        ((0.998, 0.998, 1.0), range(500, 501)),
        ((0.7, 0.0, 0.9), range(1, 21)),  # no more than 20
        ((0.9, 0.2, 0.0), range(0)),  # of no size
    ],
)
def test_recolour_adds_sines_of_the_values(shares, frequencies):
    coefficients = np.sqrt(0.05 * shares[2]) * _normal(20, 3)
    values = IMAGES[0].astype(np.float64)
    expected = values.copy()
    for k, b in zip(frequencies, coefficients, strict=False):
        expected += b * np.sin(np.pi * k * values)
    out = _primitives["recolour"](KEY, jnp.array(shares), IMAGES[0])
    np.testing.assert_allclose(out, np.clip(expected, 0, 1), atol=2e-4)


def test_the_mixture_is_of_the_image_and_three_chains():
    keys, n = _keys(len(IMAGES)), len(IMAGES)
    out = np.array(_mix(keys, IMAGES, IMAGES, jnp.ones(n)))
    functions = list(_primitives.values())
    weights, depths, shares, rngs = _draw(keys)
    for image, chain in np.ndindex(n, 4):
        form = IMAGES[image]
        for i in range(int(depths[image, chain - 1]) if chain else 0):
            which = image, chain - 1, i
            function = functions[int(3 * shares[which][0])]
            form = function(rngs[which], shares[which][1:], form)
        out[image] -= weights[image, chain] * form
    # A steep curve makes much of what was rounded before it.
    np.testing.assert_allclose(out, 0, atol=5e-3)


def test_draws_are_those_of_the_paper():
    n = 4000
    weights, depths, shares, _ = _draw(_keys(n))
    weights = np.asarray(weights)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    # The image's is uniform; a chain's a third of the rest, Beta(1, 2) of it.
    quartiles = np.quantile(weights[:, 0], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quartiles, [0.25, 0.5, 0.75], atol=0.03)
    parts = weights[:, 1:] / weights[:, 1:].sum(1, keepdims=True)
    np.testing.assert_allclose(parts.mean(0), 1 / 3, atol=0.02)
    np.testing.assert_allclose(parts.var(0), 1 / 18, atol=0.005)
    for depth in (1, 2, 3):
        assert abs((depths == depth).mean() - 1 / 3) < 0.02
    assert 0 <= shares.min() < shares.max() < 1
    assert abs(shares.mean() - 0.5) < 0.01


def test_the_strength_moves_between_image_and_mixture():
    images = np.stack([IMAGES[1]] * 3)
    rngs = jnp.stack([jax.random.key(1)] * 3)
    found = _mix(rngs, images, images, jnp.array([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_allclose(found[1], (found[0] + found[2]) / 2, atol=1e-6)
    assert np.abs(found[2] - found[0]).max() > 0.05


def test_keys_give_images_of_their_own_in_range():
    images = np.stack([IMAGES[2]] * 8)
    out = np.asarray(_mix(_keys(8), images, images, jnp.ones(8)))
    assert out.dtype == np.float32
    assert 0 <= out.min() < out.max() <= 1
    for i, j in zip(*np.triu_indices(8, 1), strict=True):
        assert np.abs(out[i] - out[j]).max() > 0.01


def test_the_preset_is_augmix_with_other_chains():
    ours, augmix = (
        apply_preset(config_lib.default_config(), name) for name in ("prime", "augmix")
    )
    assert ours.diversify.name == "prime"
    ours.diversify.name, ours.preset = augmix.diversify.name, augmix.preset
    assert ours == augmix
