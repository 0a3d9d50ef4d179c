"""Traced JAX functions, as onnxruntime computes them, equal JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax
from tiny_encoders import TINY

from jigsaw_shape.exporting import onnx_file
from jigsaw_shape.exporting.format import relative_difference
from jigsaw_shape.exporting.simplify import simplify
from jigsaw_shape.exporting.tracing import trace
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.batch_norm import BatchNorm
from jigsaw_shape.models.layers import Conv

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(0, 0.3, (3, 3, 3, 8)).astype(np.float32)
MATRIX = RNG.normal(0, 0.3, (3, 6)).astype(np.float32)


def seeded_variables(model, size_px):
    shapes = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, size_px, size_px, 3)), False),
        jax.random.key(0),
    )
    rng = np.random.default_rng(0)

    def draw(path, shape):
        leaf = path[-1].key
        if leaf == "kernel":
            scale = np.sqrt(2 / np.prod(shape.shape[:-1]))
            return rng.normal(0, scale, shape.shape).astype(np.float32)
        if leaf in ("var", "scale"):
            return rng.uniform(0.5, 1.5, shape.shape).astype(np.float32)
        return rng.normal(0, 0.2, shape.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def differences(function, path, size_px=12, weights=()):
    """Returns onnxruntime's differences from JAX for batches of 1 and 3.

    JAX gets the weights as an argument: constants it would fold, which takes long.
    """
    images = np.random.default_rng(1).random((3, size_px, size_px, 3), np.float32)
    onnx_file.write_function(
        path, lambda x: {"y": function(x, *weights)}, images.shape[1:], np.float32, {}
    )
    predict = onnx_file.read(path).predict
    expected = np.asarray(jax.jit(function)(images, *weights))
    return [relative_difference(predict(images[:n])["y"], expected[:n]) for n in (1, 3)]


# Of every family that has primitives of its own, a form that compiles in seconds.
FAMILIES = {
    "convnet": {"widths": (8, 16)},
    "resnet18": {"depths": (1, 1, 1, 1)},
    "efficientnet_lite0": {"width": 0.25, "depth": 0.1},
    "alexnet": {},
    "caffenet": {},
    "digits": {},
    "convnext_tiny": {"depths": (1, 1, 1, 1), "widths": (8, 8, 16, 16)},
    "vit_small_16": {},
}


@pytest.mark.parametrize("encoder", FAMILIES)
def test_every_family_equals_flax(encoder, tmp_path):
    size_px = 64 if encoder in ("alexnet", "caffenet", "vit_small_16") else 32
    changes = TINY.get(encoder, {}) | FAMILIES[encoder]
    model = ENCODERS[encoder].build(**changes)
    variables = seeded_variables(model, size_px)

    def function(images, variables):
        return model.apply(variables, images, False)

    found = differences(function, tmp_path / "m.onnx", size_px, [variables])
    assert max(found) <= 1e-5


def _attention(x):
    tokens = x.reshape(x.shape[0], -1, 3) @ MATRIX
    q, k, v = jnp.moveaxis(tokens.reshape(*tokens.shape[:2], 3, 2, 1), 2, 0)
    return jax.nn.dot_product_attention(q, k, v).reshape(x.shape[0], -1)


FUNCTIONS = {
    "images themselves": lambda x: x,
    "channels first": lambda x: x.transpose(0, 3, 1, 2),
    "rows as tokens": lambda x: x.reshape(x.shape[0], -1, 6),
    "sum over channels": lambda x: x.sum(-1),
    "sum over rows": lambda x: x.sum(1),
    "largest of columns": lambda x: x.max(2),
    "mean of pixels": lambda x: x.mean((1, 2)),
    "softmax of channels": lambda x: jax.nn.softmax(4 * x, -1),
    "layer norm": lambda x: (
        (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)
    ),
    "gelu": lambda x: jax.nn.gelu(4 * x - 2, approximate=False),
    "silu": lambda x: jax.nn.silu(4 * x - 2),
    "powers": lambda x: x**3 + jnp.sqrt(x) + (x + 1) ** 0.75 - jnp.abs(x - 0.5),
    "choice": lambda x: jnp.where(x > 0.5, x, -jnp.exp(x)),
    "pixel matrix": lambda x: x @ MATRIX,
    "every other pixel": lambda x: x[:, ::2, 1::3],
    "a matrix of every other pixel": lambda x: x[:, ::2, ::2] @ MATRIX,
    "padding": lambda x: jnp.pad(
        x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=2
    ),
    "SAME convolution": lambda x: lax.conv_general_dilated(
        x, KERNEL, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    ),
    "dilated convolution": lambda x: lax.conv_general_dilated(
        *(x, KERNEL, (1, 1), "VALID"),
        rhs_dilation=(2, 3),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ),
    "max pool": lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (0, 1))),
    "average pool": lambda x: nn.avg_pool(x, (3, 3), (2, 2), ((1, 0), (1, 1))),
    "sums of channels": lambda x: lax.reduce_window(
        x @ MATRIX, 0.0, lax.add, (1, 1, 1, 5), (1, 1, 1, 1), "SAME"
    ),
    "a constant's channels": lambda x: jnp.concatenate(
        [x, jnp.broadcast_to(MATRIX[:, 0], x.shape)], -1
    ),
    "a constant wider than the tensor": lambda x: (
        x.mean((1, 2), keepdims=True) + jnp.ones((1, 4, 5, 3))
    ),
    "attention": _attention,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_jax(name, tmp_path):
    assert max(differences(FUNCTIONS[name], tmp_path / "m.onnx")) <= 1e-5


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.sum(0), "'reduce_sum' mixes images"),
        (lambda x: x - x.mean(0), "'reduce_sum' mixes images"),
        (lambda x: jnp.cumsum(x, 1), "no ONNX form is known for JAX's 'cumsum'"),
        (lambda x: jnp.zeros((1, 3)), "'y' is not one of each image"),
        (lambda x: x.transpose(1, 0, 2, 3), "'y' is not one of each image"),
    ],
)
def test_what_has_no_form_is_refused(function, reason):
    with pytest.raises(ValueError, match=reason):
        trace(lambda x: {"y": function(x)}, (4, 4, 3), np.float32)


class Normed(nn.Module):
    """A convolution and what follows it in a ResNet's shortcut."""

    @nn.compact
    def __call__(self, x, train=False):
        """Maps [B, H, W, 3] to [B, H / 2, W / 2, 6]."""
        x = Conv(6, 1, 2, 0, name="conv")(x)
        x = BatchNorm(name="bn")(x, train)
        return jnp.minimum(nn.relu(x), 6)


