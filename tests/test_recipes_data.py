"""The recipe of a known data set: one record, one line, and the commands take it."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from small_runs import REPOSITORY

from jigsaw_shape import prepare, train
from jigsaw_shape.data import known_sets, sources

TOYS = known_sets.KnownSet(
    name="toys",
    domains={"photo": 8, "line_art": 8},
    classes=("car", "doll"),
    aliases={"lines": "line_art"},
    photographs="photo",
    terms="Toys: drawn by a test",
    origin="https://example.org/toys",
    published=(known_sets.Published("ERM", "ConvNet", "A test, 2026", 70.0),),
)


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """Registers the set and writes a copy of it, in the spelling of a download."""
    monkeypatch.setitem(known_sets.KNOWN_SETS, TOYS.name, TOYS)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    rng = np.random.default_rng(0)
    for domain in ("Photo", "Lines"):
        for name in ("Car", "Doll"):
            folder = tmp_path / "download" / domain / name
            folder.mkdir(parents=True)
            for i in range(4):
                pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "download"


def run_train(workdir, toys, **changes):
    fields = {
        "data.name": "toys",
        "data.source_dir": str(toys),
        "data.target": "Line Art",
        "model.encoder": "convnet",
        "model.init": "random",
        "data.stored_px": 24,
        "data.image_size": 24,
        "data.batch_size": 4,
        "eval.batch_size": 8,
        "epochs": 1,
        "log.tensorboard": False,
        **changes,
    }
    return train.main(
        [
            "train",
            f"--config={REPOSITORY / 'configs' / 'folder.py'}:erm",
            f"--workdir={workdir}",
            *(f"--config.{name}={value}" for name, value in fields.items()),
        ]
    )


def test_a_known_set_is_one_record(toys, tmp_path, capsys):
    (toys / "Photo" / "Car" / "0.png").rename(toys / "moved.png")
    with pytest.raises(SystemExit):
        prepare.main(["toys", "--from", str(toys)])
    assert "photo: 7 images found, 8 expected" in capsys.readouterr().err
    (toys / "moved.png").rename(toys / "Photo" / "Car" / "0.png")
    assert prepare.main(["Toys", "--from", str(toys)]) == 0
    assert "toys prepared in" in capsys.readouterr().out

    workdir = tmp_path / "run"
    assert run_train(workdir, toys) == 0
    config = json.loads((workdir / "config.json").read_text())
    assert config["data"]["target"] == "line_art"  # as the record has it
    assert "line_art by class" in capsys.readouterr().out
    assert known_sets.terms("toys") == "Toys: drawn by a test"
    assert known_sets.published("toys", "convnet") == list(TOYS.published)
    assert known_sets.photographs_among(TOYS.domains, "toys") == "photo"

    # The run goes on from what is prepared, whatever becomes of the folder.
    (toys / "Photo" / "Car" / "new.png").write_bytes(
        (toys / "Photo" / "Car" / "0.png").read_bytes()
    )
    assert run_train(workdir, toys) == 0
    with pytest.raises(SystemExit):
        run_train(tmp_path / "another", toys)
    assert "which differs from" in capsys.readouterr().err


def test_domains_of_any_spelling_are_written_as_the_set_has_them(toys):
    data = ConfigDict({"name": "toys", "target": "LINES", "sources": "Photo, lines"})
    sources.spell_domains(data)
    assert (data.target, data.sources) == ("line_art", "photo,line_art")
    data.name, data.target, data.sources = "mine", "Real World", "photo, art"
    sources.spell_domains(data)
    assert (data.target, data.sources) == ("real_world", "photo, art")  # as it was
