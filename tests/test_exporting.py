"""Exports equal the checkpoint, in every format, or leave nothing."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.exporting import (
    onnx_file,
    orbax_folder,
    safetensors_file,
    stablehlo_file,
)
from jigsaw_shape.exporting.format import (
    Options,
    apply,
    relative_difference,
)
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.network import from_facts, make_network
from jigsaw_shape.system import onnx_session

OPTIONS = Options(())
CLASSES = ("bird", "cat", "cup")


def small_network(encoder="convnet", classes=CLASSES, size_px=24, input_px=32):
    """Returns an encoder of seeded weights, running statistics among them."""
    spec = ENCODERS[encoder]
    shapes = jax.eval_shape(
        lambda key: spec.build().init(key, jnp.zeros((1, size_px, size_px, 3)), False),
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

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    n_features = {"convnet": 256, "efficientnet_lite0": 1280}.get(encoder, 512)
    classifier = {
        "kernel": rng.normal(0, 0.1, (n_features, len(classes))).astype(np.float32),
        "bias": rng.normal(0, 0.1, len(classes)).astype(np.float32),
    }
    return make_network(
        encoder,
        variables,
        classifier if classes else None,
        classes=classes,
        size_px=size_px,
        input_px=input_px,
        mean=spec.mean,
        std=spec.std,
    )


def outputs_of(network, images):
    """Returns what an export of the network has to answer."""
    run = jax.jit(functools.partial(apply, network))
    return jax.tree.map(np.asarray, run(network.variables, images))


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(network, images):
    return outputs_of(network, images)


def assert_close(found, expected, tolerance=1e-5):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == np.float32
        assert relative_difference(found[name], array) <= tolerance


def test_safetensors_hold_exactly_the_same_arrays(network, tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors_file.write(path, network, network.facts(), OPTIONS)
    found = safetensors_file.read(path)
    assert found.facts() == network.facts()
    jax.tree.map(np.testing.assert_array_equal, found.variables, network.variables)


def test_a_resnet_has_torchvisions_names(tmp_path):
    network = small_network("resnet18")
    path = tmp_path / "model.safetensors"
    safetensors_file.write(path, network, network.facts(), OPTIONS)
    from safetensors.numpy import load_file

    state = load_file(path)
    assert state["layer1.0.conv1.weight"].shape == (64, 64, 3, 3)
    assert state["fc.weight"].shape == (len(CLASSES), 512)
    np.testing.assert_array_equal(
        state["conv1.weight"],
        network.encoder_variables["params"]["conv1"]["kernel"].transpose(3, 2, 0, 1),
    )
    found = safetensors_file.read(path)
    jax.tree.map(np.testing.assert_array_equal, found.variables, network.variables)


def test_flax_to_torch_and_back_is_exact(tmp_path):
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    from safetensors.torch import load_file, save_file

    network = small_network("resnet18")
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    safetensors_file.write(first, network, network.facts(), OPTIONS)
    model = torchvision.models.resnet18(num_classes=len(CLASSES))
    model.load_state_dict(load_file(first), strict=True)
    model.eval()
    images = np.random.default_rng(0).random((2, 24, 24, 3), np.float32)
    normalized = (images - np.float32(network.module.mean)) / np.float32(
        network.module.std
    )
    with torch.no_grad():
        logits = model(torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy()))
    ours = dataclasses.replace(network, input_px=24)
    ours = outputs_of(ours, images)["logits"]
    assert relative_difference(logits.numpy(), np.asarray(ours)) <= 1e-4

    with safetensors_file.safetensors.safe_open(first, "numpy") as file:
        metadata = file.metadata()
    save_file(model.state_dict(), second, metadata)
    found = safetensors_file.read(second)
    jax.tree.map(np.testing.assert_array_equal, found.variables, network.variables)


@pytest.mark.parametrize("data", [b"", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_damaged_safetensors_file_is_refused(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot read weights"):
        safetensors_file.read(path)


def test_a_truncated_or_foreign_safetensors_file_is_refused(network, tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors_file.write(path, network, network.facts(), OPTIONS)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cannot read weights"):
        safetensors_file.read(path)
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, path)
    with pytest.raises(ValueError, match="does not say which encoder"):
        safetensors_file.read(path)


def test_facts_of_an_unknown_encoder_are_refused(network):
    facts = network.facts() | {"encoder": "resnet19"}
    with pytest.raises(ValueError, match=r"resnet19.*known are convnet"):
        from_facts(facts, {}, None)
    with pytest.raises(ValueError, match="not the facts of an export"):
        from_facts({"encoder": "convnet"}, {}, None)


@pytest.mark.parametrize("kind", ["uint8", "float"])
def test_onnx_equals_flax_for_any_batch(network, images, expected, tmp_path, kind):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    pixels = images if kind == "uint8" else (images / 255).astype(np.float32)
    onnx_file.write(path, network, network.facts(), Options((), kind))
    metadata = onnx_session.open_session(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["mean"]) == list(network.module.mean)
    program = onnx_file.read(path)
    assert (program.input_px, program.dtype) == (32, pixels.dtype)
    for n in (1, 2, 3):
        ours = {name: array[:n] for name, array in expected.items()}
        assert_close(program.predict(pixels[:n]), ours)


def test_onnx_has_no_batchnorm_left(network, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    square = dataclasses.replace(network, input_px=24)
    onnx_file.write(path, square, {}, OPTIONS)
    model = onnx.load(path)
    ops = [node.op_type for node in model.graph.node]
    assert ops == [
        *("Transpose", "Cast", "Div", "Sub", "Div"),
        *(["Conv", "Relu"] * 4),
        *("ReduceSum", "Div", "MatMul", "Add"),
    ]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_damaged_onnx_file_is_refused(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ValueError, match="cannot be loaded"):
        onnx_file.read(path)


def test_stablehlo_equals_flax(network, images, expected, tmp_path):
    path = tmp_path / "model.stablehlo"
    stablehlo_file.write(path, network, {}, OPTIONS)
    program = stablehlo_file.read(path)
    assert program.batch_size is None
    assert_close(program.predict(images), expected)

    path = tmp_path / "model.batch2.stablehlo"
    stablehlo_file.write(path, network, {}, Options((), batch_size=2))
    program = stablehlo_file.read(path)
    assert (program.batch_size, program.input_px) == (2, 32)
    assert_close(program.predict(images[:2]), {k: a[:2] for k, a in expected.items()})


def test_stablehlo_is_for_every_platform(network, tmp_path):
    path = tmp_path / "model.stablehlo"
    stablehlo_file.write(path, network, {}, OPTIONS)
    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_a_damaged_stablehlo_file_is_refused(tmp_path):
    path = tmp_path / "model.stablehlo"
    path.write_bytes(b"no program")
    with pytest.raises(ValueError, match="cannot be read"):
        stablehlo_file.read(path)


def test_orbax_holds_the_encoder_whole_and_in_part(network, tmp_path):
    from orbax.checkpoint import v1 as ocp

    path = tmp_path / "orbax"
    orbax_folder.write(path, network, {}, OPTIONS)
    found = orbax_folder.load(path)
    jax.tree.map(np.testing.assert_array_equal, found, network.encoder_variables)
    with pytest.raises(ValueError, match=r"needs export\.json beside it"):
        orbax_folder.read(path)

    kernel = network.encoder_variables["params"]["conv1"]["kernel"]
    wanted = {"params": {"conv1": {"kernel": np.zeros_like(kernel)}}}
    context = ocp.Context()
    context.pytree.loading.partial_load = True
    with context:
        part = ocp.load(path, wanted)
    assert jax.tree.structure(part) == jax.tree.structure(wanted)
    np.testing.assert_array_equal(part["params"]["conv1"]["kernel"], kernel)


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        orbax_folder.load(tmp_path)