def test_norm_and_relu6_go_into_other_nodes():
    variables = seeded_variables(Normed(), 8)
    graph = trace(lambda x: {"y": Normed().apply(variables, x)}, (8, 8, 3), np.float32)
    before = [node.op for node in graph.nodes]
    assert before[1:-1] == ["Conv", "Mul", "Add", "Relu", "Min"]
    simplify(graph)
    assert [node.op for node in graph.nodes][1:-1] == ["Conv", "Clip"]
    conv = graph.nodes[1]
    assert conv.attributes["strides"] == [2, 2]  # the encoder's own, not a slice's
    params, stats = variables["params"], variables["batch_stats"]["bn"]
    factor = params["bn"]["scale"] / np.sqrt(stats["var"] + 1e-5)
    np.testing.assert_allclose(
        graph.constants[conv.inputs[1]][:, :, 0, 0],
        (params["conv"]["kernel"][0, 0] * factor).T,
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        graph.constants[conv.inputs[2]],
        params["bn"]["bias"] - stats["mean"] * factor,
        rtol=1e-5,
        atol=1e-6,
    )


def test_what_is_read_twice_is_not_folded():
    def function(x):
        y = x @ MATRIX
        return {"y": y * 2, "z": nn.relu(y)}

    graph = trace(function, (4, 4, 3), np.float32)
    simplify(graph)
    assert sorted(node.op for node in graph.nodes if node.op != "Transpose") == [
        *("Conv", "Mul", "Relu")
    ]
