"""`python -m jigsaw_shape.prepare`: what it prints, where, and its exit codes."""

import dataclasses
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from jigsaw_shape import prepare
from jigsaw_shape.data import known_sets, prepared_folders


@pytest.fixture
def own(tmp_path):
    root = tmp_path / "own"
    for number, kind in enumerate(("day/car", "day/tree", "night/car")):
        (root / kind).mkdir(parents=True)
        for i in range(number + 1):
            pixels = np.full((9, 9, 3), 40 * number + i, np.uint8)
            Image.fromarray(pixels).save(root / kind / f"{i}.png")
    return root


def run(*args):
    """Returns the exit code; argparse and refusals leave by SystemExit."""
    try:
        return prepare.main([str(a) for a in args])
    except SystemExit as stop:
        return stop.code


def test_counts_and_place_are_printed(own, tmp_path, capsys):
    data_dir = tmp_path / "tfds"
    assert run("own", "--from", own, "--data-dir", data_dir) == 0
    out = capsys.readouterr().out
    rows = [line.replace("│", " ").split() for line in out.splitlines()]
    assert ["car", "1", "3", "4"] in rows
    assert ["tree", "2", "0", "2"] in rows
    assert ["total", "3", "3", "6"] in rows
    assert "note: night: no images of tree" in out
    assert f"prepared in {data_dir / 'domain_folders' / 'own' / '1.0.0'}" in out
    assert run("own", "--data-dir", data_dir) == 0  # there already
    assert run("own", "--from", own, "--name", "Mine 2", "--data-dir", data_dir) == 0
    assert len(prepared_folders.load("mine_2", data_dir=data_dir, source_dir=own)) == 6


def test_refusals_have_code_2_and_no_traceback(own, tmp_path):
    (own / "day" / "car" / "0.png").write_bytes(b"")
    (own / "night" / "car" / "1.png").write_bytes(b"junk")
    command = [sys.executable, "-m", "jigsaw_shape.prepare", "own", "--from", own]
    done = subprocess.run(
        [*command, "--data-dir", tmp_path / "tfds"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"prepare: {own} has 2 faults (--skip-broken leaves broken files out):",
        "  day/car/0.png: the file is empty",
        "  night/car/1.png: not an image",
    ]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_full_disk_is_said_in_one_line_and_changes_nothing(own, tmp_path, kind):
    data_dir, size = tmp_path / "tfds", (300, 300, 3)
    assert run("own", "--from", own, "--data-dir", data_dir) == 0
    noise = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    Image.fromarray(noise).save(own / "night" / "car" / "large.png")
    source = own
    if kind == "zip":
        source = shutil.make_archive(tmp_path / "packed", "zip", own)
    args = ("own", "--from", source, "--data-dir", data_dir, "--overwrite")
    small = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash"]  # files of 100 KiB
    command = [*small, sys.executable, "-m", "jigsaw_shape.prepare", *args]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    home = data_dir / "domain_folders" / "own"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"prepare: own cannot be written to {home}: ")
    assert "File too large. Make room there, or store it elsewhere" in line
    assert not list(home.glob("incomplete*"))
    assert len(prepared_folders.load("own", data_dir=data_dir)) == 6
    assert run(*args) == 0
    assert len(prepared_folders.load("own", data_dir=data_dir)) == 7


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("own", "--from", "nowhere"), "nowhere does not exist"),
        (("own",), "own is not prepared in"),
        (("shapes",), "shapes is drawn, see configs/"),
        (("imagenet",), "imagenet is read from TFDS, see configs/"),
        (("--", "!"), "no name for a data set"),
        (("own", "--form", "x"), "unknown argument --form; did you mean --from?"),
        ((), "required"),
    ],
)
def test_one_line_refusals(tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("OWN_DIR", raising=False)
    assert run(*args) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("prepare: ")
    assert message in last


def test_a_zip_with_a_flipped_byte_is_refused(own, tmp_path, capsys):
    archive = tmp_path / "own.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(own.rglob("*.png")):
            out.write(path, path.relative_to(own))
        at = out.infolist()[0].header_offset + 60
    data = bytearray(archive.read_bytes())
    data[at] ^= 255
    archive.write_bytes(data)
    assert run("own", "--from", archive, "--data-dir", tmp_path / "tfds") == 2
    assert f"day/car/0.png of {archive} cannot be read" in capsys.readouterr().err


def test_a_partial_known_set_needs_leave(own, tmp_path, monkeypatch, capsys):
    spec = known_sets.KnownSet("pacs", {"day": 3, "night": 4}, ("car", "tree"))
    monkeypatch.setitem(known_sets.KNOWN_SETS, "pacs", dataclasses.replace(spec))
    args = ("pacs", "--from", own, "--data-dir", tmp_path / "tfds")
    assert run(*args) == 2
    refused = capsys.readouterr().err
    assert "night: 3 images found, 4 expected" in refused
    assert "night: no images of tree" in refused
    assert run(*args, "--allow-partial") == 0
    assert (
        "note: incomplete: night: 3 images found, 4 expected" in capsys.readouterr().out
    )


def test_overwrite_replaces(own, tmp_path, capsys):
    args = ("own", "--from", own, "--data-dir", tmp_path / "tfds")
    assert run(*args) == 0
    (own / "day" / "car" / "0.png").unlink()
    Image.new("RGB", (5, 5)).save(own / "day" / "car" / "other.png")
    assert run(*args) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(*args, "--overwrite") == 0
    names = prepared_folders.load("own", data_dir=tmp_path / "tfds").names
    assert names[0] == "day/car/other.png"
