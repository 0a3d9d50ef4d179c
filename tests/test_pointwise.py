"""1x1 convolution equals XLA's, and is a convolution where a product would abort."""

import functools

import jax
import numpy as np
import pytest
from jax import lax

from jigsaw_shape.models.operations.pointwise import pointwise_conv


def convolution(x, kernel, stride):
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), "VALID", dimension_numbers=numbers
    )


def value_and_derivatives(function, x, kernel, stride):
    def loss(x, kernel):
        y = function(x, kernel, stride)
        weights = np.random.default_rng(2).normal(size=y.shape).astype(np.float32)
        return (y * weights).sum(), y

    (_, y), derivatives = jax.value_and_grad(loss, (0, 1), has_aux=True)(x, kernel)
    return y, *derivatives


def inputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 9, 8, 5)).astype(np.float32)
    return x, rng.normal(size=(1, 1, 5, 7)).astype(np.float32)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_it_equals_xlas_convolution_and_its_derivatives(stride):
    found = value_and_derivatives(pointwise_conv, *inputs(), stride)
    expected = value_and_derivatives(convolution, *inputs(), stride)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def operations(platform, stride):
    step = jax.jit(
        functools.partial(value_and_derivatives, pointwise_conv), static_argnums=2
    )
    text = step.trace(*inputs(), stride).lower(lowering_platforms=(platform,)).as_text()
    kinds = ("stablehlo.slice", "stablehlo.dot_general", "stablehlo.convolution")
    return {kind.partition(".")[2]: text.count(kind) for kind in kinds}


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_strided_it_is_no_product_of_a_slice_but_on_cpus(platform):
    assert operations(platform, 2) == {"slice": 0, "dot_general": 0, "convolution": 3}
    assert operations("cpu", 2)["convolution"] == 0


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_without_a_stride_it_is_a_product_everywhere(platform):
    assert operations(platform, 1)["convolution"] == 0
