"""The depthwise convolution is XLA's, value and derivatives, on every platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.models.operations.depthwise import depthwise_conv, depthwise_grouped

# Height, width, kernel size, stride: even and odd, and maps smaller than the kernel.
CASES = [
    (6, 6, 3, 1),
    (7, 5, 3, 2),
    (6, 8, 3, 2),
    (5, 4, 5, 1),
    (6, 7, 5, 2),
    (2, 2, 5, 2),
    (1, 1, 5, 1),
    (1, 3, 3, 2),
    (9, 8, 7, 1),
    (3, 4, 7, 1),
]


def _example(h, w, k, c=8, b=3):
    keys = jax.random.split(jax.random.key(h * w + k))
    x = jax.random.normal(keys[0], (b, h, w, c))
    return x, jax.random.normal(keys[1], (k, k, 1, c))


def _plain(x, kernel, stride):
    """TensorFlow's definition, pixel by pixel."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    b, h, w, c = x.shape
    k = len(kernel)
    out_h, out_w = -(-h // stride), -(-w // stride)
    top = max((out_h - 1) * stride + k - h, 0) // 2
    left = max((out_w - 1) * stride + k - w, 0) // 2
    padded = np.zeros((b, h + 2 * k, w + 2 * k, c))
    padded[:, top : top + h, left : left + w] = x
    out = np.zeros((b, out_h, out_w, c))
    for i in range(out_h):
        for j in range(out_w):
            patch = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = (patch * kernel[:, :, 0]).sum((1, 2))
    return out


@pytest.mark.parametrize(("h", "w", "k", "stride"), CASES)
def test_equals_the_definition(h, w, k, stride):
    x, kernel = _example(h, w, k)
    expected = _plain(x, kernel, stride)
    np.testing.assert_allclose(depthwise_conv(x, kernel, stride), expected, atol=1e-5)
    np.testing.assert_allclose(
        depthwise_grouped(x, kernel, stride), expected, atol=1e-5
    )


@pytest.mark.parametrize(("h", "w", "k", "stride"), CASES)
def test_derivatives_equal_autodiff_of_the_grouped_convolution(h, w, k, stride):
    x, kernel = _example(h, w, k)

    def gradients(conv):
        y, backward = jax.vjp(lambda x, kernel: conv(x, kernel, stride), x, kernel)
        return backward(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    ours = jax.jit(lambda: gradients(depthwise_conv))()
    for a, b in zip(ours, gradients(depthwise_grouped), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_is_the_same_under_vmap():
    x, kernel = _example(6, 7, 3, b=4)
    mapped = jax.vmap(lambda x: depthwise_conv(x, kernel, 2))(x.reshape(2, 2, 6, 7, 8))
    np.testing.assert_allclose(
        mapped.reshape(4, 3, 4, 8), depthwise_conv(x, kernel, 2), atol=1e-6
    )


def test_keeps_bfloat16_and_adds_in_float32():
    x, kernel = (a.astype(jnp.bfloat16) for a in _example(6, 6, 5))

    def loss(x, kernel):
        return depthwise_conv(x, kernel).astype(jnp.float32).sum()

    y = depthwise_conv(x, kernel)
    d_x, d_kernel = jax.grad(loss, argnums=(0, 1))(x, kernel)
    assert y.dtype == d_x.dtype == d_kernel.dtype == jnp.bfloat16
    exact = _plain(x.astype(jnp.float32), kernel.astype(jnp.float32), 1)
    # One rounding to 8 bits, not 25 of them.
    np.testing.assert_allclose(y.astype(jnp.float32), exact, rtol=2**-8, atol=1e-5)


def test_sums_of_the_kernel_s_gradient_are_apart_from_what_they_read():
    def gradient(x, kernel):
        return jax.grad(lambda kernel: depthwise_conv(x, kernel).sum())(kernel)

    text = jax.jit(gradient).trace(*_example(6, 6, 3)).lower().as_text()
    assert text.count("stablehlo.is_finite") == 1


@pytest.mark.parametrize(("platform", "n_convolutions"), [("cpu", 0), ("cuda", 1)])
def test_only_cpus_take_the_shifted_form(platform, n_convolutions):
    x, kernel = _example(6, 6, 3)
    program = jax.jit(depthwise_conv, static_argnums=2)
    text = program.trace(x, kernel, 1).lower(lowering_platforms=(platform,)).as_text()
    assert text.count("stablehlo.convolution(") == n_convolutions
