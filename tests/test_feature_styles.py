"""Styles changed in features, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.diversify.feature_styles import FEATURE_STYLES

FEATURES = np.random.default_rng(0).normal(1, 2, (2, 4, 3, 5)).astype(np.float32)
OTHERS = np.array([1, 0])  # each example's partner in the other domain


def _change(name, features=FEATURES, rng=0, **settings):
    settings = {"p": 1.0, "mix": "crossdomain", **settings}
    return FEATURE_STYLES[name](
        jax.random.key(rng), jnp.asarray(features), jnp.arange(2), **settings
    )


def _content(x):
    mean, deviation = x.mean((1, 2), keepdims=True), x.std((1, 2), keepdims=True)
    return (x - mean) / deviation


@pytest.mark.parametrize("name", FEATURE_STYLES)
def test_features_that_are_not_changed_come_back(name):
    for dtype in (jnp.float32, jnp.bfloat16):
        features = jnp.asarray(FEATURES, dtype)
        changed = _change(name, features, p=0.0)
        assert changed.dtype == dtype
        np.testing.assert_array_equal(changed, features)
    assert np.abs(_change(name, alpha=0.5) - FEATURES).max() > 1e-3


def test_efdmix_mixes_values_of_the_same_rank():
    mixed = np.asarray(_change("efdmix", alpha=1e8))  # so that every weight is 1/2
    flat = FEATURES.reshape(2, 12, 5)
    expected = np.empty_like(flat)
    for b in range(2):
        for c in range(5):
            own, other = flat[b, :, c], flat[OTHERS[b], :, c]
            rank = own.argsort().argsort()
            expected[b, :, c] = (own + np.sort(other)[rank]) / 2
    np.testing.assert_allclose(mixed.reshape(2, 12, 5), expected, atol=2e-3)


def test_efdmix_hands_its_gradient_through_and_a_part_to_the_partner():
    weights = np.random.default_rng(1).normal(size=FEATURES.shape)
    gradient = jax.grad(
        lambda x: (weights * _change("efdmix", x, alpha=1e8)).sum()  # halves
    )(FEATURES)
    flat, given = FEATURES.reshape(2, 12, 5), weights.reshape(2, 12, 5)
    expected = given.copy()
    for b in range(2):
        for c in range(5):
            mine, theirs = (flat[i, :, c].argsort() for i in (b, OTHERS[b]))
            expected[OTHERS[b], theirs, c] += given[b, mine, c] / 2
    np.testing.assert_allclose(gradient.reshape(2, 12, 5), expected, atol=1e-3)


def test_padain_takes_the_partner_s_statistics_and_keeps_the_content():
    changed = np.asarray(_change("padain"))
    for statistic in (np.mean, np.std):
        np.testing.assert_allclose(
            statistic(changed, (1, 2)), statistic(FEATURES, (1, 2))[OTHERS], rtol=1e-4
        )
    np.testing.assert_allclose(_content(changed), _content(FEATURES), atol=1e-4)


def test_dsu_moves_statistics_as_far_as_they_differ_in_the_batch():
    np.testing.assert_allclose(_change("dsu", alpha=0.0), FEATURES, atol=1e-6)
    changes = jax.jit(
        jax.vmap(lambda rng: FEATURE_STYLES["dsu"](rng, FEATURES, jnp.arange(2), p=1.0))
    )
    changed = np.asarray(changes(jax.random.split(jax.random.key(0), 4000)))
    content = np.abs(_content(changed[0]))  # the new deviation may be negative
    np.testing.assert_allclose(content, np.abs(_content(FEATURES)), atol=1e-3)
    moved = changed.mean((2, 3)) - FEATURES.mean((1, 2))
    expected = FEATURES.mean((1, 2)).std(0, ddof=1)
    np.testing.assert_allclose(moved.std((0, 1)), expected, rtol=0.1)
    np.testing.assert_allclose(moved.mean((0, 1)) / expected, 0, atol=0.1)
