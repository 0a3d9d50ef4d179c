"""ONNX files of several layouts give the same answers; what is missing is named."""

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper  # noqa: E402

from jigsaw_shape.classifiers.of_onnx import Pixels, open_onnx  # noqa: E402
from jigsaw_shape.measures import imagenet16  # noqa: E402

SIDE = 6
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.5)
CLASSES = ("red", "green", "blue")


def _write(
    path,
    *,
    channels_first=True,
    kind=TensorProto.FLOAT,
    batch="b",
    n_scores=3,
    side=SIDE,
    metadata=None,
    producer="elsewhere",
    extra_output="",
):
    """Writes a network whose scores are the means of its input's channels."""
    shape = [batch, 3, side, side] if channels_first else [batch, side, side, 3]
    entry = helper.make_tensor_value_info("pixels", kind, shape)
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, n_scores])
    ]
    means = extra_output or "means"
    axes = [2, 3] if channels_first else [1, 2]
    weights = np.eye(3, n_scores, dtype=np.float32)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats"], [means], axes=axes, keepdims=0),
        helper.make_node("MatMul", [means, "weights"], ["logits"]),
    ]
    if extra_output:
        outputs.append(
            helper.make_tensor_value_info(means, TensorProto.FLOAT, [batch, 3])
        )
    constant = onnx.numpy_helper.from_array(weights, "weights")
    graph = helper.make_graph(nodes, "g", [entry], outputs, [constant])
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
        producer_name=producer,
    )
    helper.set_model_props(
        model, {k: json.dumps(v) for k, v in (metadata or {}).items()}
    )
    path.write_bytes(model.SerializeToString())
    return path


def _open(path, **changes):
    fields = {
        "name": "m",
        "batch_size": 4,
        "classes": CLASSES,
        "pixels": Pixels(MEAN, STD),
    }
    return open_onnx(path, **{**fields, **changes})


@pytest.fixture
def images():
    return np.random.default_rng(0).random((4, SIDE, SIDE, 3), np.float32)


def _expected(images):
    return ((images - MEAN) / STD).mean((1, 2))


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("batch", ["b", 1, 3])
def test_layouts_and_fixed_batches_answer_alike(
    tmp_path, images, channels_first, batch
):
    path = _write(tmp_path / "a.onnx", channels_first=channels_first, batch=batch)
    model = _open(path)
    found = model.predict(images)["classification"]
    assert found.shape == (4, 3)
    assert found == pytest.approx(_expected(images), abs=1e-5)
    assert (model.classes, model.size_px) == (CLASSES, SIDE)


def test_normalization_comes_from_metadata_or_flags(tmp_path, images):
    stated = {"mean": MEAN, "std": STD, "classes": CLASSES}
    path = _write(tmp_path / "a.onnx", metadata=stated)
    model = _open(path, pixels=Pixels(), classes=())
    assert model.classes == CLASSES
    expected = _expected(images)
    assert model.predict(images)["classification"] == pytest.approx(expected, abs=1e-5)
    assert "0.4" in model.about["normalization"]
    on_255 = Pixels([255 * m for m in MEAN], [255 * s for s in STD], 255)
    again = _open(path, pixels=on_255).predict(images)["classification"]
    assert again == pytest.approx(expected, abs=1e-4)
    other = _open(path, pixels=Pixels((0, 0, 0), (1, 1, 1))).predict(images)
    assert other["classification"] == pytest.approx(images.mean((1, 2)), abs=1e-5)


def test_uint8_and_our_own_files_normalize_inside(tmp_path, images):
    path = _write(tmp_path / "a.onnx", kind=TensorProto.UINT8, channels_first=False)
    found = _open(path, pixels=Pixels()).predict(images)["classification"]
    assert found == pytest.approx(np.rint(255 * images).mean((1, 2)), abs=1e-3)
    given = _open(path).predict(images)["classification"]  # for other files, perhaps
    assert given == pytest.approx(found)
    stated = {"mean": MEAN, "std": STD}
    path = _write(tmp_path / "b.onnx", producer="jigsaw_shape", metadata=stated)
    for pixels in (Pixels(), Pixels(MEAN, STD)):
        found = _open(path, pixels=pixels).predict(images)["classification"]
        assert found == pytest.approx(images.mean((1, 2)), abs=1e-5)


@pytest.mark.parametrize("stated", [{"normalizes_inside": True}, {"jigsaw_shape": "0"}])
def test_what_normalizes_inside_does_so_once_it_is_quantized(tmp_path, images, stated):
    from onnxruntime.quantization import quantize_dynamic

    facts = {"mean": MEAN, "std": STD, **stated}
    path = _write(tmp_path / "a.onnx", producer="jigsaw_shape", metadata=facts)
    quantize_dynamic(path, tmp_path / "b.onnx")
    assert onnx.load(tmp_path / "b.onnx").producer_name != "jigsaw_shape"
    found = _open(tmp_path / "b.onnx", pixels=Pixels()).predict(images)
    assert found["classification"] == pytest.approx(images.mean((1, 2)), abs=0.02)


