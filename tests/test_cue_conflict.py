"""Cue-conflict sets of one's own classes: what is mixed, of which images, and how."""

import collections
import dataclasses
import json
import pathlib

import numpy as np
import pytest
from PIL import Image
from small_pair import tiny_pair
from small_runs import REPOSITORY

from jigsaw_shape import make_cue_conflict
from jigsaw_shape.data import stimuli
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import split
from jigsaw_shape.diversify import adain, stylizer_files
from jigsaw_shape.stylizing import cue_conflict, cue_files
from jigsaw_shape.stylizing.cue_conflict import Recipe

CLASSES, DOMAINS, N_EACH, S = ("ant", "big_bee", "cow2"), ("photo", "cartoon"), 40, 24


def _dataset(classes=CLASSES, domains=DOMAINS, n_each=N_EACH, size_px=S):
    """Returns images whose colour is their class's and whose stripes are their own."""
    cells = [(d, c) for d in range(len(domains)) for c in range(len(classes))]
    domain, label = np.repeat(np.int32(cells), n_each, axis=0).T

    def read(i):
        rng = np.random.default_rng(i)
        image = rng.integers(60, size=(size_px, size_px, 3))
        image[:, :, label[i]] += 120
        image[:: rng.integers(2, 6)] += 60
        return image.astype(np.uint8)

    names = tuple(
        f"{domains[d]}/{classes[c]}/{i}.png"
        for i, (d, c) in enumerate(zip(domain, label, strict=True))
    )
    return Dataset("three", classes, domains, label, domain, read, names=names)


RECIPE = Recipe(
    "photo", ("photo", "cartoon"), n_images=20, alpha=0.5, split="domainbed"
)


@pytest.fixture(scope="module")
def stylizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("pair") / "tiny.npz"
    stylizer_files.save_pair(path, tiny_pair(), {})
    return str(path)


@pytest.fixture(scope="module")
def made(stylizer, tmp_path_factory):
    """Returns the recipe and folder of a set."""
    out = tmp_path_factory.mktemp("made")
    recipe = dataclasses.replace(RECIPE, stylizer=stylizer)
    cue_files.make(_dataset(), recipe, out)
    return recipe, out


