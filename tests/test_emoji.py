"""The data set emoji: its rules, its drawing from tiny packages, what ships of it."""

import csv
import doctest
import hashlib
import io
import json
import shutil
import tarfile
import types

import numpy as np
import pytest
from PIL import Image

from jigsaw_shape import prepare
from jigsaw_shape.config import default_config
from jigsaw_shape.data import emoji, emoji_drawings, known_sets, sources
from jigsaw_shape.data.embedded import emoji_small
from jigsaw_shape.data.names import plain
from jigsaw_shape.suites import given_images
from jigsaw_shape.training import run_data

SQUARE = '<path d="M8 8h16v16H8z" fill="{}"/>'
DISC = '<circle cx="16" cy="16" r="12" fill="{}"/>'


def package(name, version=None, **changes):
    """Returns the files of a package with two things and what has to be left out."""
    icons = {
        "box": {"body": SQUARE.format("#c00")},
        "ball": {"body": DISC.format("#08c")},
        "red-flag": {"body": SQUARE.format("red")},
        **changes,
    }
    design = emoji.DESIGNS[name]
    return {
        "package.json": {
            "name": f"@iconify-json/{name}",
            "version": version or design.version,
        },
        "icons.json": {"prefix": name, "icons": icons, "width": 32, "height": 32},
    }


