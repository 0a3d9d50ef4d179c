"""The 3x3 convolution is XLA's, value and derivatives, on every platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.models.operations import winograd
from jigsaw_shape.models.operations.winograd import conv3x3, convolution

N = winograd.MIN_CHANNELS


def example(h, w, c=N, f=N, b=2):
    keys = jax.random.split(jax.random.key(h * w + c))
    x = jax.random.normal(keys[0], (b, h, w, c))
    return x, jax.random.normal(keys[1], (3, 3, c, f)) / np.sqrt(9 * c)


def value_and_derivatives(function, x, kernel, padding):
    def both(x, kernel):
        y, backward = jax.vjp(lambda *args: function(*args, padding), x, kernel)
        return y, *backward(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    return jax.jit(both)(x, kernel)


# Maps that tiles of three fill, and that leave one or two over; smaller than a tile.
@pytest.mark.parametrize(
    ("h", "w", "padding"),
    [(6, 9, 1), (7, 5, 1), (8, 4, 1), (1, 2, 1), (7, 8, 0), (3, 3, 0), (5, 6, 2)],
)
def test_it_equals_xlas_convolution_and_its_derivatives(h, w, padding):
    compare(*example(h, w, f=N + 3), padding)


def compare(*inputs):
    found = value_and_derivatives(conv3x3, *inputs)
    expected = value_and_derivatives(convolution, *inputs)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * np.abs(b).max())


# Three, two and one image at a time; one where even that is too many.
@pytest.mark.parametrize("n_numbers", [3 * 42 * N, 2 * 42 * N + 1, 42 * N, 1])
def test_it_is_the_same_in_groups_of_images(n_numbers, monkeypatch):
    monkeypatch.setattr(winograd, "MAX_NUMBERS", n_numbers)
    compare(*example(6, 7, b=6), 1)


def test_it_is_the_same_under_vmap():
    x, kernel = example(6, 7, b=4)

    def gradients(x):
        return value_and_derivatives(conv3x3, x, kernel, 1)

    y, d_x, d_kernel = jax.vmap(gradients)(x.reshape(2, 2, 6, 7, N))
    for i in range(2):
        ones = gradients(x[2 * i : 2 * i + 2])
        for a, b in zip((y[i], d_x[i], d_kernel[i]), ones, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize(("h", "b", "padding"), [(6, 0, 1), (2, 2, 0), (6, 2, 3)])
def test_nothing_to_convolve_and_wide_padding_are_xlas(h, b, padding):
    x, kernel = example(h, 6, b=b)
    found = conv3x3(x, kernel, padding)
    np.testing.assert_array_equal(found, convolution(x, kernel, padding))


def test_one_program_takes_any_batch_on_any_platform():
    _, kernel = example(6, 7)
    (b,) = jax.export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((b, 6, 7, N), jnp.float32)
    program = jax.jit(lambda x: conv3x3(x, kernel))
    exported = jax.export.export(program, platforms=("cpu", "cuda", "tpu"))(images)
    for n in (1, 3):
        x, _ = example(6, 7, b=n)
        found = exported.call(x)
        np.testing.assert_allclose(found, convolution(x, kernel, 1), atol=1e-5)


def n_convolutions(platform, x, kernel):
    program = jax.jit(value_and_derivatives, static_argnums=(0, 3))
    traced = program.trace(conv3x3, x, kernel, 1)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    return text.count("stablehlo.convolution(")


@pytest.mark.parametrize(("platform", "n"), [("cpu", 0), ("cuda", 3), ("tpu", 3)])
def test_only_cpus_multiply_tiles(platform, n):
    assert n_convolutions(platform, *example(6, 6)) == n


def test_few_channels_and_other_precisions_are_convolved_on_cpus_too():
    assert n_convolutions("cpu", *example(6, 6, c=N - 1)) == 3
    assert n_convolutions("cpu", *example(6, 6, f=N - 1)) == 3
    halves = (a.astype(jnp.bfloat16) for a in example(6, 6))
    assert n_convolutions("cpu", *halves) == 3