def test_what_says_that_it_does_not_normalize_is_normalized(tmp_path, images):
    facts = {"mean": MEAN, "std": STD, "normalizes_inside": False}
    path = _write(tmp_path / "a.onnx", producer="jigsaw_shape", metadata=facts)
    found = _open(path, pixels=Pixels()).predict(images)["classification"]
    assert found == pytest.approx(_expected(images), abs=1e-5)


def test_stated_means_are_of_pixels_up_to_1(tmp_path, images):
    path = _write(tmp_path / "a.onnx", metadata={"mean": MEAN, "std": STD})
    found = _open(path, pixels=Pixels(scale=255)).predict(images)["classification"]
    assert found == pytest.approx(_expected(images), abs=1e-4)


def test_images_of_another_size_are_resized(tmp_path):
    path = _write(tmp_path / "a.onnx")
    images = np.full((2, 9, 9, 3), 0.25, np.float32)
    found = _open(path).predict(images)["classification"]
    assert found == pytest.approx(_expected(images), abs=1e-5)


def test_imagenets_thousand_scores_become_16_categories(tmp_path, images):
    path = _write(tmp_path / "a.onnx", n_scores=1000)
    model = _open(path, classes=())
    assert model.classes == imagenet16.CATEGORIES
    logits = np.zeros((4, 1000), np.float32)
    logits[:, :3] = _expected(images)
    expected = imagenet16.category_scores(logits)
    assert model.predict(images)["classification"] == pytest.approx(expected, abs=1e-5)
    model = _open(path, classes=(), categories=False)
    assert model.classes[:2] == ("n01440764", "n01443537")  # tench, goldfish
    assert model.predict(images)["classification"] == pytest.approx(logits, abs=1e-5)


def test_logits_are_found_among_several_outputs(tmp_path, images):
    path = _write(tmp_path / "a.onnx", extra_output="means", n_scores=5)
    model = _open(path, classes=tuple("abcde"))
    found = model.predict(images)
    assert not model.has_features
    assert set(found) == {"classification"}
    assert found["classification"].shape == (4, 5)


@pytest.mark.parametrize("batch", ["b", 3])
def test_an_output_called_features_is_kept(tmp_path, images, batch):
    path = _write(tmp_path / "a.onnx", extra_output="features", n_scores=5, batch=batch)
    model = _open(path, classes=tuple("abcde"))
    assert model.has_features
    found = model.predict(images)
    assert found["features"] == pytest.approx(_expected(images), abs=1e-5)
    assert found["classification"].shape == (4, 5)


@pytest.mark.parametrize(
    ("written", "opened", "message"),
    [
        ({}, {"pixels": Pixels()}, "does not say how its pixels are normalized"),
        ({}, {"pixels": Pixels(MEAN, None)}, "both --mean and --std"),
        ({}, {"pixels": Pixels((1, 2), STD)}, "expected three finite numbers"),
        ({}, {"pixels": Pixels(MEAN, (0, 1, 1))}, "std is .* expected above 0"),
        (
            {},
            {"pixels": Pixels((float("nan"),) * 3, STD)},
            r"mean is \(nan, nan, nan\), expected three finite numbers",
        ),
        (
            {"metadata": {"mean": "a", "std": STD}},
            {"pixels": Pixels()},
            r"a\.onnx: mean is 'a', expected three finite numbers",
        ),
        (
            {"metadata": {"image_size": [32, 32]}, "side": "s"},
            {},
            r"a\.onnx: its metadata image_size is \[32, 32\], expected a whole number",
        ),
        (
            {"metadata": {"classes": 3}},
            {"classes": ()},
            r"a\.onnx: its metadata classes is 3, expected a list of names",
        ),
        ({"n_scores": 7}, {}, "answers with 7 scores, but 3 classes"),
        ({"n_scores": 7}, {"classes": ()}, "export them under the name `features`"),
        (
            {"metadata": {"classes": CLASSES}, "n_scores": 7},
            {"classes": ()},
            "answers with 7 scores",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, written, opened, message):
    path = _write(tmp_path / "a.onnx", **written)
    with pytest.raises(ValueError, match=message):
        _open(path, **opened)


def test_files_of_the_wrong_shape_are_refused(tmp_path):
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 10])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 10])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g", [entry], [out]
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    path = tmp_path / "flat.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"its input x is tensor\(float\) \['b', 10\]"):
        _open(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"flat\.onnx cannot be loaded"):
        _open(path)
    with pytest.raises(ValueError, match="no such file"):
        _open(tmp_path / "absent.onnx")