def write(folder, name, files, *, packed=False):
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in files.items()}
    if not packed:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / name / file).write_text(text)
        return
    with tarfile.open(folder / f"iconify-json-{name}.tgz", "w:gz") as archive:
        for file, text in texts.items():
            member = tarfile.TarInfo(f"package/{file}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture
def packages(tmp_path):
    pytest.importorskip("resvg_py")
    folder = tmp_path / "packages"
    folder.mkdir()
    for i, name in enumerate(emoji.DESIGNS):
        write(folder, name, package(name), packed=i % 2 == 0)
    return folder


@pytest.fixture
def run_prepare(tmp_path):
    def run(*arguments):
        data_dir = ("--data-dir", str(tmp_path / "tfds"))
        return prepare.main(["emoji", *data_dir, "--allow-partial", *arguments])

    return run


def icon_set(**icons):
    aliases = icons.pop("aliases", {})
    return emoji.IconSet("x", "1", "x", "", {key: {} for key in icons}, aliases, (1, 1))


def test_the_rule_of_held_out_names_is_the_one_that_is_stated():
    for name in ("cat", "black-cat", "anchor", "t-rex", "red-heart"):
        first = hashlib.sha256(name.encode()).hexdigest()[:8]
        assert emoji.is_held_out(name) == (int(first, 16) % 4 == 0)
        assert emoji.is_held_out(plain(name)) == emoji.is_held_out(name)
    assert doctest.testmod(emoji).failed == 0
    names = emoji_small.names()
    parts = [emoji.names_of(part, names) for part in emoji.PARTS]
    learned, held_out, unrelated = map(set, parts)
    assert learned | held_out == set(names)
    assert not learned & held_out
    assert unrelated < held_out
    assert 0.2 < len(held_out) / len(names) < 0.3


def test_relatives_share_all_words_of_the_shorter_name(monkeypatch):
    monkeypatch.setattr(emoji, "is_held_out", lambda name: name.startswith("black"))
    names = ("cat", "black-cat", "black-heart", "red-heart", "catfish", "black-cats")
    found = [n for n in names if emoji.has_learned_relative(n, names)]
    assert "black-cat" in found
    assert not {"black-heart", "black-cats"} & set(found)


def test_names_are_made_one_across_designs():
    flipped = {"parent": "box", "hFlip": True}
    designs = {
        "a": icon_set(box=1, bear=1, **{"new-moon": 1}),
        "b": icon_set(box=1, bear=1, newmoon=1),
        "c": icon_set(box=1, aliases={"bear": {"parent": "bear-face"}, "xob": flipped}),
        "d": icon_set(**{"new-moon": 1, "up-button": 1}),
    }
    designs["c"].icons["bear-face"] = {}
    designs["a"].aliases["bear-face"] = {"parent": "bear"}
    designs["b"].aliases["bear-face"] = {"parent": "bear"}
    designs |= {k + "2": v for k, v in designs.items()}
    assert emoji.choose(designs) == {
        "bear": {d: "bear" for d in ("a", "b", "a2", "b2")}
        | {"c": "bear-face", "c2": "bear-face"},
        "box": {d: "box" for d in ("a", "b", "c", "a2", "b2", "c2")},
        "new-moon": dict.fromkeys(("a", "a2", "d", "d2"), "new-moon")
        | {"b": "newmoon", "b2": "newmoon"},
    }


def test_packages_become_a_data_set(packages, run_prepare, tmp_path, capsys):
    assert run_prepare("--from", str(packages), "--size", "64") == 0
    said = capsys.readouterr().out
    assert "noto and noto-v1 draw 2 of 2 names nearly alike" in said
    assert "noto: 2 images found, 1108 expected" in said
    drawings = tmp_path / "tfds" / "downloads" / "manual" / "emoji"
    assert f"drawings: {drawings}" in said
    pixels = np.asarray(Image.open(drawings / "noto" / "box" / "box.png"))
    assert pixels.shape == (64, 64, 3)
    # 56 px of 32 units: the square's 16 are 28 px in the middle, on white.
    assert (pixels == (204, 0, 0)).all(axis=2).sum() == 28 * 28
    assert (pixels[18:46, 18:46] == (204, 0, 0)).all()
    assert (pixels == 255).all(axis=2).sum() == 64 * 64 - 28 * 28
    record = json.loads((drawings / emoji_drawings.RECORD).read_text())
    assert record["packages"]["twemoji"]["licence"] == "CC-BY-4.0"

    drawn = (drawings / "noto" / "box" / "box.png").stat().st_mtime_ns
    assert run_prepare("--from", str(packages), "--size", "64") == 0
    assert "was prepared before" in capsys.readouterr().out
    assert (drawings / "noto" / "box" / "box.png").stat().st_mtime_ns == drawn

    stimuli = given_images.read(f"domains={drawings}", [])[0]
    assert len(stimuli.images) == 22
    with pytest.raises(ValueError, match="none of its classes is held out"):
        given_images.read(f"held_out={drawings}", [])


def refusal(capsys, run_prepare, *arguments):
    with pytest.raises(SystemExit) as stopped:
        run_prepare(*arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_bad_packages_are_refused_in_one_line_each(packages, tmp_path, capsys):
    def refused(*more):
        data_dir = ("--data-dir", str(tmp_path / "tfds"))

        def run(*arguments):
            return prepare.main(["emoji", *data_dir, *arguments])

        return refusal(capsys, run, "--from", str(packages), *more)

    shutil.rmtree(packages / "noto-v1")
    write(packages, "noto", package("noto", "9.9.9"), packed=True)
    (packages / "iconify-json-noto.tgz").rename(packages / "later.tgz")
    lines = refused().splitlines()
    assert lines[0].endswith("refused without --allow-partial:")
    ours = emoji.DESIGNS["noto"].version
    assert f"noto is version 9.9.9, the benchmark is drawn from {ours}" in lines[1]
    assert "noto-v1 is missing in" in lines[2]
    assert len(lines) == 3

    broken = package("noto-v1", box={"body": "<path"}, ball={"body": "<g/>"})
    write(packages, "noto-v1", broken)
    write(packages, "noto", package("noto"), packed=True)
    (packages / "later.tgz").unlink()
    lines = refused().splitlines()
    assert lines[0].endswith("refused without --skip-broken:")
    assert lines[1].strip() == "noto-v1/ball does not render: nothing is drawn"
    assert lines[2].strip().startswith("noto-v1/box does not render: ")
    assert len(lines) == 3

    write(packages, "noto-v1", {**broken, "icons.json": "{}"})
    assert "noto-v1 has no list of names" in refused()
    write(packages, "noto-v1", package("noto-v1"))
    (packages / "iconify-json-noto.tgz").write_bytes(b"no archive")
    assert "iconify-json-noto.tgz is damaged" in refused()
    assert "--size is 7" in refused("--size", "7")


def test_broken_drawings_can_be_left_out(packages, run_prepare, capsys):
    write(packages, "noto-v1", package("noto-v1", box={"body": "<path"}))
    assert run_prepare("--from", str(packages), "--skip-broken") == 0
    assert "left out: noto-v1/box does not render" in capsys.readouterr().out


def test_a_missing_or_failing_npm_is_said_in_one_line(
    run_prepare, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal(capsys, run_prepare)
    assert "there is no npm to fetch the packages with: run `npm pack " in said
    assert len(said.splitlines()) == 1
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho npm error network down >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = refusal(capsys, run_prepare)
    assert "npm cannot fetch @iconify-json/noto@" in said
    assert "network down" in said
    assert len(said.splitlines()) == 1


def test_a_folder_of_images_is_taken_as_it_is(tmp_path, run_prepare, capsys):
    for design in ("noto", "twemoji"):
        for name in ("box", "ball"):
            path = tmp_path / "drawn" / design / name / "x.png"
            path.parent.mkdir(parents=True)
            noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(noise).save(path)
    assert run_prepare("--from", str(tmp_path / "drawn")) == 0
    assert "emoji prepared in" in capsys.readouterr().out


def test_the_record_has_the_designs():
    assert list(known_sets.EMOJI.domains) == [plain(name) for name in emoji.DESIGNS]
    drawers = {name: design.drawer for name, design in emoji.DESIGNS.items()}
    assert not emoji.are_independent("fluent_emoji", "fluent-emoji-flat")
    assert emoji.are_independent("openmoji", "noto_v1")
    assert len(set(drawers.values())) == 6


# What ships.


def test_what_ships_is_small_permitted_and_named():
    files = sorted(emoji_small.folder().iterdir())
    assert sum(path.stat().st_size for path in files) < 4e6
    with (emoji_small.folder() / "SOURCES.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"{d}.webp" for d in emoji_small.DOMAINS]
    for row, name in zip(rows, emoji_small.DESIGNS, strict=True):
        design = emoji.DESIGNS[name]
        assert row["licence"] == design.licence
        assert row["licence"] in {"MIT", "Apache-2.0", "CC-BY-4.0"}
        assert row["author"] == design.author
        assert row["source"] == f"@iconify-json/{name} {design.version}"


def test_every_name_is_drawn_by_every_design():
    dataset = emoji_small.load()
    n = len(emoji_small.names())
    assert (n, len(dataset)) == (400, 2800)
    silhouettes = {"fluent_emoji_high_contrast", "emojione_monotone"}
    for d, domain in enumerate(emoji_small.DOMAINS):
        images = np.stack(
            [dataset.read(i) for i in np.flatnonzero(dataset.domain == d)]
        )
        assert images.shape == (400, 96, 96, 3)
        assert (images[:, :2] == 255).all()  # the margin is white
        assert (images < 255).any(axis=(1, 2, 3)).all()  # nothing is blank
        is_grey = (images[..., 0] == images[..., 1]).all()
        assert is_grey == (domain in silhouettes)
    small = emoji_small.load(size_px=24)
    assert small.read(5).shape == (24, 24, 3)
    assert abs(small.read(5).mean() - dataset.read(5).mean()) < 2


def test_names_can_be_learned_and_others_found(tmp_path):
    config = learner_config()
    data = sources.load_dataset(config.data)
    assert set(data.classes) == set(
        map(plain, emoji.names_of("learned", emoji_small.names()))
    )
    config.data.classes = "learned,held_out"
    assert len(sources.load_dataset(config.data).classes) == len(emoji_small.names())
    config.data.classes = "learned"
    stimuli = given_images.read("held_out=emoji_small", [])[0]
    assert not set(stimuli.category) & set(data.classes)
    run = types.SimpleNamespace(name="mine", config=config, classes=data.classes)
    given_images.refuse_learned(["held_out=emoji_small"], [run])
    run.classes += ("bell",)
    given_images.refuse_learned(["domains=emoji_small"], [run])
    for argument in ("held_out=emoji_small", "held-out=emoji_small"):
        with pytest.raises(ValueError, match=r"mine learned 1 of the .*, such as bell"):
            given_images.refuse_learned([argument], [run])
    assert stimuli.read(0, 32, "white").shape == (32, 32, 3)
    dataset, splits = run_data.load_data(config)
    assert splits.sources == ("noto", "twemoji")
    assert len(splits.target) == len(dataset.classes)


def learner_config():
    config = default_config()
    config.data.name = "emoji_small"
    config.data.classes = "learned"
    config.data.sources = "noto,twemoji"
    config.data.target = "fluent_emoji_high_contrast"
    config.data.stored_px = 32
    return config
