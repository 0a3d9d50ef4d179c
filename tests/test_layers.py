"""Layers and pooling: what Flax, NumPy or a formula say of them."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jigsaw_shape.models import batch_norm
from jigsaw_shape.models.alexnet import local_response_norm
from jigsaw_shape.models.batch_norm import RELU, RELU6, BatchNorm
from jigsaw_shape.models.pooling import average_to
from jigsaw_shape.models.resnet import HalfInstanceNorm


@pytest.fixture
def four_devices():
    if jax.device_count() < 4:
        pytest.skip("needs 4 devices: --xla_force_host_platform_device_count=4")
    return jax.devices()[:4]


@pytest.mark.parametrize("sides", [(9, 13), (7, 7), (3, 1), (14, 21)])
def test_average_to_is_the_means_of_areas(sides):
    x = np.random.default_rng(0).normal(size=(2, *sides, 3)).astype(np.float32)
    expected = np.empty((2, 7, 7, 3))
    (h, w), n = sides, 7
    for i in range(n):
        for j in range(n):
            rows = slice(i * h // n, math.ceil((i + 1) * h / n))
            columns = slice(j * w // n, math.ceil((j + 1) * w / n))
            expected[:, i, j] = x[:, rows, columns].mean((1, 2))
    np.testing.assert_allclose(average_to(jnp.asarray(x), n), expected, atol=1e-6)


def test_half_of_the_channels_forget_the_style_of_their_image():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (4, 5, 6, 8)).astype(np.float32)
    module = HalfInstanceNorm(BatchNorm, jnp.float32)
    rectified = HalfInstanceNorm(BatchNorm, jnp.float32, clip=RELU)
    variables = module.init(jax.random.key(0), x, False)
    variables["params"]["instance"] = {"scale": np.full(4, 2.0), "bias": np.ones(4)}

    def apply(x):
        return module.apply(variables, x, True, mutable=["batch_stats"])[0]

    found = np.asarray(apply(x))
    positive, _ = rectified.apply(variables, x, True, mutable=["batch_stats"])
    np.testing.assert_array_equal(positive, np.maximum(found, 0))
    for axes, half in (((1, 2), slice(0, 4)), ((0, 1, 2), slice(4, 8))):
        part = x[..., half]
        centred = part - part.mean(axes, keepdims=True)
        expected = centred / np.sqrt(part.var(axes, keepdims=True) + 1e-5)
        if half.start == 0:
            expected = 2 * expected + 1
        np.testing.assert_allclose(found[..., half], expected, atol=1e-4)
    styled = x * rng.uniform(0.5, 2, (4, 1, 1, 8)) + rng.normal(size=(4, 1, 1, 8))
    np.testing.assert_allclose(apply(styled)[..., :4], found[..., :4], atol=1e-3)
    assert np.abs(apply(styled)[..., 4:] - found[..., 4:]).max() > 0.1


def test_local_response_norm_equals_its_formula():
    x = np.random.default_rng(0).normal(0, 50, (2, 3, 4, 9)).astype(np.float32)
    padded = np.pad(np.square(x), ((0, 0),) * 3 + ((2, 2),))
    near = sum(padded[..., i : i + 9] for i in range(5))
    expected = x / (1 + 1e-4 / 5 * near) ** 0.75
    np.testing.assert_allclose(local_response_norm(x), expected, rtol=1e-5)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("clip", "activation"), [(None, None), (RELU, nn.relu), (RELU6, nn.relu6)]
)
def test_batch_norm_equals_flax_and_its_derivatives(train, clip, activation):
    x = 2 + 3 * jax.random.normal(jax.random.key(0), (4, 5, 6, 7))
    ours = BatchNorm(clip=clip)
    flax = nn.BatchNorm(use_running_average=not train, momentum=0.9)
    variables = {
        "params": {
            "scale": 4 * jax.random.normal(jax.random.key(1), (7,)),
            "bias": jax.random.normal(jax.random.key(2), (7,)),
        },
        "batch_stats": {"mean": jnp.arange(7.0), "var": 1 + jnp.arange(7.0)},
    }

    def loss(params, x, apply):
        y, updated = apply({**variables, "params": params}, x)
        if apply is by_flax and activation is not None:
            y = activation(y)
        return (jnp.sin(y) * jnp.arange(7)).mean(), (y, updated["batch_stats"])

    def by_flax(v, x):
        return flax.apply(v, x, mutable=["batch_stats"])

    def run(apply):
        gradients = jax.grad(loss, argnums=(0, 1), has_aux=True)
        return gradients(variables["params"], x, apply)

    (a, (y_a, stats_a)), (b, (y_b, stats_b)) = (
        run(lambda v, x: ours.apply(v, x, train, mutable=["batch_stats"])),
        run(by_flax),
    )
    np.testing.assert_allclose(y_a, y_b, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), a, b)
    np.testing.assert_allclose(stats_a["mean"], stats_b["mean"], rtol=1e-5)
    # PyTorch's running variance is the unbiased one: of 120 values, 120 / 119 of it.
    kept = 0.9 * variables["batch_stats"]["var"]
    correction = 120 / 119 if train else 1.0
    np.testing.assert_allclose(
        stats_a["var"] - kept, (stats_b["var"] - kept) * correction, rtol=1e-4
    )


def test_batch_norm_of_short_numbers_has_the_gradient_of_its_numbers():
    rng = np.random.default_rng(0)
    x, dy = (jnp.asarray(rng.normal(size=(8, 5, 6, 7)), jnp.bfloat16) for _ in "xy")
    variables = BatchNorm().init(jax.random.key(0), x, False)

    def gradient(dtype):
        norm = BatchNorm(clip=RELU, dtype=dtype)

        def apply(x):
            return norm.apply(variables, x, True, mutable=["batch_stats"])[0]

        return jax.vjp(apply, x.astype(dtype))[1](dy.astype(dtype))[0]

    whole = gradient(jnp.float32)
    np.testing.assert_array_equal(gradient(jnp.bfloat16), whole.astype(jnp.bfloat16))


@pytest.mark.parametrize("clip", [RELU, RELU6])
def test_clipped_has_the_gradient_of_relu_at_its_ends_too(clip):
    x = jnp.asarray([-1, 0, 1, 6, 7, jnp.inf])
    activation = nn.relu if clip == RELU else nn.relu6
    for function in (activation, lambda x: batch_norm.clipped(x, clip)):
        value, back = jax.vjp(function, x)
        np.testing.assert_array_equal(value, activation(x))
        ends = clip == RELU
        np.testing.assert_array_equal(back(jnp.ones(6))[0], [0, 0, 1, ends, ends, ends])


def test_sums_together_are_the_sums():
    x, y = np.random.default_rng(0).normal(size=(2, 8, 5, 6, 7)).astype(np.float32)
    for sums in (batch_norm.sums_together, batch_norm.sums_apart):
        for found, array in zip(sums(x, y), (x, y), strict=True):
            np.testing.assert_allclose(found, array.sum((0, 1, 2)), atol=1e-4)


def test_gpus_get_both_sums_from_one_reduction():
    x = jax.ShapeDtypeStruct((8, 5, 6, 7), jnp.float32)
    variables = BatchNorm().init(jax.random.key(0), jnp.zeros(x.shape), False)

    def loss(x):
        y, _ = BatchNorm(clip=RELU).apply(variables, x, True, mutable=["batch_stats"])
        return y[0, 0, 0, 0]

    traced = jax.jit(jax.grad(loss)).trace(x)
    for platform, n_reductions in (("cuda", 2), ("cpu", 4)):
        program = traced.lower(lowering_platforms=(platform,)).as_text()
        assert program.count("stablehlo.reduce(") == n_reductions


def test_synchronized_norm_on_four_devices_equals_one(four_devices):
    x = 2 + 3 * jax.random.normal(jax.random.key(0), (8, 3, 4, 5))
    variables = BatchNorm().init(jax.random.key(0), x, False)

    def gradients(params, x, axis_name):
        # Smooth: where a ReLU follows, the two may fall on either side of its kink.
        def loss(params, x):
            y, updated = BatchNorm(axis_name=axis_name).apply(
                {**variables, "params": params}, x, True, mutable=["batch_stats"]
            )
            return (jnp.sin(y) * jnp.arange(5)).sum(), (y, updated)

        (d_params, d_x), outputs = jax.grad(loss, argnums=(0, 1), has_aux=True)(
            params, x
        )
        if axis_name is not None:
            d_params = jax.lax.psum(d_params, axis_name)
        return d_params, d_x, *outputs

    d_params, d_x, y, updated = gradients(variables["params"], x, None)
    sharded = jax.pmap(
        functools.partial(gradients, axis_name="batch"),
        axis_name="batch",
        in_axes=(None, 0),
        devices=four_devices,
    )(variables["params"], x.reshape(4, 2, 3, 4, 5))
    expected = (
        jax.tree.map(lambda a: jnp.stack([a] * 4), d_params),
        d_x.reshape(4, 2, 3, 4, 5),
        y.reshape(4, 2, 3, 4, 5),
        jax.tree.map(lambda a: jnp.stack([a] * 4), updated),
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5),
        sharded,
        expected,
    )
