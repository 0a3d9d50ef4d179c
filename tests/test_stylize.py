"""Stylizing a folder: names, formats, bytes, resumption, the manifest, refusals."""

import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image
from small_pair import tiny_pair

from jigsaw_shape import stylize
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.resizing import cover
from jigsaw_shape.diversify import DIVERSIFIERS, bind, stylizer_files
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.stylizing import output
from jigsaw_shape.stylizing.folder import opened
from jigsaw_shape.stylizing.stylizer import Settings
from jigsaw_shape.system.lock import lock


def _picture(seed, h, w):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Contents in a tree, in two shapes; styles of any shape; a stylizer."""
    root = tmp_path_factory.mktemp("inputs")
    for i in range(7):
        parent = root / "contents" / ("cat" if i % 2 else "dog/deep")
        parent.mkdir(parents=True, exist_ok=True)
        _picture(i, 24 if i < 5 else 27, 30).save(parent / f"{i}.png")
    (root / "styles").mkdir()
    for i in range(5):
        _picture(50 + i, 20 + i, 26).save(root / "styles" / f"style-{i}.png")
    stylizer_files.save_pair(root / "pair.npz", tiny_pair(), {})
    return root


def _settings(inputs, **changes):
    fields = {"stylizer": str(inputs / "pair.npz"), "format": "png", **changes}
    return Settings(**fields)


def stylize_folder(*folders, on_image=lambda n_done, n_total: None, **how):
    with opened(*folders, **how) as run:
        return run.stylize(on_image)


def _stylize(inputs, out, contents="contents", on_image=None, **changes):
    call = {
        name: changes.pop(name)
        for name in ("batch_size", "style_map")
        if name in changes
    }
    if on_image is not None:
        call["on_image"] = on_image
    settings = _settings(inputs, **changes)
    return stylize_folder(inputs / contents, inputs / "styles", out, settings, **call)


def _rows(folder):
    lines = (folder / "manifest.jsonl").read_text().splitlines()
    return {(row["content"], row["k"]): row for row in map(json.loads, lines)}


def test_the_tree_is_kept_and_every_image_recorded(inputs, tmp_path):
    outcome = _stylize(inputs, tmp_path / "out", num_styles=2)
    assert outcome.n_written == 14
    assert outcome.failed == {}
    rows = _rows(tmp_path / "out")
    assert len(rows) == 14
    assert set(_pixels(tmp_path / "out")) == {row["output"] for row in rows.values()}
    for (content, k), row in rows.items():
        stem = content.removesuffix(".png")
        assert row["output"] == f"{stem}-stylized-{k}.png"
        assert row["style"] in {f"style-{i}.png" for i in range(5)}
        assert row["method"] == "adain"
        assert row["alpha"] == 1.0
        assert len(row["stylizer"]) == 12
        size = Image.open(inputs / "contents" / content).size
        assert tuple(row["size"]) == size
        assert Image.open(tmp_path / "out" / row["output"]).size == size
    styles = {}
    for (content, _), row in rows.items():
        styles.setdefault(content, set()).add(row["style"])
    assert all(len(names) == 2 for names in styles.values())


def _pixels(folder):
    return {
        str(path.relative_to(folder)): np.asarray(Image.open(path)).astype(int)
        for path in sorted(folder.rglob("*.png"))
    }


def _assert_same_pixels(one, other):
    """Within 1/255, file by file."""
    one, other = _pixels(one), _pixels(other)
    assert one.keys() == other.keys()
    for name, pixels in one.items():
        assert np.abs(pixels - other[name]).max() <= 1, name


@pytest.mark.parametrize("per_tile", [0, 3])
def test_the_same_pixels_for_any_batch_size(inputs, tmp_path, per_tile):
    sizes = (1, 3, 5)  # on four devices: one image a call, padded, and full batches
    for size in sizes:
        _stylize(inputs, tmp_path / str(size), batch_size=size, per_tile=per_tile)
        assert len(_pixels(tmp_path / str(size))) == 7
        _assert_same_pixels(tmp_path / str(size), tmp_path / "1")


def test_another_seed_chooses_other_styles(inputs, tmp_path):
    for seed in (0, 1):
        _stylize(inputs, tmp_path / str(seed), seed=seed)
    styles = [
        [row["style"] for _, row in sorted(_rows(tmp_path / name).items())]
        for name in ("0", "1")
    ]
    assert styles[0] != styles[1]


@pytest.mark.parametrize("method", DIVERSIFIERS)
@pytest.mark.parametrize("per_tile", [0, 3])
def test_a_row_makes_its_image_again(inputs, tmp_path, method, per_tile):
    contents = inputs / "contents" / "dog" / "deep"
    how = {"method": method, "per_tile": per_tile, "alpha": 0.8}
    _stylize(inputs, tmp_path / "out", contents, **how)
    _, row = min(_rows(tmp_path / "out").items())
    content = np.asarray(Image.open(contents / row["content"]))
    tiles = np.asarray(
        puzzle.cut_tiles(content[None] / np.float32(255), per_tile or 1)[0]
    )
    names = row["style"] if per_tile else [row["style"]]
    styles = [np.zeros(tiles.shape[1:], np.float32)] * len(tiles)
    if DIVERSIFIERS[method].uses_styles:
        assert len(names) == len(tiles)
        assert len(set(names)) == min(5, len(names))  # as long as there are some
        styles = [decode(inputs / "styles" / name) for name in names]
        if method != "adain":
            styles = [cover(style, *tiles.shape[1:3]) for style in styles]
        styles = [style / np.float32(255) for style in styles]
    pair = stylizer_files.load_pair(str(inputs / "pair.npz")).pair
    diversify = jax.jit(bind(method, pair))
    rngs = jax.random.split(jax.random.key(row["seed"]), len(tiles))
    made = [
        diversify(
            rngs[i : i + 1], tiles[[i]], style[None], np.full(1, 0.8, np.float32)
        )[0]
        for i, style in enumerate(styles)
    ]
    expected = 255 * np.asarray(puzzle.join_tiles(np.stack(made)[None])[0])
    written = np.asarray(Image.open(tmp_path / "out" / row["output"]))
    assert np.abs(written - content.astype(float)).max() > 5
    assert np.abs(written - expected).max() < 1.01


def test_alpha_0_writes_the_contents(inputs, tmp_path):
    _stylize(inputs, tmp_path / "out", alpha=0.0)
    for (content, _), row in _rows(tmp_path / "out").items():
        np.testing.assert_array_equal(
            Image.open(tmp_path / "out" / row["output"]),
            Image.open(inputs / "contents" / content),
        )


def test_crop_makes_squares_of_one_size(inputs, tmp_path):
    _stylize(inputs, tmp_path / "out", crop=True, content_size=16, style_size=20)
    sizes = {Image.open(path).size for path in (tmp_path / "out").rglob("*.png")}
    assert sizes == {(16, 16)}


class _StoppedError(Exception):
    pass


def test_stopped_and_continued_is_as_if_never_stopped(inputs, tmp_path):
    _stylize(inputs, tmp_path / "whole")

    def stop(n_done, n_total):
        if n_done == 3:
            raise _StoppedError

    out = tmp_path / "stopped"
    with pytest.raises(_StoppedError):
        _stylize(inputs, out, on_image=stop, batch_size=1)
    assert len(_rows(out)) == 3
    with (out / "manifest.jsonl").open("a") as manifest:  # a line torn by the kill
        manifest.write('{"content": "cat/1.pn')
    next(out.rglob("*.png")).unlink()  # an image that someone deleted
    outcome = _stylize(inputs, out)
    assert (outcome.n_before, outcome.n_written) == (2, 5)
    _assert_same_pixels(out, tmp_path / "whole")
    assert _rows(out) == _rows(tmp_path / "whole")
    again = _stylize(inputs, out)
    assert (again.n_before, again.n_written) == (7, 0)


def _save_odd_images(folder):
    """Writes what people have in their folders: every mode, one turned, some broken."""
    folder.mkdir()
    picture = _picture(0, 24, 30)
    picture.convert("L").save(folder / "grey.png")
    picture.convert("P").save(folder / "palette.gif")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("RGBA").save(folder / "alpha.webp")
    deep = np.linspace(0, 65535, 24 * 30).astype(np.uint16).reshape(24, 30)
    Image.fromarray(deep).save(folder / "deep.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    picture.save(folder / "turned.jpg", exif=exif)
    _picture(1, 6, 6).save(folder / "tiny.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    whole = (folder / "grey.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("left out")
    (folder / ".hidden.png").write_bytes(b"")


def test_every_format_is_read_and_what_fails_is_listed(inputs, tmp_path, capsys):
    _save_odd_images(tmp_path / "odd")
    arguments = [str(tmp_path / "odd"), str(inputs / "styles"), str(tmp_path / "out")]
    code = stylize.stylize([*arguments, "--stylizer", str(inputs / "pair.npz")])
    assert code == stylize.SOME_FAILED
    written = {path.name for path in (tmp_path / "out").glob("*.jpg")}
    assert written == {
        *("grey.png.jpg", "palette.gif.jpg", "cmyk.jpg", "alpha.webp.jpg"),
        *("deep.png.jpg", "turned.jpg"),
    }
    assert Image.open(tmp_path / "out" / "turned.jpg").size == (24, 30)
    printed = capsys.readouterr().out
    for name, reason in {
        "tiny.png": "6 x 6 px: 8 x 8 or more needed",
        "empty.png": "the file is empty",
        "text.jpg": "not an image",
        "cut.png": "",
    }.items():
        assert f"failed: {tmp_path / 'odd' / name}: {reason}" in printed
    assert "left out 1 file that is no image by its suffix" in printed
    assert "6 images written" in printed
    assert "4 files failed" in printed


def test_a_style_that_cannot_be_read_is_listed_and_passed_over(inputs, tmp_path):
    styles = tmp_path / "styles"
    styles.mkdir()
    (styles / "broken.png").write_bytes(b"no picture")
    _picture(9, 30, 30).save(styles / "good.png")
    outcome = stylize_folder(
        inputs / "contents", styles, tmp_path / "out", _settings(inputs)
    )
    assert outcome.failed == {str(styles / "broken.png"): "not an image"}
    assert {row["style"] for row in _rows(tmp_path / "out").values()} == {"good.png"}


def test_a_killed_process_leaves_what_the_next_one_continues(inputs, tmp_path):
    contents, out = tmp_path / "contents", tmp_path / "out"
    contents.mkdir()
    for i in range(300):
        _picture(i, 48, 64).save(contents / f"{i:03d}.png")
    command = [sys.executable, "-m", "jigsaw_shape.stylize", contents]
    command += [inputs / "styles", out, "--stylizer", inputs / "pair.npz"]
    command += ["--format", "png", "--batch-size", "1"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    manifest = out / "manifest.jsonl"
    while not (manifest.exists() and manifest.read_text().count("\n") > 5):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_before = len(_rows(out))
    assert 5 < n_before < 300
    outcome = stylize_folder(contents, inputs / "styles", out, _settings(inputs))
    assert outcome.n_before >= 5
    assert outcome.n_before + outcome.n_written == len(_rows(out)) == 300
    whole = tmp_path / "whole"
    stylize_folder(contents, inputs / "styles", whole, _settings(inputs))
    _assert_same_pixels(out, whole)
    assert not list(out.rglob("*.partial"))


def _refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        stylize.main(["stylize", *map(str, arguments)])
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "styles", "out"], "nowhere is not a folder"),
        (["contents", "empty", "out"], "empty holds no image"),
        (["contents", "broken", "out"], "broken holds no readable image"),
        (["contents", "styles", "contents/cat/out"], "is inside"),
        (["contents", "styles", "used"], "holds files but no stylize.json"),
        (["contents", "styles", "out", "--alpha", "1.5"], "--alpha is 1.5: 0 to 1"),
        (["contents", "styles", "out", "--num-styles", "0"], "--num-styles is 0"),
        (["contents", "styles", "out", "--batch-size", "0"], "--batch-size is 0"),
        (["contents", "styles", "out", "--content-size", "-1"], "--content-size is"),
        (["contents", "styles", "out", "--crop", "--style-size", "0"], "--crop needs"),
        (["contents", "styles", "out", "--stylizer", "none"], "stylizer 'none'"),
        (["contents", "styles", "out", "--background", "pink"], "--background is 'pin"),
        (["contents", "styles", "out", "--keep-colors"], "did you mean --keep-colours"),
        (["contents", "styles", "out", "--style-map", "no.csv"], "no.csv"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    inputs, tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    for name in ("contents", "styles"):
        (tmp_path / name).symlink_to(inputs / name)
    for name in ("empty", "broken", "used"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "style.png").write_bytes(b"no picture")
    (tmp_path / "used" / "thesis.txt").write_text("precious")
    if "--stylizer" not in arguments:
        arguments = [*arguments, "--method", "colour"]  # which needs none
    error = _refusal(capsys, *arguments)
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_settings_do_not_mix_into_a_folder(inputs, tmp_path, capsys):
    _stylize(inputs, tmp_path / "out")
    arguments = (inputs / "contents", inputs / "styles", tmp_path / "out")
    fields = ("--stylizer", inputs / "pair.npz", "--format", "png")
    error = _refusal(capsys, *arguments, *fields, "--alpha", "0.5")
    assert "begun with other settings (alpha was 1.0 and is now 0.5)" in error


def test_two_processes_do_not_write_to_one_folder(inputs, tmp_path, capsys):
    _stylize(inputs, tmp_path / "out")
    arguments = (inputs / "contents", inputs / "styles", tmp_path / "out")
    fields = ("--stylizer", inputs / "pair.npz", "--format", "png")
    with lock(tmp_path / "out" / ".lock"):
        assert "in use by another process" in _refusal(capsys, *arguments, *fields)


def test_names_never_collide():
    names = ["a.png", "a.jpg", "a.jpeg", "a.png.jpg", "a.JPG", "b/a.png", "a.jpg.jpg"]
    for file_format in output.FORMATS:
        written = [output.output_name(name, file_format) for name in names]
        assert len(set(written)) == len(names)
        assert all(name.lower().endswith((".jpg", ".jpeg", ".png")) for name in written)


def test_keeping_colours_changes_the_luminance_alone(inputs, tmp_path):
    _stylize(inputs, tmp_path / "free")
    _stylize(inputs, tmp_path / "kept", keep_colours=True)
    luma = np.array([0.299, 0.587, 0.114])
    n_compared = 0
    for content, row in _rows(tmp_path / "kept").items():
        before, free, kept = (
            np.asarray(Image.open(path), float)
            for path in (
                inputs / "contents" / content[0],
                tmp_path / "free" / row["output"],
                tmp_path / "kept" / row["output"],
            )
        )
        expected = before + ((free - before) @ luma)[..., None]
        inside = ((expected > 1) & (expected < 254)).all(-1)
        n_compared += inside.sum()
        assert np.abs(kept - expected)[inside].max() < 1.6  # rounded twice
        assert np.abs(kept - before).max() > 5
    assert n_compared > 1000


def _map(path, *rows):
    path.write_text("content,style\n" + "".join(f"{c},{s}\n" for c, s in rows))
    return path


def test_a_style_map_says_who_gets_which_style(inputs, tmp_path):
    rows = [("cat/1.png", "style-3.png"), ("dog/deep/0.png", "style-0.png")]
    chosen = _map(tmp_path / "map.csv", *rows)
    assert _stylize(inputs, tmp_path / "out", style_map=chosen).n_written == 2
    found = _rows(tmp_path / "out")
    assert {(row["content"], row["style"]) for row in found.values()} == set(rows)
    assert {row["output"] for row in found.values()} == {content for content, _ in rows}
    _map(chosen, *rows, ("cat/1.png", "style-4.png"))
    with pytest.raises(ValueError, match=r"other settings \(style_map changed\)"):
        _stylize(inputs, tmp_path / "out", style_map=chosen)
    _stylize(inputs, tmp_path / "several", style_map=chosen)
    styles = {r["output"]: r["style"] for r in _rows(tmp_path / "several").values()}
    assert styles == {
        "cat/1-stylized-0.png": "style-3.png",
        "cat/1-stylized-1.png": "style-4.png",
        "dog/deep/0-stylized-0.png": "style-0.png",
    }


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        ([], {}, "it lists no content"),
        (
            [("cat/9.png", "style-0.png")],
            {},
            "line 2: no content is called 'cat/9.png'",
        ),
        (
            [("cat/1.png", "style-9.png")],
            {},
            "line 2: no style is called 'style-9.png'",
        ),
        ([("cat/1.png", "style-0.png")] * 2, {}, "line 3: this pair is there twice"),
        ([("cat/1.png", "style-0.png")], {"num_styles": 2}, "leave out --num-styles 2"),
        ([("cat/1.png", "style-0.png")], {"per_tile": 3}, "leave out --per-tile 3"),
        (
            [("cat/1.png", "style-0.png")],
            {"method": "randconv"},
            "leave out --method randconv, which uses no styles",
        ),
    ],
)
def test_style_maps_that_cannot_work_are_refused(
    inputs, tmp_path, rows, changes, message
):
    chosen = _map(tmp_path / "map.csv", *rows)
    with pytest.raises(ValueError, match=message):
        _stylize(inputs, tmp_path / "out", style_map=chosen, **changes)
    assert not (tmp_path / "out").exists()


def test_a_style_map_needs_its_columns(inputs, tmp_path):
    (tmp_path / "map.csv").write_text("picture,style\ncat/1.png,style-0.png\n")
    with pytest.raises(ValueError, match=r"map\.csv: it has no column content"):
        _stylize(inputs, tmp_path / "out", style_map=tmp_path / "map.csv")


def _copies(inputs, tmp_path):
    """Returns folders of contents and styles that a test may change."""
    contents, styles = tmp_path / "contents", tmp_path / "styles"
    contents.mkdir()
    styles.mkdir()
    for i in range(5):
        _picture(i, 24, 30).save(contents / f"{i}.bmp")
    for i in range(2):
        _picture(50 + i, 24, 30).save(styles / f"style-{i}.bmp")
    return contents, styles


@pytest.mark.parametrize("changed", ["content", "style"])
def test_images_are_made_anew_where_a_file_changed_in_place(inputs, tmp_path, changed):
    contents, styles = _copies(inputs, tmp_path)
    call = (contents, styles, tmp_path / "out", _settings(inputs))
    stylize_folder(*call)
    before, rows = _pixels(tmp_path / "out"), _rows(tmp_path / "out")
    chosen = min(rows.values(), key=lambda row: (row[changed], row["content"]))
    path = tmp_path / f"{changed}s" / chosen[changed]
    size = path.stat().st_size
    path.touch()  # another time, the same content
    assert stylize_folder(*call).n_written == 0
    _picture(99, 24, 30).save(path)
    assert path.stat().st_size == size
    outcome = stylize_folder(*call)
    concerned = {
        row["output"] for row in rows.values() if row[changed] == chosen[changed]
    }
    assert 0 < len(concerned) < 5
    assert outcome.n_written == outcome.n_changed == len(concerned)
    assert outcome.n_before == 5 - len(concerned)
    after = _pixels(tmp_path / "out")
    differing = {name for name in before if (before[name] != after[name]).any()}
    assert differing == concerned
    assert len(_rows(tmp_path / "out")) == 5
    assert stylize_folder(*call).n_written == 0


def test_a_folder_of_an_earlier_version_is_continued(inputs, tmp_path):
    out = tmp_path / "out"
    _stylize(inputs, out, background="stored")
    stored = json.loads((out / "stylize.json").read_text())
    for setting in ("background", "keep_colours", "style_map"):
        del stored["settings"][setting]
    (out / "stylize.json").write_text(json.dumps(stored))
    rows = [*_rows(out).values()]
    for row in rows:
        del row["files"]
    (out / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows[:4]))
    outcome = _stylize(inputs, out, background="stored")
    assert (outcome.n_before, outcome.n_written) == (4, 3)
    with pytest.raises(ValueError, match="background was 'stored' and is now 'white'"):
        _stylize(inputs, out)


def test_transparent_contents_are_stylized_on_the_background(inputs, tmp_path):
    (tmp_path / "clear").mkdir()
    Image.new("RGBA", (24, 24), (0, 0, 0, 0)).save(tmp_path / "clear" / "a.png")
    for background, value in {"white": 255, "0,0,9": (0, 0, 9)}.items():
        out = tmp_path / background
        _stylize(inputs, out, tmp_path / "clear", alpha=0.0, background=background)
        written = np.asarray(Image.open(out / "a.png"))
        np.testing.assert_array_equal(written, np.full((24, 24, 3), value))


def test_system_folders_and_links_back_are_passed_over(inputs, tmp_path):
    for name in ("cat/a.png", "@eaDir/a.png", "$RECYCLE.BIN/b.png", "#recycle/c.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        _picture(1, 24, 24).save(tmp_path / "in" / name)
    (tmp_path / "in" / "cat" / "loop").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "cat" / "pipe.png")
    outcome = _stylize(inputs, tmp_path / "out", tmp_path / "in", method="randconv")
    assert outcome.n_written == 1
    assert set(_pixels(tmp_path / "out")) == {"cat/a.png"}
