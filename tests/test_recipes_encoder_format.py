"""CONTRIBUTING's recipes for an encoder and an export format, followed with toys."""

import csv
import json

import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from PIL import Image
from small_runs import arguments

import jigsaw_shape
from jigsaw_shape import embed, export, predict, train
from jigsaw_shape.exporting.format import Format, array_difference, to_metadata
from jigsaw_shape.exporting.formats import FORMATS
from jigsaw_shape.models import ENCODERS, EncoderSpec
from jigsaw_shape.models.encoder import Encoder
from jigsaw_shape.models.network import from_facts


class ToyEncoder(Encoder):
    """What a file of `models/` holds: pixels averaged to 4 x 4, and a dense layer."""

    width: int = 12

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, H, W, 3] to features [B, width]."""
        b, h, w, c = images.shape
        cells = images.reshape(b, 4, h // 4, 4, w // 4, c).mean((2, 4))
        x = self.leave("stem", cells, edit)
        return nn.relu(nn.Dense(self.width, name="dense")(x.reshape(b, -1)))


def write(path, network, facts, options):
    """What a file of `exporting/` holds."""
    assert options.input == "uint8"
    flat = traverse_util.flatten_dict(dict(network.variables), sep="/")
    np.savez(path, **flat, **{f"fact/{k}": v for k, v in to_metadata(facts).items()})


def read(path):
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    texts = {name: str(arrays.pop(name)) for name in list(arrays) if "fact/" in name}
    facts = {
        name.removeprefix("fact/"): json.loads(text) for name, text in texts.items()
    }
    tree = traverse_util.unflatten_dict(arrays, sep="/")
    encoder = {kind: of_kind["encoder"] for kind, of_kind in tree.items()}
    return from_facts(facts, encoder, tree["params"].get("head_classification"))


TOY = Format(
    files=lambda options: ["model.toy.npz"],
    write=write,
    difference=lambda path, reference: array_difference(
        read(path).variables, reference.network.variables
    ),
    read=read,
    suffix=".npz",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the toy encoder, trained by the command."""
    spec = EncoderSpec(ToyEncoder, stages=("stem",), style_stages=("stem",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "toy", spec)
        patch.setitem(FORMATS, "toy", TOY)
        workdir = tmp_path_factory.mktemp("runs") / "toy"
        flags = arguments(workdir, "erm", model__encoder="toy", epochs=1)
        assert train.main(["train", *flags]) == 0
        yield workdir


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for n in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(
            root / f"{n}.png"
        )
    return root


def test_an_encoder_is_one_file_and_one_line(run, folder, tmp_path):
    out = tmp_path / "features.npz"
    given = [str(folder), "--model", str(run), "--out"]
    assert embed.main(["embed", *given, str(out)]) == 0
    with np.load(out) as file:
        assert file["vector"].shape == (3, 12)
        assert np.isfinite(file["vector"]).all()
    out = tmp_path / "predictions.csv"
    assert predict.main(["predict", *given, str(out)]) == 0
    with out.open(newline="") as file:
        named = {row["class"] for row in csv.DictReader(file)}
    assert named <= set(jigsaw_shape.load(run).classes)


def test_an_export_format_is_one_file_and_one_line(run, tmp_path):
    out = tmp_path / "exported"
    flags = ["--model", str(run), "--format", "toy,orbax", "--out", str(out)]
    assert export.main(["export", *flags]) == 0
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    expected = jigsaw_shape.load(run).predict(images)
    opened = jigsaw_shape.load(out / "model.toy.npz")
    assert opened.about["encoder"] == "toy"
    found = opened.predict(images)
    for head in ("features", "classification"):
        assert found[head] == pytest.approx(expected[head], abs=1e-4)


def test_a_format_that_loses_something_is_not_kept(run, tmp_path, monkeypatch, capsys):
    def write_wrong(path, network, facts, options):
        write(path, network, facts, options)
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        arrays["params/encoder/dense/bias"] += 1
        np.savez(path, **arrays)

    wrong = Format(TOY.files, write_wrong, TOY.difference, TOY.read, TOY.suffix)
    monkeypatch.setitem(FORMATS, "toy", wrong)
    flags = ["--model", str(run), "--format", "toy", "--out", str(tmp_path / "x")]
    assert export.main(["export", *flags]) == export.DIFFERS
    assert "model.toy.npz differs from the checkpoint" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
