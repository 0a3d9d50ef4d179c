"""An export's folder is whole, checked and described, or not there."""

import dataclasses
import json
import os

import jax
import numpy as np
import pytest
import yaml
from test_exporting import CLASSES, small_network

from jigsaw_shape.exporting import card, folder, safetensors_file
from jigsaw_shape.exporting.folder import export
from jigsaw_shape.exporting.format import Options, as_function
from jigsaw_shape.exporting.formats import FORMATS
from jigsaw_shape.system import onnx_session

ABOUT = {
    "dataset": "shapes",
    "target": "sketch",
    "preset": "erm",
    "seed": 0,
    "init": "random",
    "selection": "val",
    "step": 20,
}

WRITTEN_BY = {"input": "uint8", "names": "timm", "jax": "1", "jigsaw_shape": "2"}


def make_card(written, facts):
    return f"{len(written)} files of {facts['encoder']}"


@pytest.fixture(scope="module")
def network():
    return small_network()


def test_an_export_is_whole_and_says_what_it_is(network, tmp_path):
    out = tmp_path / "out"
    written = export(
        network,
        out,
        Options(("safetensors", "orbax")),
        about=ABOUT,
        card=make_card,
    )
    assert [file.name for file in written] == ["model.safetensors", "orbax"]
    assert all(file.difference == 0 and file.n_bytes > 0 for file in written)
    assert written[0].n_bytes == (out / "model.safetensors").stat().st_size
    facts = json.loads((out / "export.json").read_text())
    assert facts["classes"] == list(CLASSES)
    assert facts["selection"] == "val"
    assert (out / "README.md").read_text() == "2 files of convnet"
    assert sorted(os.listdir(tmp_path)) == ["out"]


