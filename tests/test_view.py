"""What the training view returns: puzzles, in one style or in both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.training.view import make_view

B, STORED, SIZE = 24, 20, 18
PERMUTATIONS = puzzle.permutation_set(3, 30, 0)


def _see(both_styles=False, second_style=False, **fields):
    config = config_lib.default_config()
    config.data.image_size = SIZE
    config.jigsaw.bias_whole_image = 0.5
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    rng = np.random.default_rng(0)
    view = jax.jit(
        make_view(
            config, PERMUTATIONS, both_styles=both_styles, second_style=second_style
        )
    )
    return view(
        jax.random.key(3),
        0.0,
        jnp.arange(B),
        rng.integers(0, 256, (B, STORED, STORED, 3), np.uint8),
        jnp.arange(B) % 3,
        Styling(),
    )


STYLED = {
    "diversify__name": "colour",
    "diversify__p_ordered": (0.5,),
    "diversify__p_shuffled": (0.5,),
}


def test_without_diversification_nothing_is_styled_and_each_image_comes_once():
    seen = _see()
    assert seen.images.shape == (B, SIZE, SIZE, 3)
    assert not seen.styled.any()
    assert 0 < int((seen.orders == 0).sum()) < B


def test_styled_says_which_images_differ_from_their_natural_form():
    plain, seen = _see(), _see(**STYLED)
    differ = np.abs(np.asarray(plain.images - seen.images)).max((1, 2, 3)) > 1e-5
    np.testing.assert_array_equal(seen.styled, differ)
    np.testing.assert_array_equal(seen.orders, plain.orders)
    assert 0 < differ.sum() < B


def test_a_pair_is_the_diversified_view_and_the_natural_one_of_one_crop():
    plain, once = _see(), _see(**STYLED)
    both = _see(both_styles=True, **STYLED)
    assert both.images.shape == (2 * B, SIZE, SIZE, 3)
    np.testing.assert_allclose(both.images[:B], once.images, atol=1e-5)
    np.testing.assert_allclose(both.images[B:], plain.images, atol=1e-5)
    np.testing.assert_array_equal(both.orders[:B], both.orders[B:])
    np.testing.assert_array_equal(both.styled[:B], once.styled)
    assert not both.styled[B:].any()
    three = _see(both_styles=True, second_style=True, **STYLED)
    np.testing.assert_allclose(three.images[: 2 * B], both.images, atol=1e-5)
    twice = three.styled[:B] & three.styled[2 * B :]
    first, second = three.images[:B][twice], three.images[2 * B :][twice]
    assert twice.any()
    assert np.abs(first - second).max((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize("n", [B // 4])
def test_an_image_s_view_is_its_slot_s_whatever_the_batch(n):
    config = config_lib.default_config()
    config.data.image_size = SIZE
    config.diversify.update(name="randconv", p_ordered=(0.5,), p_shuffled=(0.5,))
    images = np.random.default_rng(0).integers(0, 256, (B, STORED, STORED, 3), np.uint8)
    view = jax.jit(make_view(config, PERMUTATIONS, both_styles=True))

    def see(part):
        slots = jnp.arange(B)[part]
        domain = jnp.zeros(len(slots), jnp.int32)
        return view(jax.random.key(3), 0.0, slots, images[part], domain, Styling())

    whole, last = see(slice(0, B)), see(slice(B - n, B))
    np.testing.assert_allclose(last.images[:n], whole.images[B - n : B], atol=1e-5)
    np.testing.assert_allclose(last.images[n:], whole.images[-n:], atol=1e-5)
