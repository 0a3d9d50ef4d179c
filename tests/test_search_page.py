"""The page beside features: search in the browser, a map, near-duplicates."""

import base64
import importlib.util
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from test_embed import exported, network  # noqa: F401  fixtures
from test_page import NASTY, balanced

from jigsaw_shape import embed as command
from jigsaw_shape.embedding import duplicates, features_file, nearest, plane
from jigsaw_shape.reports import search_page, thumbnails
from jigsaw_shape.reports.search_page import Shown

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)
_TEXTS = {"lead": "l", "of_map": "m", "of_groups": "g", "notes": ("a note",)}


def data_of(page):
    return json.loads(_DATA.search(page)[1])


def picture(seed, size=(60, 40)):
    """Returns a picture of a few shapes."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(100, 256, 3)))
    for _ in range(6):
        corners = np.sort(rng.integers(0, 60, (2, 2)), axis=0).T.ravel()
        x0, x1, y0, y1 = corners.tolist()
        fill = tuple(rng.integers(0, 256, 3).tolist())
        ImageDraw.Draw(image).ellipse((x0, y0, x1, y1), fill=fill)
    return image


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Nine pictures, one of them again in other forms, and one that is gone."""
    folder = tmp_path_factory.mktemp("pictures")
    for n in range(9):
        picture(n).save(folder / f"{n}.png")
    first = picture(0)
    first.save(folder / "compressed.jpg", quality=40)
    first.resize((200, 130)).save(folder / "large.png")
    ImageEnhance.Brightness(first).enhance(0.9).save(folder / "darker.png")
    ImageOps.mirror(first).save(folder / "mirrored.png")
    return [str(path) for path in sorted(folder.iterdir())]


def make(names, n_features=40, groups=()):
    """Returns a page of images that are not there, and their vectors."""
    rng = np.random.default_rng(0)
    vectors = np.maximum(rng.normal(size=(len(names), n_features)), 0)
    vectors = vectors.astype(np.float32)
    pictures = thumbnails.make(names, "white")
    places = rng.uniform(size=(len(names), 2)).astype(np.float32)
    shown = Shown(names, vectors, places, groups, pictures)
    return search_page.make(shown, **_TEXTS), vectors


def test_quantized_vectors_find_what_the_vectors_find():
    rng = np.random.default_rng(0)
    vectors = np.maximum(rng.normal(0.3, 1, (300, 256)), 0).astype(np.float32)
    vectors *= rng.uniform(0.1, 50, (300, 1)).astype(np.float32)
    vectors[7] = 0
    quantized = search_page.quantize(vectors)
    assert quantized.dtype == np.int8
    assert not quantized[7].any()
    found, cosines = nearest.nearest(quantized, quantized, 11)
    exact, expected = nearest.nearest(vectors, vectors, 11)
    np.testing.assert_allclose(cosines, expected, atol=2e-3)
    shared = [len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]
    assert np.mean(shared) >= 10.7


def test_the_page_holds_all_that_it_shows_and_fetches_nothing(paths):
    page, vectors = make(paths, groups=((0, 1),))
    seen = balanced(page, scripts=2).seen
    assert {"canvas", "noscript", "button", "input"} <= set(seen)
    data = data_of(page)
    assert [data["folder"] + name for name in data["names"]] == paths
    stored = np.frombuffer(base64.b64decode(data["vectors"]), np.int8)
    np.testing.assert_array_equal(
        stored.reshape(vectors.shape), search_page.quantize(vectors)
    )
    assert data["groups"] == [[0, 1]]
    assert np.shape(data["places"]) == (len(paths), 2)
    assert "default-src 'none'" in page
    assert "a note" in page


def test_names_from_outside_are_text(tmp_path):
    names = [f"{NASTY}/{n}{NASTY}.png" for n in range(3)]
    page, _ = make(names)
    balanced(page, scripts=2)
    data = data_of(page)
    assert [data["folder"] + name for name in data["names"]] == names
    assert NASTY not in page


