"""The Python door: what `load` and `search` return, and the examples that show them."""

import doctest
import importlib
import importlib.util
import json
import pathlib
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from conftest import REPOSITORY
from PIL import Image
from test_export_folder import ABOUT, make_card
from test_exporting import CLASSES, small_network

import jigsaw_shape
from jigsaw_shape import embed as command
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.imagenet_labels import wordnet_ids
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.embedding import features_file, search
from jigsaw_shape.embedding.queries import Nearest
from jigsaw_shape.exporting import format as format_lib
from jigsaw_shape.exporting import onnx_file, stablehlo_file
from jigsaw_shape.exporting.folder import export
from jigsaw_shape.exporting.format import Options, relative_difference
from jigsaw_shape.models.weights import loading, locate
from jigsaw_shape.pixels import resampling

PX = 32


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder as the examples have it: runs/mine, photos, sketch.png, exported."""
    root = tmp_path_factory.mktemp("home")
    export(
        small_network(),
        root / "runs" / "mine",
        Options(("safetensors",)),
        about=ABOUT | {"background": "white"},
        card=make_card,
    )
    shutil.copytree(root / "runs" / "mine", root / "exported")
    rng = np.random.default_rng(0)
    (root / "photos").mkdir()
    for n in range(1, 5):
        pixels = rng.integers(0, 256, (40 + n, 30, 3), np.uint8)
        Image.fromarray(pixels).save(root / "photos" / f"{n}.png")
    sketch = rng.integers(0, 256, (50, 50, 3), np.uint8)
    Image.fromarray(sketch).save(root / "sketch.png")
    (root / "broken.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def model(home):
    return jigsaw_shape.load(home / "runs" / "mine", batch_size=4)


@pytest.fixture(scope="module")
def photos(home):
    return [str(path) for path in sorted((home / "photos").iterdir())]


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_a_file_and_its_array_give_the_same_as_the_commands(model, photos):
    squares = np.stack([decode(path, size_px=PX) for path in photos])
    expected = model.predict(squares)["features"]
    arrays = [pixels_of(path) for path in photos]
    for images in (
        photos,
        arrays,
        [photos[0], *arrays[1:]],
        squares,
        jnp.array(squares),
    ):
        np.testing.assert_array_equal(model.features(images), expected)
    assert model.features(np.array(photos[:2])).shape == (2, 256)
    several = model.features([*photos, *photos])  # more than a batch
    np.testing.assert_array_equal(several, [*expected, *expected])
    logits = model.predict(squares)["classification"]
    np.testing.assert_array_equal(model.logits(photos), logits)


def test_one_image_gives_one_row(model, photos):
    expected = model.features(photos[:1])[0]
    for image in (photos[0], pathlib.Path(photos[0]), pixels_of(photos[0])):
        np.testing.assert_array_equal(model.features(image), expected)
    with Image.open(photos[0]) as image:
        np.testing.assert_array_equal(model.features(image), expected)
    assert model.logits(photos[0]).shape == (len(CLASSES),)
    assert model.stages(photos[0])["stage1"].ndim == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_floats_are_pixels_over_255(model, photos, dtype):
    arrays = [pixels_of(path) for path in photos]
    floats = [(array / 255).astype(dtype) for array in arrays]
    expected = model.features(arrays)
    scale = np.abs(expected).max()
    # Files are rounded to 8 bits when they are squashed, floats are not.
    np.testing.assert_allclose(model.features(floats), expected, atol=0.01 * scale)
    mixed = model.features([arrays[0], *floats[1:]])
    np.testing.assert_allclose(mixed, expected, atol=0.01 * scale)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (np.zeros((3, 8, 8), np.uint8), "channels last"),
        (np.zeros((2, 3, 8, 8), np.uint8), "image 0: .*channels last"),
        (np.zeros((8, 8), np.uint8), r"shape \(8, 8\): \[H, W, 3\], RGB"),
        (np.zeros((8, 8, 4), np.uint8), "shape"),
        (np.zeros((8, 8, 3), np.int64), "an array of int64"),
        (np.full((8, 8, 3), 255.0), "floats from 255 to 255.*not normalized"),
        (np.full((8, 8, 3), -0.5), "floats from -0.5 to -0.5"),
        (np.full((8, 8, 3), np.nan), "floats from nan"),
        (["nowhere.png"], "nowhere.png: No such file"),
        ("broken.png", "broken.png: not an image"),
        (["sketch.png", "broken.png", "nowhere.png"], r"and 1 more of 3 images"),
        ("photos", "photos: Is a directory"),
        ([], "no image was given"),
    ],
)
def test_what_is_no_image_is_refused(model, home, monkeypatch, images, reason):
    monkeypatch.chdir(home)
    with pytest.raises(ValueError, match=reason):
        model.features(images)


def test_stages_are_what_the_encoder_hands_on(model, photos):
    found = model.stages(photos)
    network = small_network()
    squares = np.stack([decode(path, size_px=PX) for path in photos])

    @jax.jit
    def apply(images):
        images = resampling.resize(images, network.size_px)
        normalized = (images - jnp.array(network.module.mean)) / jnp.array(
            network.module.std
        )
        kept = {}

        def keep(stage, x):
            kept[stage] = x
            return x

        features = network.module.encoder.apply(
            network.encoder_variables, normalized, False, keep
        )
        return features, kept

    features, expected = apply(squares)
    assert list(found) == ["stage1", "stage2", "stage3", "stage4"]
    for stage, maps in expected.items():
        np.testing.assert_allclose(found[stage], maps, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["stage4"].mean((1, 2)), features, atol=1e-4)
    (only,) = model.stages(photos[0], "stage2").items()
    assert only[0] == "stage2"
    np.testing.assert_array_equal(only[1], found["stage2"][0])
    with pytest.raises(ValueError, match="no stage 'layer1'"):
        model.stages(photos, ["layer1"])


def test_a_program_has_features_and_no_stages(model, photos, tmp_path):
    path = tmp_path / "model.batch2.stablehlo"
    stablehlo_file.write(path, small_network(), {}, Options((), batch_size=2))
    program = jigsaw_shape.load(path)
    expected = model.features(photos)
    np.testing.assert_allclose(program.features(photos), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="is a program, which gives no stages: load"):
        program.stages(photos)
    with pytest.raises(ValueError, match="names no classes"):
        program.logits(photos)


def test_a_program_of_imagenet_answers_in_16_categories_too(photos, tmp_path):
    path = tmp_path / "model.batch1.stablehlo"
    stablehlo_file.write(path, small_network(), {}, Options((), batch_size=1))
    facts = {"classes": list(wordnet_ids()), "input_px": 8}
    (tmp_path / "export.json").write_text(json.dumps(facts))
    assert len(jigsaw_shape.load(path).classes) == 16
    assert len(jigsaw_shape.load(path, categories=False).classes) == 1000
    with pytest.raises(ValueError, match=r"--classes is a, b, but .* has its own"):
        jigsaw_shape.load(path, classes=("a", "b"))


@pytest.mark.parametrize(("queries", "among"), [([], "there"), ("there", [])])
def test_nothing_is_searched_for_or_among_nothing(model, photos, queries, among):
    given = [photos[0] if one == "there" else one for one in (queries, among)]
    with pytest.raises(ValueError, match=r"there is (no query|nothing to search)"):
        jigsaw_shape.search(*given, model)


def test_features_are_asked_of_those_that_have_them():
    model = Classifier("m", ("a",), 8, 4, lambda images: {"classification": images})
    with pytest.raises(ValueError, match="m gives classes and no features"):
        model.features(np.zeros((8, 8, 3)))


def test_an_encoder_that_ships_is_opened_by_name(home, tmp_path, monkeypatch, photos):
    found = safetensors.numpy.load_file(home / "exported" / "model.safetensors")
    halves = {name: array.astype(np.float16) for name, array in found.items()}
    facts = format_lib.to_metadata({**small_network().facts(), "background": "black"})
    safetensors.numpy.save_file(halves, tmp_path / "tiny.safetensors", facts)
    with pytest.raises(ValueError, match="is 'tiny': no such run"):
        jigsaw_shape.load("tiny")
    monkeypatch.setattr(locate, "_SHIPPED", tmp_path)
    with pytest.raises(ValueError, match="weights such as tiny, pretrained:"):
        jigsaw_shape.load("nothing")
    (tmp_path / "tiny").mkdir()  # a folder of that name is `./tiny`
    monkeypatch.chdir(tmp_path)
    model = jigsaw_shape.load("tiny", batch_size=4)
    assert (model.classes, model.input_px, model.size_px) == (CLASSES, PX, 24)
    assert model.background == "black"
    expected = jigsaw_shape.load(home / "exported", batch_size=4).features(photos)
    close = {"rtol": 0.02, "atol": 0.02 * np.abs(expected).max()}
    np.testing.assert_allclose(model.features(photos), expected, **close)
    assert jigsaw_shape.load("tiny", size_px=16).size_px == 16
    assert loading.load_pretrained("tiny", "convnet").mean is not None
    with pytest.raises(ValueError, match="has weights of 'convnet', not of"):
        loading.load_pretrained("tiny", "resnet18")


@pytest.mark.parametrize("facts", [{"dataset": "x"}, {}, {"background": "grey"}])
def test_exports_from_before_the_background_are_read_as_stored(tmp_path, facts):
    expected = facts.get("background", "stored" if facts else "white")
    network = small_network()
    stated = network.facts() | facts | {"jigsaw_shape": "0.1.0"}
    (tmp_path / format_lib.FACTS).write_text(json.dumps(stated))
    path = tmp_path / "model.batch1.stablehlo"
    stablehlo_file.write(path, network, {}, Options(()))
    assert open_classifier(path).background == expected
    if all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        onnx_file.write(tmp_path / "model.onnx", network, stated, Options(()))
        assert open_classifier(tmp_path / "model.onnx").background == expected


def test_search_finds_what_the_command_finds(home, model, photos, tmp_path, capsys):
    query, out = home / "sketch.png", tmp_path / "features.npz"
    (found,) = jigsaw_shape.search(query, home / "photos", model, top=3)
    assert isinstance(found, Nearest)
    a, b = model.features([query, found.paths[0]])
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert found.cosines[0] == pytest.approx(cosine, abs=1e-5)
    flags = ("--model", home / "runs" / "mine", "--batch-size", 4, "--out", out)
    asked = (home / "photos", *flags, "--query", query, "--top", 3)
    assert command.main(["embed", *map(str, asked)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert found.paths == [words[2] for words in lines if words and words[0] in "123"]
    (again,) = jigsaw_shape.search(str(query), out, model, top=3)
    assert again.paths == found.paths
    own = jigsaw_shape.search(photos[:2], home / "photos", home / "runs" / "mine")
    assert [sorted(one.paths) for one in own] == [
        [other for other in photos if other != one.query] for one in own
    ]


def test_what_cannot_be_searched_is_refused(home, model, photos, tmp_path):
    query = home / "sketch.png"
    with pytest.raises(ValueError, match="top is 0"):
        jigsaw_shape.search(query, photos, model, top=0)
    with pytest.raises(ValueError, match=r"broken\.png: not an image"):
        jigsaw_shape.search([query, home / "broken.png"], photos, model)
    with pytest.warns(UserWarning, match=r"not searched: .*broken\.png: not an image"):
        found = jigsaw_shape.search(query, [*photos, home / "broken.png"], model)
    assert len(found[0].paths) == len(photos)
    with pytest.raises(ValueError, match="none of the images can be read"):
        jigsaw_shape.search(query, home / "broken.png", model)
    path = tmp_path / "features.npz"
    features_file.write(path, ["a"], np.ones((1, 256)), {"digest": "of another"})
    with pytest.raises(ValueError, match="with digest of another"):
        jigsaw_shape.search(query, path, model)


PACKAGE = REPOSITORY / "jigsaw_shape"
WITH_EXAMPLES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.fixture
def at_home(home, model, monkeypatch):
    """Moves to `home`, where there are features too."""
    monkeypatch.chdir(home)
    names = [f"photos/{n}.png" for n in range(1, 5)]
    facts = search.facts_of(model, "runs/mine")
    features_file.write(
        pathlib.Path("features.npz"), names, model.features(names), facts
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_hold(name, at_home):
    module = importlib.import_module(name.removesuffix(".__init__"))
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    names = {"jigsaw_shape": jigsaw_shape, "np": np, "Image": Image}
    examples = doctest.DocTestFinder().find(module, globs=vars(module) | names)
    for example in examples:
        runner.run(example)
    assert runner.summarize(verbose=False).attempted > 0
    assert runner.summarize(verbose=False).failed == 0


def test_what_python_is_offered_has_examples():
    offered = [jigsaw_shape, *(getattr(jigsaw_shape, n) for n in jigsaw_shape.__all__)]
    offered += [Classifier, Classifier.features, Classifier.logits, Classifier.stages]
    assert [one for one in offered if ">>> " not in one.__doc__] == []


def blocks_of(page, beginning):
    """Returns the Python of a page whose first line it is."""
    text = (REPOSITORY / page).read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return [block for block in found if block.startswith(beginning)]


@pytest.mark.parametrize("page", ["README.md", "docs/features.md"])
def test_python_in_the_documents_runs(page, at_home):
    blocks = blocks_of(page, "import jigsaw_shape\n")
    assert blocks
    for block in blocks:
        exec(block.replace("RUN", "runs/mine"), {})


@pytest.mark.parametrize(
    ("library", "encoder"),
    [("torchvision", "resnet18"), ("timm", "efficientnet_lite0")],
)
def test_pytorch_gets_the_same_features(
    library, encoder, photos, tmp_path, monkeypatch
):
    torch = pytest.importorskip("torch")
    pytest.importorskip(library)
    px, n_classes = 64, 7
    network = small_network(encoder, tuple("abcdefg"), px, px)
    options = Options(("safetensors",), names=library)
    export(network, tmp_path / "exported", options, about=ABOUT, card=make_card)
    (block,) = [
        block
        for block in blocks_of("docs/exporting.md", "import t")
        if f'{encoder}", num_classes={n_classes}' in block
        or f"{encoder}(num_classes={n_classes})" in block
    ]
    names = {}
    monkeypatch.chdir(tmp_path)
    exec(block, names)
    facts = json.loads(pathlib.Path("exported/export.json").read_text())
    squares = np.stack([decode(path, size_px=facts["image_size"]) for path in photos])
    pixels = (squares / 255 - facts["mean"]) / facts["std"]
    pixels = torch.tensor(pixels.transpose(0, 3, 1, 2), dtype=torch.float32)
    with torch.no_grad():
        found = names["model"](pixels).numpy()
    expected = jigsaw_shape.load("exported", batch_size=4).features(squares)
    assert relative_difference(found, expected) <= 1e-4
