"""Max pooling is XLA's, value and gradient, also where pixels are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.models.operations import max_pool as lib
from jigsaw_shape.models.pooling import max_pool


@pytest.mark.parametrize("side", [6, 7, 8, 9])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "ceil_mode"),
    [
        (3, 2, 1, False),  # ResNet
        (3, 2, 0, True),  # CaffeNet
        (3, 2, 0, False),  # AlexNet
        (2, 2, 0, False),  # VGG
        (3, 1, 1, False),
        (3, 3, 0, False),
        (5, 2, 2, True),
    ],
)
def test_it_is_xla_s(side, size, stride, padding, ceil_mode):
    rng = np.random.default_rng(side)
    x = jnp.asarray(rng.standard_normal((2, side, side + 1, 3)), jnp.float32)
    endless = x.at[0, 0, 0, 0].set(-jnp.inf)
    # The second and third have many equals.
    for image in (x, jax.nn.relu(x), jnp.round(x), endless):
        _compare(image, size, stride, padding, ceil_mode)


def _compare(x, size, stride, padding, ceil_mode):
    def ours(x):
        return max_pool(x, size, stride, padding=padding, ceil_mode=ceil_mode)

    value, back = jax.vjp(ours, x)
    weights = jnp.arange(1.0, value.size + 1).reshape(value.shape)
    more = [-(n + 2 * padding - size) % stride * ceil_mode for n in x.shape[1:3]]
    windows = (size, stride, tuple((padding, padding + m) for m in more))
    expected, back_expected = jax.vjp(lambda x: lib.pool(x, windows), x)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(back(weights)[0], back_expected(weights)[0])


def test_it_keeps_the_dtype_and_follows_vmap_and_jit():
    x = jax.random.normal(jax.random.key(0), (2, 2, 6, 6, 3), jnp.bfloat16)

    def gradient(x):
        return jax.grad(lambda x: max_pool(x, 2, 2).astype(jnp.float32).sum())(x)

    mapped = jax.jit(jax.vmap(gradient))(x)
    assert mapped.dtype == jnp.bfloat16
    np.testing.assert_array_equal(mapped[1], gradient(x[1]))
    assert float(mapped.sum()) == 2 * 2 * 9 * 3


def test_a_window_that_begins_beyond_the_map_is_not_counted():
    x = jnp.ones((1, 5, 5, 1))  # the third window would begin at its sixth pixel
    assert max_pool(x, 3, 3, padding=1, ceil_mode=True).shape == (1, 2, 2, 1)


def test_no_gradient_is_lost_where_what_is_pooled_is_computed_again():
    x = jax.random.normal(jax.random.key(0), (4, 20, 20, 8))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 8, 8))

    def gradient(pool):
        def loss(kernel):
            y = jax.lax.conv_general_dilated(
                x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            y = jax.nn.relu((y - y.mean((0, 1, 2))) / y.std((0, 1, 2)) * 1.3 + 0.1)
            pooled = pool(y)
            return (
                pooled * jnp.cos(jnp.arange(pooled.size).reshape(pooled.shape))
            ).sum()

        return jax.jit(jax.grad(loss))(kernel)

    windows = (3, 2, ((1, 1), (1, 1)))
    expected = gradient(lambda y: lib.pool(y, windows))
    ours = gradient(lambda y: lib.max_pool(y, windows))
    np.testing.assert_allclose(ours, expected, atol=1e-5 * abs(expected).max())


def gradient_program(platform):
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    gradient = jax.jit(jax.grad(lambda x: max_pool(x, 2, 2).sum()))
    return gradient.trace(x).lower(lowering_platforms=(platform,)).as_text()


def test_each_platform_has_its_gradient():
    assert "select_and_scatter" in gradient_program("tpu")
    for platform in ("cpu", "cuda", "rocm"):
        assert "select_and_scatter" not in gradient_program(platform)


def test_places_are_found_apart_from_what_reads_them():
    assert gradient_program("cpu").count("stablehlo.is_finite") == 1
    assert gradient_program("cuda").count("stablehlo.optimization_barrier") == 1


def test_a_map_smaller_than_a_window_is_refused():
    with pytest.raises(ValueError, match=r"gets a map of 2 x 2: raise it"):
        max_pool(jnp.ones((1, 2, 2, 1)), 3, 2)