def test_sheets_hold_every_picture_in_its_cell(paths, monkeypatch):
    monkeypatch.setattr(thumbnails, "COLUMNS", 3)
    found = thumbnails.make([*paths, "gone.png"], "white")
    sheets = []
    for uri in found.sheets:
        kind, _, text = uri.partition(";base64,")
        assert kind == "data:image/webp"
        sheets.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))))
    assert len(sheets) == 2
    assert found.looks.shape == (len(paths) + 1, 16, 16, 3)
    px = thumbnails.CELL_PX
    for place, path in enumerate(paths):
        row, column = divmod(place % 9, 3)
        cell = sheets[place // 9][row * px :, column * px :][:px, :px]
        with Image.open(path) as image:
            image = image.convert("RGB")
            look = np.asarray(image.resize((16, 16), Image.Resampling.BOX))
            np.testing.assert_array_equal(found.looks[place], look)
            shape = np.asarray(ImageOps.contain(image, (px, px)))
            small = min(image.size) < px and max(image.size) <= px
            shape = np.asarray(image) if small else shape
        alpha = cell[:, :, 3] > 127
        assert alpha.any(1).sum() == pytest.approx(shape.shape[0], abs=1)
        assert alpha.any(0).sum() == pytest.approx(shape.shape[1], abs=1)
        shown = cell[:, :, :3][alpha].mean(0)
        np.testing.assert_allclose(shown, shape.mean((0, 1)), atol=8)
    assert not sheets[1][(len(paths) - 9) // 3 * px :, :, 3][:px, -px:].any()  # gone


def test_copies_are_grouped_and_mirrored_ones_are_not(paths):
    looks = thumbnails.make(paths, "white").looks
    alike = np.ones((len(paths), 8), np.float32)
    names = [path.rpartition("/")[2] for path in paths]
    groups = [[names[i] for i in group] for group in duplicates.groups(alike, looks)]
    assert groups == [["0.png", "compressed.jpg", "darker.png", "large.png"]]
    apart = np.eye(len(paths), dtype=np.float32)  # features that have nothing in common
    assert duplicates.groups(apart, looks) == []


def test_near_duplicates_are_those_of_the_plain_statement():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(12, 6))
    vectors = np.repeat(base, 3, 0) + rng.normal(0, 0.2, (36, 6))
    looks = np.repeat(rng.integers(40, 200, (12, 4, 4, 3)), 3, 0)
    looks = (looks + rng.integers(-16, 17, looks.shape)).astype(np.uint8)
    looks[:4] = np.array([10, 11, 90, 10])[:, None, None, None]  # of one colour
    vectors[:4] = 1
    parent = list(range(36))
    for i in range(36):
        for j in range(36):
            a, b = looks[i].ravel().astype(float), looks[j].ravel().astype(float)
            if a.std() < 2 or b.std() < 2:
                same = a.std() < 2 and b.std() < 2 and abs(a.mean() - b.mean()) < 2
            else:
                same = np.corrcoef(a, b)[0, 1] >= duplicates.CORRELATION
            v, w = vectors[i], vectors[j]
            cosine = v @ w / np.linalg.norm(v) / np.linalg.norm(w)
            if same and cosine >= duplicates.COSINE:
                low, high = sorted((parent[i], parent[j]))
                parent = [low if p == high else p for p in parent]
    expected = [[i for i in range(36) if parent[i] == p] for p in sorted(set(parent))]
    expected = [group for group in expected if len(group) > 1]
    assert [0, 1, 3] in expected
    assert 4 < len(expected) < 12
    assert duplicates.groups(vectors.astype(np.float32), looks) == expected


@pytest.mark.parametrize("method", [plane.PCA, plane.TSNE])
def test_like_images_are_near_each_other_on_the_map(method, monkeypatch):
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(3), 20)
    vectors = (rng.normal(size=(3, 30))[kind] + rng.normal(0, 0.1, (60, 30))) * 5
    if method == plane.PCA:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    else:
        pytest.importorskip("sklearn")
    places, used = plane.place(vectors.astype(np.float32))
    assert used == method
    assert places.min(0).tolist() == [0, 0]
    assert places.max(0).tolist() == [1, 1]
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (kind[distances.argmin(1)] == kind).all()
    if method == plane.PCA:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        _, axes = np.linalg.eigh(np.cov(unit.T))
        expected = (unit @ axes[:, [-1, -2]]).astype(np.float32)
        expected -= expected.min(0)
        expected /= expected.max(0)
        for column in (0, 1):  # up to its sign
            a, b = places[:, column], expected[:, column]
            assert min(np.abs(a - b).max(), np.abs(a - 1 + b).max()) < 1e-3


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_few_images_have_a_map_too(n):
    for vectors in (np.ones((n, 5)), np.eye(n, 5)):
        places, _ = plane.place(vectors.astype(np.float32))
        assert places.shape == (n, 2)
        assert np.isfinite(places).all()


