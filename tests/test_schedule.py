"""When images are diversified, and in whose style."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape import config as config_lib
from jigsaw_shape import diversify
from jigsaw_shape.diversify.schedule import make_schedule

B, SIZE, GRID = 60, 12, 3


def _settings(monkeypatch, **fields):
    """Settings with a diversifier that paints a share of the style over the content."""

    def paint(rngs, contents, styles, strengths):
        s = strengths[:, None, None, None]
        return jnp.where(s > 0, (1 - s) * contents + s * styles, contents)

    monkeypatch.setitem(diversify.DIVERSIFIERS, "paint", paint)
    settings = config_lib.default_config().diversify
    settings.update({"name": "paint", "strength": (1.0, 1.0), **fields})
    return settings


def _batch(seed=0):
    """Images of one value each, their own number; half of them ordered."""
    numbers = jnp.arange(B) / B
    images = jnp.broadcast_to(numbers[:, None, None, None], (B, SIZE, SIZE, 3))
    orders = jnp.arange(B) % 2
    domain = jnp.arange(B) % 3
    rngs = jax.random.split(jax.random.key(seed), B)
    return jax.random.key(seed + 100), rngs, images, orders, domain


def _who(images):
    """Returns whose value each pixel shows: int [B, H, W]."""
    return np.rint(np.asarray(images)[..., 0] * B).astype(int)


def test_ordered_and_shuffled_images_have_their_own_probability(monkeypatch):
    settings = _settings(monkeypatch, p_ordered=0.0, p_shuffled=1.0)
    batch = _batch()
    shown = _who(make_schedule(settings, GRID)(*batch))[:, 0, 0]
    orders, domain = np.asarray(batch[3]), np.asarray(batch[4])
    assert (shown[orders == 0] == np.flatnonzero(orders == 0)).all()
    styled = orders > 0
    assert (domain[shown[styled]] != domain[styled]).all()
    assert len(set(shown[styled])) > 10


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_probability_is_kept(monkeypatch, p):
    settings = _settings(monkeypatch, p_ordered=p, p_shuffled=p)
    schedule, changed = make_schedule(settings, GRID), 0
    for seed in range(20):
        shown = _who(schedule(*_batch(seed)))[:, 0, 0]
        changed += (shown != np.arange(B)).sum()
    assert changed / (20 * B) == pytest.approx(p, abs=0.06)


def test_strengths_fill_their_range(monkeypatch):
    settings = _settings(monkeypatch, p_ordered=1.0, p_shuffled=1.0)
    settings.strength = (0.25, 0.5)
    seen = []

    def record(rngs, contents, styles, strengths):
        seen.append(np.asarray(strengths))
        return contents

    monkeypatch.setitem(diversify.DIVERSIFIERS, "paint", record)
    schedule = make_schedule(settings, GRID)
    for seed in range(10):
        schedule(*_batch(seed))
    strengths = np.concatenate(seen)
    assert 0.25 <= strengths.min() < 0.27
    assert 0.48 < strengths.max() <= 0.5


def test_tiles_have_styles_of_their_own_where_asked(monkeypatch):
    settings = _settings(monkeypatch, p_ordered=1.0, p_shuffled=1.0, per_tile=1.0)
    batch = _batch()
    shown = _who(make_schedule(settings, GRID)(*batch))
    orders, domain = np.asarray(batch[3]), np.asarray(batch[4])
    side = SIZE // GRID
    tiles = shown[:, ::side, ::side].reshape(B, -1)
    assert (
        shown == np.repeat(np.repeat(shown[:, ::side, ::side], side, 1), side, 2)
    ).all()
    n_styles = np.array([len(set(row)) for row in tiles])
    assert (n_styles[orders == 0] == 1).all()
    assert n_styles[orders > 0].mean() > 5
    assert (domain[tiles] != domain[:, None]).all()


def test_a_batch_of_one_domain_stays_as_it_is(monkeypatch):
    settings = _settings(monkeypatch, p_ordered=1.0, p_shuffled=1.0)
    shard_rng, rngs, images, orders, _ = _batch()
    one = jnp.zeros(B, jnp.int32)
    out = make_schedule(settings, GRID)(shard_rng, rngs, images, orders, one)
    np.testing.assert_array_equal(out, images)


@pytest.mark.parametrize("name", ["fourier", "randconv", "colour"])
def test_every_diversifier_runs_compiled_whole_and_per_tile(name):
    settings = config_lib.default_config().diversify
    settings.update({"name": name, "p_ordered": 0.5, "p_shuffled": 1.0})
    settings.per_tile = 0.5
    shard_rng, rngs, _, orders, domain = _batch()
    images = jnp.asarray(np.random.default_rng(0).random((B, 24, 24, 3)), jnp.float32)
    schedule = jax.jit(make_schedule(settings, GRID))
    out = np.asarray(schedule(shard_rng, rngs, images, orders, domain))
    assert out.shape == images.shape
    assert out.min() >= 0
    assert out.max() <= 1
    changed = (out != np.asarray(images)).any((1, 2, 3))
    assert changed[np.asarray(orders) > 0].all()
    assert 0.2 < changed[np.asarray(orders) == 0].mean() < 0.8
    np.testing.assert_array_equal(
        out, schedule(shard_rng, rngs, images, orders, domain)
    )


def test_unknown_diversifier_is_refused():
    settings = config_lib.default_config().diversify
    settings.name = "blur"
    with pytest.raises(ValueError, match=r"'blur': fourier, randconv, colour"):
        make_schedule(settings, GRID)
