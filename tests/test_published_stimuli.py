"""`prepare stimuli`: from archives that a server or a folder has, and without any."""

import tarfile

import numpy as np
import pytest
from PIL import Image

from jigsaw_shape import prepare
from jigsaw_shape.data import published_stimuli
from jigsaw_shape.data.published_stimuli import Published
from jigsaw_shape.data.stimuli import read_folder


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder of archives in place of the server; two sets are all there are."""
    folder = tmp_path / "server"
    folder.mkdir()
    url = folder.as_uri() + "/{}.tar.gz"
    monkeypatch.setattr(published_stimuli, "URL", url)
    sets = {"edge": Published("CC", 2), "sketch": Published("MIT")}
    monkeypatch.setattr(published_stimuli, "SETS", sets)
    for name in sets:
        _archive(folder, tmp_path / "made", name, ("cat/1.png", "dog/2.png"))
    return folder


def _archive(folder, made, name, images):
    for image in images:
        path = made / name / image
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
        archive.add(made / name, name)


def _run(*arguments):
    try:
        return prepare.main(["stimuli", *map(str, arguments)])
    except SystemExit as stop:
        return stop.code


def test_sets_are_fetched_once_checked_and_their_terms_named(server, tmp_path, capsys):
    home = tmp_path / "home"
    assert _run("--data-dir", home) == 0
    printed = capsys.readouterr().out
    assert "edge: 2 images; CC" in printed
    assert f"evaluate --data {home / 'stimuli'}" in printed
    assert read_folder(home / "stimuli" / "edge").experiment == "edges"
    assert sorted(p.name for p in (home / "stimuli").iterdir() if p.name[0] != ".") == [
        *("edge", "sketch"),
    ]
    for path in server.iterdir():
        path.unlink()
    assert _run("--data-dir", home) == 0  # they are there


def test_without_a_network_a_line_each_says_what_to_put_where(server, tmp_path, capsys):
    (server / "sketch.tar.gz").rename(tmp_path / "sketch.tar.gz")
    (server / "edge.tar.gz").unlink()
    home = tmp_path / "home"
    assert _run("--data-dir", home) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert f"edge is missing: put {server.as_uri()}/edge.tar.gz into" in first
    assert "and run this again" in first
    assert "sketch is missing" in second
    (tmp_path / "sketch.tar.gz").rename(home / "stimuli" / "sketch.tar.gz")
    assert _run("--data-dir", home) == 2
    assert (home / "stimuli" / "sketch" / "cat" / "1.png").is_file()
    assert "edge is missing" in capsys.readouterr().err


def test_archives_of_a_folder_are_taken_and_left_there(server, tmp_path, capsys):
    published_stimuli.URL = (tmp_path / "nowhere").as_uri() + "/{}.tar.gz"
    home = tmp_path / "home"
    assert _run("--data-dir", home, "--from", server) == 0
    assert (server / "edge.tar.gz").is_file()
    assert _run("--data-dir", tmp_path / "other", "--from", tmp_path / "made") == 0
    assert _run("--from", server / "edge.tar.gz") == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_set_of_too_few_or_damaged_images_is_refused(server, tmp_path, capsys):
    _archive(server, tmp_path / "few", "edge", ("cat/1.png",))
    (tmp_path / "odd" / "sketch" / "cat").mkdir(parents=True)
    (tmp_path / "odd" / "sketch" / "cat" / "1.png").write_bytes(b"no image")
    home = tmp_path / "home"
    assert _run("--data-dir", home, "--from", tmp_path / "odd") == 2
    faults = capsys.readouterr().err
    assert "holds 1 image, not 2" in faults
    assert "is no readable image" in faults
    assert not (home / "stimuli" / "sketch").exists()
