"""What shows through transparent images: one field for every command, kept by runs."""

import json

import numpy as np
import pytest
from PIL import Image
from test_checks import CONFIGS, load_config

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.data import domain_folders, sources, stimuli
from jigsaw_shape.runs import directory, fingerprint


@pytest.fixture
def stickers(tmp_path):
    """Returns a folder of two domains of images that are transparent throughout."""
    for name in ("flat/cat/1.png", "line/cat/1.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        Image.new("RGBA", (6, 6), (0, 0, 0, 0)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def _config(stickers, **data):
    config = config_lib.default_config()
    config.data.name, config.data.source_dir = "stickers", str(stickers)
    config.data.data_dir = str(stickers.parent / "tfds")
    config.data.update(data)
    return config


def test_data_sets_are_read_on_the_configured_background(stickers):
    seen = {"white": 255, "grey": 128, "black": 0, "10,10,10": 10, "stored": 0}
    for background, value in seen.items():
        dataset = sources.load_dataset(_config(stickers, background=background).data)
        np.testing.assert_array_equal(dataset.read(0), np.full((227, 227, 3), value))
    assert sources.load_dataset(_config(stickers).data).read(0).min() == 255


def test_labelled_folders_are_read_on_white_or_what_is_asked_for(stickers):
    for found in (
        stimuli.read_folder(stickers),
        domain_folders.read_folder(stickers)[0],
    ):
        assert found.read(0, 4).min() == 255
        assert found.dataset(4).read(0).min() == 255
        assert found.dataset(4, "black").read(0).max() == 0
        assert found.subset(np.arange(1)).dataset(4, "7,7,7").read(0).max() == 7


def test_a_run_from_before_the_field_reads_what_is_stored(stickers):
    config = _config(stickers)
    tree = config.to_dict()
    del tree["data"]["background"]
    old = fingerprint.from_json(json.dumps(tree))
    assert sources.load_dataset(old.data).read(0).max() == 0
    assert fingerprint.digest(old) == fingerprint.digest(config)
    checks.check(old, n_devices=1)


def test_a_run_from_before_the_field_is_continued_as_it_began(tmp_path):
    config = load_config(CONFIGS[0])
    config.workdir = str(tmp_path)
    directory.keep_background(config)  # nothing is there yet
    assert config.data.background == "white"
    stored = fingerprint.to_json(config)
    (tmp_path / "config.json").write_text(stored)
    directory.keep_background(config)  # a run with the field
    assert config.data.background == "white"
    tree = config.to_dict()
    del tree["data"]["background"]
    old = json.dumps(tree)
    (tmp_path / "config.json").write_text(old)
    directory.keep_background(config)
    assert "background" not in config.data
    assert fingerprint.differences(old, config) == []
    changed = load_config(CONFIGS[0])
    changed.workdir, changed.data.background = str(tmp_path), "black"
    directory.keep_background(changed)
    assert fingerprint.differences(old, changed) == ["data.background: absent -> black"]


def test_an_unknown_background_is_refused():
    config = load_config(CONFIGS[0])
    config.data.background = "pink"
    with pytest.raises(ValueError, match=r"config\.data\.background is 'pink': white"):
        checks.check(config, n_devices=1)