def _rows(folder: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").open()]


def _pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_mixes_are_balanced_over_pairs_and_sources():
    dataset = _dataset()
    mixes = cue_conflict.plan(dataset, RECIPE)
    per_pair = collections.Counter((mix.shape, mix.texture) for mix in mixes)
    assert len(per_pair) == 6
    assert set(per_pair.values()) == {4}  # the least that makes 20 images
    assert len(mixes) == 24
    assert len({(m.content, m.style) for m in mixes}) == 24
    for side in ("content", "style"):
        uses = collections.Counter(getattr(mix, side) for mix in mixes)
        kind = {"content": "shape", "style": "texture"}[side]
        for label in range(3):
            of_class = [
                n for source, n in uses.items() if dataset.label[source.index] == label
            ]
            assert max(of_class) - min(of_class) <= 1
            owners = {getattr(m, kind) for m in mixes if getattr(m, side) in uses}
            assert owners == {0, 1, 2}
    for mix in mixes:
        assert dataset.label[mix.content.index] == mix.shape
        assert dataset.label[mix.style.index] == mix.texture
        assert dataset.domains[dataset.domain[mix.style.index]] == "photo"


@pytest.mark.parametrize("target", DOMAINS)
def test_no_image_was_trained_on_whatever_domain_was_held_out(target):
    dataset = _dataset()
    trained = set(split(dataset, target=target, method="domainbed").train.tolist())
    assert trained
    for mix in cue_conflict.plan(dataset, RECIPE):
        assert not {mix.content.index, mix.style.index} & trained


def test_many_mixes_of_few_sources_are_all_different():
    dataset = _dataset(n_each=15)  # 3 held out of each class and domain, or so
    mixes = cue_conflict.plan(dataset, dataclasses.replace(RECIPE, n_images=60))
    assert len(mixes) == 60
    assert len({(mix.content, mix.style) for mix in mixes}) == 60


def test_the_seed_decides_who_meets_whom():
    dataset = _dataset()
    mixes = cue_conflict.plan(dataset, RECIPE)
    assert mixes == cue_conflict.plan(dataset, RECIPE)
    assert mixes != cue_conflict.plan(dataset, dataclasses.replace(RECIPE, seed=1))


def test_evaluations_know_what_a_set_was_made_of(made):
    _, out = made
    for folder in (cue_files.MIXED, cue_files.ORIGINAL):
        found = stimuli.read_folder(out / folder).held_out
        assert found == (_dataset().digest(), "domainbed", 0)


def test_names_parse_as_the_published_ones_do(made):
    _, out = made
    words = {"ant": "ant", "bigbee": "big_bee", "cow": "cow2"}
    rows = _rows(out / "cue-conflict")
    assert len(rows) == len({row["output"] for row in rows}) == 24
    for row in rows:
        path = out / "cue-conflict" / row["output"]
        assert path.is_file()
        shape, texture = path.stem.split("_")[-1].split("-")
        assert words[shape.rstrip("0123456789")] == row["shape"]
        assert words[texture.rstrip("0123456789")] == row["texture"]
        assert row["shape"] != row["texture"]
        assert words[path.parent.name] == row["shape"]
    assert not {p.name for p in (out / "cue-conflict").rglob("*.png")} ^ {
        pathlib.Path(row["output"]).name for row in rows
    }


def test_the_manifest_says_what_made_each_image(made):
    recipe, out = made
    dataset = _dataset()
    index = {name: i for i, name in enumerate(dataset.names)}
    pair = stylizer_files.load_pair(recipe.stylizer)
    for row in _rows(out / "cue-conflict"):
        content = dataset.read(index[row["shape_source"]])
        photo = dataset.read(index[row["texture_source"]])
        assert row["sha256"]["content"] == cue_files._hash(content)
        assert row["sha256"]["style"] == cue_files._hash(photo)
        pixels = _pixels(out / "cue-conflict" / row["output"])
        assert row["sha256"]["output"] == cue_files._hash(pixels)
        assert row["stylizer"] == pair.digest
        assert row["method"] == "print+adain"
        assert (row["alpha"], row["relief"], row["seed"]) == (0.5, 1, 0)
        assert row["shape_source"].startswith(row["shape_domain"])
        assert row["texture_domain"] == "photo"


def test_a_mix_is_the_print_half_blended_with_its_stylized_self(made):
    recipe, out = made
    dataset = _dataset()
    index = {name: i for i, name in enumerate(dataset.names)}
    pair = stylizer_files.load_pair(recipe.stylizer).pair
    unit = lambda pixels: np.float32(pixels)[None] / 255  # noqa: E731
    for row in _rows(out / "cue-conflict")[:3]:
        content = dataset.read(index[row["shape_source"]])
        texture = cue_files.texture_of(
            dataset.read(index[row["texture_source"]]), recipe.crop
        )
        printed = cue_files.print_on(texture, content, 1.0)
        one = np.ones(1, np.float32)
        stylized = adain.stylize(pair, None, unit(printed), unit(texture), one)[0]
        expected = 0.5 * printed + 0.5 * np.rint(255 * np.asarray(stylized))
        mixed = _pixels(out / "cue-conflict" / row["output"])
        np.testing.assert_allclose(mixed, expected, atol=1.6)


def test_a_texture_is_the_middle_enlarged():
    blocks = np.random.default_rng(0).integers(256, size=(4, 4, 3), dtype=np.uint8)
    image = blocks.repeat(8, axis=0).repeat(8, axis=1)
    texture = cue_files.texture_of(image, 0.5)
    assert texture.shape == image.shape
    for i, j in np.ndindex(2, 2):  # the blocks in the middle, twice as large
        middle = texture[16 * i + 6 : 16 * i + 10, 16 * j + 6 : 16 * j + 10]
        assert np.abs(middle - np.float32(blocks[1 + i, 1 + j])).max() <= 1
    np.testing.assert_array_equal(cue_files.texture_of(image, 1.0), image)
    assert cue_files.texture_of(image[:7, :7], 0.3).shape == (7, 7, 3)


def test_a_print_adds_light_of_one_contrast_and_no_colour():
    dataset = _dataset()
    content, ground = dataset.read(0), np.full((S, S, 3), 128, np.uint8)
    for faint in (content, np.uint8(60 + content // 2)):
        added = cue_files.print_on(ground, faint, 0.5) / 255 - 128 / 255
        assert np.abs(added[..., 0] - added[..., 2]).max() == 0
        np.testing.assert_allclose(added.std(), 0.11, atol=0.01)
        np.testing.assert_allclose(added.mean(), 0, atol=0.01)
    flat = np.full((S, S, 3), 77, np.uint8)
    np.testing.assert_array_equal(cue_files.print_on(content, flat, 1.0), content)


def test_the_cues_alone_are_there_for_every_source(made):
    _, out = made
    dataset = _dataset()
    index = {name: i for i, name in enumerate(dataset.names)}
    rows = {name: _rows(out / name) for name in ("cue-conflict", *_ALONE)}
    shapes = {row["shape_source"] for row in rows["cue-conflict"]}
    textures = {row["texture_source"] for row in rows["cue-conflict"]}
    for name, sources in zip(_ALONE, (shapes, shapes, textures), strict=True):
        side = "texture" if name == "texture" else "shape"
        assert {row[f"{side}_source"] for row in rows[name]} == sources
        assert len(rows[name]) == len(sources)
        for row in rows[name]:
            assert row["output"].split("/")[0] == row[side]
            assert (out / name / row["output"]).is_file()
    for row in rows["original"][:2]:
        source = dataset.read(index[row["shape_source"]])
        np.testing.assert_array_equal(_pixels(out / "original" / row["output"]), source)


_ALONE = ("original", "greyscale", "texture")


def test_what_was_stopped_goes_on_to_the_same_set(made, stylizer, tmp_path):
    recipe, out = made
    calls = 0

    class Stopped(Exception):
        pass

    def stop(n_done, n_total):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Stopped

    with pytest.raises(Stopped):
        cue_files.make(_dataset(), recipe, tmp_path, on_image=stop)
    there = sorted(tmp_path.rglob("*.png"))
    assert 0 < len(there) < 24
    there[0].unlink()
    n_written = cue_files.make(_dataset(), recipe, tmp_path)
    assert n_written == len(list(out.rglob("*.png"))) - len(there) + 1
    for folder in (cue_files.MIXED, *_ALONE):
        first, second = _rows(out / folder), _rows(tmp_path / folder)
        first, second = ({r["output"]: r for r in rows} for rows in (first, second))
        assert first.keys() == second.keys()
        for name, row in first.items():
            assert {**row, "sha256": 0} == {**second[name], "sha256": 0}
            one, other = (_pixels(d / folder / name) for d in (out, tmp_path))
            assert np.abs(one.astype(int) - other).max() <= 1
    assert cue_files.make(_dataset(), recipe, tmp_path) == 0
    other = dataclasses.replace(recipe, relief=0.5)
    with pytest.raises(ValueError, match=r"begun with other settings.*relief"):
        cue_files.make(_dataset(), other, tmp_path)
    with pytest.raises(ValueError, match=r"begun with other settings.*first_texture"):
        cue_files.make(_dataset(size_px=S + 2), recipe, tmp_path)


def test_figures_can_say_how_it_was_made(made):
    _, out = made
    about = json.loads((out / "cue-conflict" / "cue_conflict.json").read_text())
    assert "24 images" in about["made_by"]
    assert "held-out photo" in about["made_by"]
    assert about["classes"] == list(CLASSES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_images": 0}, "--n-images is 0"),
        ({"relief": 0.0}, "--relief is 0"),
        ({"alpha": 1.5}, "--alpha is 1.5"),
        ({"crop": 0.0}, "--crop is 0"),
        ({"shape_domains": ()}, r"--shape-domains is \(\): one or more"),
    ],
)
def test_recipes_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_sets_that_cannot_be_made_are_refused():
    plan = cue_conflict.plan
    with pytest.raises(ValueError, match="unknown domain 'sketch'"):
        plan(_dataset(), dataclasses.replace(RECIPE, texture_domain="sketch"))
    with pytest.raises(ValueError, match="has one class"):
        plan(_dataset(classes=("ant",)), RECIPE)
    with pytest.raises(ValueError, match="split=none holds out no image"):
        plan(_dataset(), dataclasses.replace(RECIPE, split="none"))
    one = dataclasses.replace(RECIPE, shape_domains=("photo",))
    with pytest.raises(ValueError, match="no domain but 'photo'"):
        plan(_dataset(domains=("photo",)), one)
    with pytest.raises(ValueError, match=r"no held-out image of '.*' for a shape"):
        plan(_dataset(n_each=1), RECIPE)
    with pytest.raises(ValueError, match=r"needs \d+ mixes of .* lower it"):
        plan(_dataset(), dataclasses.replace(RECIPE, n_images=100_000))
    with pytest.raises(ValueError, match="class '7' has no letters"):
        cue_conflict.file_words(("ant", "7"))
    with pytest.raises(ValueError, match="'a_b' and 'ab1' have the same letters"):
        cue_conflict.file_words(("a_b", "ab1", "c"))


def test_nothing_is_written_where_images_do_not_fit(stylizer, tmp_path):
    recipe = dataclasses.replace(RECIPE, stylizer=stylizer)
    with pytest.raises(ValueError, match="needed"):
        cue_files.make(_dataset(size_px=6), recipe, tmp_path / "small")
    wide = dataclasses.replace(_dataset(), read=lambda i: np.zeros((8, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="stored_px"):
        cue_files.make(wide, recipe, tmp_path / "wide")
    assert list(tmp_path.iterdir()) == []


def _command(*arguments):
    fields = ("data.n_per_class=40", "data.stored_px=24", "data.image_size=24")
    return make_cue_conflict.main(
        [
            "make_cue_conflict",
            f"--config={REPOSITORY / 'configs' / 'shapes.py'}",
            *(f"--config.{field}" for field in fields),
            *arguments,
        ]
    )


def test_the_command_builds_a_set_of_a_configurations_data(stylizer, tmp_path, capsys):
    out = tmp_path / "set"
    arguments = (f"--out={out}", f"--stylizer={stylizer}", "--n-images=56")
    assert _command(*arguments) == 0
    rows = _rows(out / "cue-conflict")
    assert len(rows) == 56
    assert {row["shape_domain"] for row in rows} == {"photo", "painting", "cartoon"}
    assert {row["texture_domain"] for row in rows} == {"photo"}
    assert "images written" in capsys.readouterr().out
    assert _command(*arguments) == 0
    assert "0 images written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--out is missing"),
        (("--out=x", "--texture-domain=moon"), "unknown domain 'moon'"),
        (("--out=x", "--shape-domains=photo,moon"), "unknown domain 'moon'"),
        (("--out=x", "--alpha=2"), "--alpha is 2"),
        (("--out=x", "--n-images=99999"), "--n-images 99999 needs"),
        (("--out=x", "--n-images=9", "--stylizer=nowhere.npz"), "nowhere.npz"),
        (("--out=x", "--config.data.target=moon"), "unknown domain 'moon'"),
        (("--out=x", "--size=3"), "size"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, message, capsys, tmp_path):
    arguments = [a.replace("--out=x", f"--out={tmp_path / 'x'}") for a in arguments]
    with pytest.raises(SystemExit) as stopped:
        _command(*arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("make_cue_conflict: ")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "x").exists()