def run(*arguments):
    return command.main(["embed", *map(str, arguments)])


def test_the_command_writes_the_page(paths, exported, tmp_path, monkeypatch, capsys):  # noqa: F811
    out, page = tmp_path / "features.npz", tmp_path / "features.page.html"
    flags = (*paths, "--model", exported, "--batch-size", 4, "--out", out)
    assert run(*flags) == 0
    assert f"to look at: {page}" in capsys.readouterr().out
    data = data_of(page.read_text())
    assert [data["folder"] + name for name in data["names"]] == paths
    assert run(*flags, "--no-page") == 0
    assert not page.exists()  # it was of other features
    monkeypatch.setattr(search_page, "MOST", 4)
    assert run(*flags) == 0
    text = page.read_text()
    stored = features_file.read(out)
    n = len(paths)
    shown = [stored.paths[i * n // 4] for i in range(4)]
    data = data_of(text)
    assert [data["folder"] + name for name in data["names"]] == shown
    assert f"shows 4 of {n} images" in text


_CLICKS = """
<script>
window.addEventListener("load", () => {
  const say = (id, text) => document.body.setAttribute(`data-${id}`, text);
  const tiles = () => [...document.querySelectorAll("#nearest .picture")];
  say("first", tiles().map((tile) => tile.title).join("|"));
  tiles()[1].click();
  setTimeout(() => {
    say("asked", document.getElementById("name").textContent);
    say("second", tiles().map((tile) => tile.title).join("|"));
    const part = document.getElementById("part");
    part.value = "OMPRESS";
    part.dispatchEvent(new Event("input"));
    say("listed", document.querySelectorAll("#all .picture").length);
    const map = document.getElementById("map"), box = map.getBoundingClientRect();
    const [x, y, side, i] = boxes[0];
    for (const kind of ["pointerdown", "pointerup"])
      map.dispatchEvent(new PointerEvent(kind, { pointerId: 1, bubbles: true,
        clientX: box.left + x + 1, clientY: box.top + y + 1 }));
    setTimeout(() => say("mapped", `${i} ${location.hash}`), 50);
  }, 50);
});
</script>
"""


def test_a_browser_searches_by_clicks(paths, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    page, vectors = make(paths, groups=((0, 1),))
    file = tmp_path / "page.html"
    # A capture needs a real pointer; what a click does is what is tried here.
    page = page.replace("canvas.setPointerCapture(event.pointerId);", "")
    file.write_text(page.replace("</body>", f"{_CLICKS}</body>"))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    command += ["--disable-background-networking", "--no-first-run", f"file://{file}"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = dict(re.findall(r'data-(\w+)="([^"]*)"', found.stdout))
    names = [path.rpartition("/")[2] for path in paths]
    quantized = search_page.quantize(vectors)
    order, _ = nearest.nearest(quantized, quantized, len(paths))
    first = [names[i] for i in order[0] if i != 0]
    assert said["first"].split("|") == first
    query = names.index(first[1])
    assert said["asked"] == paths[query]
    assert said["second"].split("|") == [names[i] for i in order[query] if i != query]
    assert said["listed"] == "1"
    place, asked = said["mapped"].split()
    assert asked == f"#{place}"
