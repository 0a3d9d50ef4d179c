"""When images are diversified, how strongly, and in whose style."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_pair import tiny_pair

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify import DIVERSIFIERS
from jigsaw_shape.diversify.schedule import Styling, make_schedule, moved

B, SIZE, GRID = 60, 12, 3
N_EXTERNAL = 40  # styles of a value above those of the batch


def _paint(rngs, contents, styles, strengths):
    """Paints a share of the style over the content."""
    s = strengths[:, None, None, None]
    return jnp.where(s > 0, (1 - s) * contents + s * styles, contents)


def _settings(**fields):
    settings = config_lib.default_config().diversify
    settings.update({"weakest": (1.0,), **fields})
    return settings


def _batch(seed=0):
    """Images of one value each, their own number; half of them ordered."""
    numbers = jnp.arange(B) / 255
    images = jnp.broadcast_to(numbers[:, None, None, None], (B, SIZE, SIZE, 3))
    orders = jnp.arange(B) % 2
    domain = jnp.arange(B) % 3
    rngs = jax.random.split(jax.random.key(seed), B)
    return jax.random.key(seed + 100), rngs, images, orders, domain


def _external():
    values = np.arange(B, B + N_EXTERNAL, dtype=np.uint8)[:, None, None, None]
    return Styling(jnp.asarray(np.broadcast_to(values, (N_EXTERNAL, SIZE, SIZE, 3))))


def _runs(settings, seeds, progress=0.0, styling=None, changes=(_paint,)):
    """Returns the batch of each seed: [seeds, B, H, W, 3]."""
    schedule = jax.jit(make_schedule(settings, GRID, changes))
    given = styling or Styling()
    return np.stack([schedule(progress, *_batch(seed), given) for seed in seeds])


def _run(settings, **given):
    return _runs(settings, [0], **given)[0]


def _who(images):
    """Returns whose value each pixel shows: int [B, H, W]."""
    return np.rint(np.asarray(images)[..., 0] * 255).astype(int)


def test_ordered_and_shuffled_images_have_their_own_probability():
    settings = _settings(p_ordered=(0.0,), p_shuffled=(1.0,))
    _, _, _, orders, domain = _batch()
    shown = _who(_run(settings))[:, 0, 0]
    orders, domain = np.asarray(orders), np.asarray(domain)
    assert (shown[orders == 0] == np.flatnonzero(orders == 0)).all()
    styled = orders > 0
    assert (domain[shown[styled]] != domain[styled]).all()
    assert len(set(shown[styled])) > 10


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_probability_is_kept(p):
    shown = _who(_runs(_settings(p_ordered=(p,), p_shuffled=(p,)), range(20)))
    changed = shown[:, :, 0, 0] != np.arange(B)
    assert changed.mean() == pytest.approx(p, abs=0.06)


def test_numbers_move_from_the_first_to_the_last():
    assert float(moved((0.3,), 0.9)) == pytest.approx(0.3)
    assert [float(moved((0.2, 0.6), t)) for t in (0.0, 0.5, 1.0)] == pytest.approx(
        [0.2, 0.4, 0.6]
    )
    settings = _settings(p_ordered=(0.0, 1.0), p_shuffled=(0.0, 1.0))
    shares = [
        np.mean(_who(_runs(settings, range(10), t))[:, :, 0, 0] != np.arange(B))
        for t in (0.0, 0.5, 1.0)
    ]
    assert shares == pytest.approx([0, 0.5, 1], abs=0.08)


def test_nothing_is_diversified_after_the_end():
    settings = _settings(p_ordered=(1.0,), p_shuffled=(1.0,), until=0.75)
    _, _, images, _, _ = _batch()
    assert (_who(_run(settings, progress=0.74)) != _who(images)).all()
    np.testing.assert_array_equal(_run(settings, progress=0.76), images)


def test_strengths_fill_their_range():
    settings = _settings(
        p_ordered=(1.0,), p_shuffled=(1.0,), weakest=(0.25,), strongest=(0.5,)
    )

    def show(rngs, contents, styles, strengths):
        return jnp.broadcast_to(strengths[:, None, None, None], contents.shape)

    strengths = _runs(settings, range(10), changes=(show,))
    assert 0.25 <= strengths.min() < 0.27
    assert 0.48 < strengths.max() <= 0.5


def test_external_styles_have_their_share_and_are_all_used():
    settings = _settings(p_ordered=(1.0,), p_shuffled=(1.0,), external=(0.4,))
    shown = _who(_runs(settings, range(20), styling=_external()))[:, :, 0, 0]
    assert (shown >= B).mean() == pytest.approx(0.4, abs=0.05)
    assert set(shown[shown >= B]) == set(range(B, B + N_EXTERNAL))


@pytest.mark.parametrize("enlarge", [False, True])
def test_tiles_have_styles_of_their_own_where_asked(enlarge):
    settings = _settings(p_ordered=(1.0,), p_shuffled=(1.0,), per_tile=(1.0,))
    settings.enlarge_tiles = enlarge
    _, _, _, orders, domain = _batch()
    shown = _who(_run(settings))
    orders, domain = np.asarray(orders), np.asarray(domain)
    side = SIZE // GRID
    tiles = shown[:, ::side, ::side].reshape(B, -1)
    assert (
        shown == np.repeat(np.repeat(shown[:, ::side, ::side], side, 1), side, 2)
    ).all()
    n_styles = np.array([len(set(row)) for row in tiles])
    assert (n_styles[orders == 0] == 1).all()
    assert n_styles[orders > 0].mean() > 5
    assert (domain[tiles] != domain[:, None]).all()


def test_a_tile_wears_the_part_of_the_style_at_its_place():
    settings = _settings(p_ordered=(0.0,), p_shuffled=(1.0,), per_tile=(1.0,))
    shard_rng, rngs, _, orders, domain = _batch()
    # Every image shows, in each tile, the tile's number.
    numbers = jnp.arange(GRID * GRID).reshape(GRID, GRID) / 255
    picture = numbers.repeat(SIZE // GRID, 0).repeat(SIZE // GRID, 1)
    images = jnp.broadcast_to(picture[None, ..., None], (B, SIZE, SIZE, 3))
    schedule = make_schedule(settings, GRID, (_paint,))
    out = schedule(0.0, shard_rng, rngs, images, orders, domain, Styling())
    np.testing.assert_array_equal(out, images)


def test_enlarged_tiles_meet_whole_styles_at_the_image_s_size():
    settings = _settings(p_shuffled=(1.0,), per_tile=(1.0,), enlarge_tiles=True)
    seen = []

    def look(rngs, contents, styles, strengths):
        seen.append((contents.shape[1:], styles.shape[1:]))
        return contents

    _, _, images, _, _ = _batch()
    out = _run(settings, changes=(look,))
    assert seen[-1] == ((SIZE, SIZE, 3), (SIZE, SIZE, 3))
    np.testing.assert_allclose(out, images, atol=1e-6)


def test_a_batch_of_one_domain_stays_as_it_is():
    settings = _settings(p_ordered=(1.0,), p_shuffled=(1.0,))
    shard_rng, rngs, images, orders, _ = _batch()
    one = jnp.zeros(B, jnp.int32)
    schedule = make_schedule(settings, GRID, (_paint,))
    out = schedule(0.0, shard_rng, rngs, images, orders, one, Styling())
    np.testing.assert_array_equal(out, images)


def test_only_what_changes_is_computed():
    settings = _settings(p_ordered=(0.0,), p_shuffled=(0.3,))
    computed = []

    def count(rngs, contents, styles, strengths):
        jax.debug.callback(lambda s: computed.append(np.asarray(s)), strengths)
        return contents

    jax.block_until_ready(_run(settings, changes=(count,)))
    jax.effects_barrier()
    n_changed = (np.concatenate(computed) > 0).sum()
    assert 0 < n_changed <= len(np.concatenate(computed)) < B / 2


@pytest.mark.parametrize(
    "name", [n for n, d in DIVERSIFIERS.items() if not d.uses_stylizer]
)
def test_every_diversifier_runs_compiled_whole_and_per_tile(name):
    settings = config_lib.default_config().diversify
    settings.update({"name": name, "p_ordered": (0.5,), "p_shuffled": (1.0,)})
    settings.per_tile = (0.5,)
    shard_rng, rngs, _, orders, domain = _batch()
    images = jnp.asarray(np.random.default_rng(0).random((B, 24, 24, 3)), jnp.float32)
    schedule = jax.jit(make_schedule(settings, GRID))
    arguments = 0.5, shard_rng, rngs, images, orders, domain, Styling()
    out = np.asarray(schedule(*arguments))
    assert out.shape == images.shape
    assert out.min() >= 0
    assert out.max() <= 1
    changed = (out != np.asarray(images)).any((1, 2, 3))
    assert changed[np.asarray(orders) > 0].all()
    assert 0.2 < changed[np.asarray(orders) == 0].mean() < 0.8
    np.testing.assert_array_equal(out, schedule(*arguments))


@pytest.mark.parametrize("enlarge", [False, True])
def test_adain_runs_compiled_with_styles_of_both_kinds(enlarge):
    settings = config_lib.default_config().diversify
    settings.update(name="adain", p_shuffled=(1.0,), per_tile=(0.5,), external=(0.5,))
    settings.enlarge_tiles = enlarge
    shard_rng, rngs, _, orders, domain = _batch()
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((B, 48, 48, 3)), jnp.float32)
    styles = jnp.asarray(rng.integers(0, 256, (5, 48, 48, 3)), jnp.uint8)
    schedule = jax.jit(make_schedule(settings, GRID))
    styling = Styling(styles, tiny_pair())
    out = schedule(0.5, shard_rng, rngs, images, orders, domain, styling)
    changed = np.asarray((out != images).any((1, 2, 3)))
    np.testing.assert_array_equal(changed, np.asarray(orders) > 0)
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


def test_unknown_diversifier_is_refused():
    settings = config_lib.default_config().diversify
    settings.name = "blur"
    with pytest.raises(ValueError, match=r"'blur': adain, fourier, randconv, colour"):
        make_schedule(settings, GRID)
    settings.name = "colour,blur"
    with pytest.raises(ValueError, match="has 'blur': "):
        make_schedule(settings, GRID)


def test_each_image_is_changed_by_one_of_several_diversifiers():
    settings = config_lib.default_config().diversify
    settings.update(name="fourier, colour,randconv", weakest=(1.0,))
    settings.update(p_ordered=(0.8,), p_shuffled=(1.0,), per_tile=(0.5,))
    shard_rng, rngs, _, orders, domain = _batch()
    images = jnp.asarray(np.random.default_rng(0).random((B, 24, 24, 3)), jnp.float32)

    def run(name):
        settings.name = name
        schedule = jax.jit(make_schedule(settings, GRID))
        return np.asarray(
            schedule(0.5, shard_rng, rngs, images, orders, domain, Styling())
        )

    mixed = run("fourier, colour,randconv")
    singly = np.stack([run(name) for name in ("fourier", "colour", "randconv")])
    equal = np.isclose(mixed, singly, atol=1e-6).all((2, 3, 4))
    unchanged = (singly == np.asarray(images)).all((0, 2, 3, 4))
    assert 0 < unchanged.sum() < B / 4
    assert equal.any(0).all()
    assert equal[:, unchanged].all()
    by_whom = equal[:, ~unchanged]
    assert (by_whom.sum(0) == 1).all()
    assert (by_whom.sum(1) > B / 8).all()