def test_an_onnx_file_says_that_it_normalizes_inside(network, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    options = Options(("onnx",), input="float")
    export(network, tmp_path / "out", options, about=ABOUT, card=make_card)
    session = onnx_session.open_session(tmp_path / "out" / "model.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["normalizes_inside"] == "true"
    assert json.loads(metadata["mean"]) == list(network.module.mean)


def test_an_empty_folder_may_be_named(network, tmp_path):
    export(network, tmp_path, Options(("safetensors",)), about=ABOUT, card=make_card)
    assert (tmp_path / "model.safetensors").is_file()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_that_differs_leaves_nothing(
    network, tmp_path, monkeypatch, file_format
):
    if file_format == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    params = network.encoder_variables["params"]
    kernel = params["conv1"]["kernel"] * np.float32(1.01)
    encoder = {
        **network.encoder_variables,
        "params": {**params, "conv1": {"kernel": kernel}},
    }
    wrong = dataclasses.replace(
        network,
        variables={
            kind: {**tree, "encoder": encoder[kind]}
            for kind, tree in network.variables.items()
        },
    )
    write = FORMATS[file_format].write
    changed = dataclasses.replace(
        FORMATS[file_format], write=lambda path, _, *rest: write(path, wrong, *rest)
    )
    monkeypatch.setitem(FORMATS, file_format, changed)
    with pytest.raises(folder.CheckError, match="differs from the checkpoint"):
        export(
            network,
            tmp_path / "out",
            Options((file_format,)),
            about=ABOUT,
            card=make_card,
        )
    assert os.listdir(tmp_path) == []


def test_an_encoder_without_a_classifier_gives_features_alone(tmp_path):
    images = np.zeros((2, 32, 32, 3), np.uint8)
    network = small_network(classes=())
    assert list(jax.eval_shape(as_function(network), images)) == ["features"]
    export(network, tmp_path, Options(("safetensors",)), about=ABOUT, card=make_card)
    found = safetensors_file.read(tmp_path / "model.safetensors")
    assert found.classifier is None
    assert found.classes == ()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"formats": ("tflite",)}, "--format is 'tflite': safetensors, onnx"),
        ({"formats": ()}, "--format"),
        ({"formats": ("orbax",), "input": "int8"}, "--input is 'int8': uint8, float"),
        ({"formats": ("orbax",), "batch_size": 0}, "--batch-size is 0"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        folder.check(tmp_path / "out", Options(**options))


def test_a_folder_with_files_is_refused(network, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already"):
        export(network, tmp_path, Options(tuple(FORMATS)), about=ABOUT, card=make_card)
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_onnx_without_its_packages_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_session.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'jigsaw_shape\[onnx\]'"):
        folder.check(tmp_path / "out", Options(tuple(FORMATS)))


def make_evaluations():
    return [
        {
            "kind": "eval",
            "step": step,
            "val/accuracy": val,
            "val/photo/accuracy": val,
            "target/accuracy": target,
            "target/class/bird": target,
            "cue_conflict/shape_bias": 0.25,
            "cue_conflict/shape_accuracy": 0.2,
            "cue_conflict/texture_accuracy": 0.6,
        }
        for step, val, target in ((10, 0.5, 0.4), (20, 0.75, 0.3), (30, 0.7, 0.2))
    ]


def make_run_card(written, facts, config, evaluations=None):
    evaluations = evaluations or make_evaluations()
    return card.make_card(written, facts, config=config, evaluations=evaluations)


def test_a_card_has_the_measures_of_every_rule(network):
    config = {
        "preset": "erm",
        "workdir": "/home/someone/run",
        "data": {
            "name": "shapes",
            "target": "sketch",
            "source_dir": "/home/data",
            "unlabelled": "/home/clients/x,/home/y",
            "classes": "cat,dog",
        },
        "model": {"init": "random"},
        "diversify": {"styles": "/home/paintings", "stylizer": "/home/mine/tiny.npz"},
    }
    facts = network.facts() | ABOUT | WRITTEN_BY
    written = [folder.Written("model.safetensors", 1234567, 0.0, 1.0)]
    text = make_run_card(written, facts, config)
    _, front, body = text.split("---\n", 2)
    front = yaml.safe_load(front)
    metric = front["model-index"][0]["results"][0]["metrics"][0]
    assert metric["value"] == 0.3  # the target's, of the step that val picks
    assert front["datasets"] == ["shapes"]
    assert "| accuracy, held-out domain | 20.0 | 30.0 | 40.0 |" in body
    assert "| accuracy, photo, validation images | 70.0 | 75.0 | 50.0 |" in body
    assert "**val** (these weights)" in body
    assert "| shape bias on cue-conflict images, S / (S + T) | 25.0 | 25.0 |" in body
    assert "| cue-conflict images named by shape, S / n | 20.0 | 20.0 | 20.0 |" in body
    assert "`model.safetensors` | 1,234,567" in body
    assert "drawn by jigsaw_shape" in body
    assert "/home" not in text
    assert '"stylizer": ".../tiny.npz"' in body
    assert '"unlabelled": ".../x,.../y"' in body
    assert '"classes": "cat,dog"' in body
    assert "random numbers" in body


@pytest.mark.parametrize(
    ("encoder", "names", "line"),
    [
        ("resnet18", "torchvision", "torchvision.models.resnet18(num_classes=3)"),
        ("vit_small_16", "timm", 'timm.create_model("vit_small_patch16_224", num_'),
        ("efficientnet_lite0", "timm", 'timm.create_model("tf_efficientnet_lite0"'),
        ("caffenet", "jigen", "has jigen's names"),
        ("convnet", "jigsaw_shape", "has Flax's names"),
    ],
)
def test_a_card_says_how_the_weights_are_loaded(network, encoder, names, line):
    config = {
        "preset": "erm",
        "data": {"name": "shapes", "target": "sketch"},
        "model": {"init": "random"},
    }
    facts = network.facts() | ABOUT | WRITTEN_BY
    facts |= {"encoder": encoder, "names": names}
    written = [folder.Written("model.safetensors", 1, 0.0, 1.0)]
    assert line in make_run_card(written, facts, config)


def test_names_are_those_of_the_library_that_is_named():
    assert safetensors_file.library_of("efficientnet_lite0", "timm") == "timm"
    assert safetensors_file.library_of("resnet18") == "torchvision"
    assert safetensors_file.library_of("convnet") == "jigsaw_shape"
    with pytest.raises(ValueError, match="--names is 'keras': vgg16 has the names of"):
        safetensors_file.library_of("vgg16", "keras")


def test_a_card_says_what_is_not_known(network):
    config = {
        "preset": "erm",
        "data": {"name": "mine", "target": "sketch"},
        "model": {"init": "somewhere/weights.pth"},
    }
    evaluations = make_evaluations()
    for row in evaluations:
        del row["cue_conflict/shape_bias"]
    facts = network.facts() | ABOUT | WRITTEN_BY
    text = make_run_card([], facts, config, evaluations)
    assert "Shape bias: not measured." in text
    assert text.count("not recorded") == 2
    assert "`.../weights.pth`" in text
    assert "somewhere" not in text


@pytest.mark.parametrize(
    "init", ["random_search/best.pth", "/home/me/random", "randoms"]
)
def test_only_random_numbers_have_their_terms(init):
    assert card.init_terms(init).startswith("not recorded")


@pytest.mark.parametrize(
    ("init", "shown"),
    [
        ("random", "random"),
        ("hub:someone/weights@v1", "hub:someone/weights@v1"),
        ("torchvision:resnet18.IMAGENET1K_V1", "torchvision:resnet18.IMAGENET1K_V1"),
        ("best.pth", "best.pth"),
        ("/home/me/runs/mine@val", ".../mine@val"),
        ("random/random", ".../random"),
    ],
)
def test_of_a_path_the_last_name_is_published(init, shown):
    styled = {"styles": "pack", "stylizer": "shipped"}
    data = {"name": "x", "target": "t", "sources": "s"}
    config = {"data": data, "model": {"init": init}, "diversify": styled}
    found = card.public(config)
    about = card.about_run(config | {"preset": "erm", "seed": 0}, {}, 1)
    assert about["init"] == shown
    assert found["model"]["init"] == shown
    assert found["diversify"] == styled
    assert config["model"]["init"] == init
