"""AdaIN against a plain statement of it, its laws, and the files that it comes in."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_pair import tiny_pair
from torch_reference import (
    DATA,
    adain_images,
    adain_states,
    as_torch,
    channels_first,
    torch,
    torch_adain,
)

from jigsaw_shape.diversify import adain, stylizer_files, vgg_weights

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def _images(n=3, h=20, w=24, seed=1):
    return np.random.default_rng(seed).random((n, h, w, 3)).astype(np.float32)


def _stylize(pair, contents, styles, strengths):
    return np.asarray(
        jax.jit(adain.stylize)(pair, None, contents, styles, jnp.asarray(strengths))
    )


def _convolved(layer, image):
    """A 3x3 convolution of one image [H, W, C], reflected at its border."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    h, w, _ = image.shape
    out = np.zeros((h, w, layer["bias"].size)) + layer["bias"]
    for y in range(3):
        for x in range(3):
            out += padded[y : y + h, x : x + w] @ layer["kernel"][y, x]
    return out


def _stated(pair, content, style, alpha):
    """AdaIN of one image, a step at a time, in float64."""

    def encode(x):
        for stage, layers in enumerate(pair.encoder):
            if stage:
                h, w, c = x.shape
                x = np.pad(x, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
                x = x.reshape(-(-h // 2), 2, -(-w // 2), 2, c).max((1, 3))
            for layer in layers:
                x = np.maximum(_convolved(layer, x), 0)
        return x

    content, style = encode(content), encode(style)

    def moments(x):
        return x.mean((0, 1)), np.sqrt(x.var((0, 1)) + 1e-5)

    (mean, deviation), (style_mean, style_deviation) = moments(content), moments(style)
    target = style_deviation * (content - mean) / deviation + style_mean
    x = alpha * target + (1 - alpha) * content
    layers = [(i, layer) for i, stage in enumerate(pair.decoder) for layer in stage]
    for n, (i, layer) in enumerate(layers):
        if n and i > layers[n - 1][0]:
            x = x.repeat(2, 0).repeat(2, 1)
        x = _convolved(layer, x)
        if n < len(layers) - 1:
            x = np.maximum(x, 0)
    return x


@pytest.mark.parametrize(("h", "w"), [(20, 24), (19, 21)])
def test_stylizing_is_what_the_paper_states(h, w):
    pair = tiny_pair()
    contents, styles = _images(h=h, w=w), _images(h=16, w=12, seed=2)
    alphas = [1.0, 0.6, 0.1]
    ours = _stylize(pair, contents, styles, alphas)
    for image, *arguments in zip(ours, contents, styles, alphas, strict=True):
        expected = _stated(pair, *arguments)[:h, :w]
        np.testing.assert_allclose(image, np.clip(expected, 0, 1), atol=1e-5)


def test_strength_zero_is_the_content_bit_for_bit():
    contents = _images()
    out = _stylize(tiny_pair(), contents, _images(seed=2), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(out[[0, 2]], contents[[0, 2]])
    assert not np.array_equal(out[1], contents[1])


def test_an_image_that_is_its_own_style_keeps_its_features_exactly():
    features = adain.encode(tiny_pair().encoder, _images())[-1]
    own = adain.exchange_statistics(features, features)
    np.testing.assert_array_equal(own, features)


def test_features_take_the_style_s_statistics():
    rng = np.random.default_rng(0)
    content = rng.normal(1, 2, (2, 5, 6, 4)).astype(np.float32)
    style = rng.normal(-3, 0.5, (2, 7, 3, 4)).astype(np.float32)
    found = adain.exchange_statistics(content, style)
    np.testing.assert_allclose(found.mean((1, 2)), style.mean((1, 2)), atol=1e-5)
    np.testing.assert_allclose(found.std((1, 2)), style.std((1, 2)), rtol=1e-4)


def test_an_image_depends_on_no_other():
    pair, contents, styles = tiny_pair(), _images(), _images(seed=2)
    together = _stylize(pair, contents, styles, [1.0, 0.5, 0.2])
    alone = _stylize(pair, contents[1:2], styles[1:2], [0.5])
    np.testing.assert_allclose(together[1], alone[0], atol=1e-6)


def _saved_public(folder, monkeypatch=None):
    """Writes the public weights' two files; without PyTorch, only as if."""
    folder.mkdir(exist_ok=True)
    states = dict(
        zip(("vgg_normalised.pth", "decoder.pth"), adain_states(), strict=True)
    )
    for name, state in states.items():
        if monkeypatch is None:
            torch.save(as_torch(state), folder / name)
        else:
            (folder / name).write_bytes(b"")
    if monkeypatch is not None:
        monkeypatch.setattr(
            vgg_weights, "read_torch_file", lambda path: states[path.name]
        )
    return str(folder)


def _check_public(folder, expected):
    contents, styles, alphas = adain_images()
    pair = stylizer_files.load_pair(folder).pair
    ours = jax.jit(functools.partial(adain.stylize, pair, None))(
        contents, styles, jnp.asarray(alphas)
    )
    expected = np.clip(expected.transpose(0, 2, 3, 1), 0, 1)
    assert expected.std() > 0.1
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_public_weights_stylize_as_the_reference_did(tmp_path, monkeypatch):
    with np.load(DATA / "reference_outputs.npz") as reference:
        _check_public(_saved_public(tmp_path, monkeypatch), reference["adain"])


@needs_torch
def test_public_weights_stylize_as_in_pytorch(tmp_path):
    contents, styles, alphas = adain_images()
    states = [as_torch(state) for state in adain_states()]
    images = map(channels_first, (contents, styles))
    expected = torch_adain(states, *images, alphas).numpy()
    _check_public(_saved_public(tmp_path), expected)


@pytest.mark.parametrize("pixels", vgg_weights.PIXELS)
def test_a_vgg_s_pixels_are_folded_into_its_first_layer(tmp_path, monkeypatch, pixels):
    state = {
        f"features.{place}.{leaf}": adain_states()[0][f"{place}.{leaf}"]
        for place in (2, 5, 9, 12, 16, 19, 22, 25, 29)
        for leaf in ("weight", "bias")
    }
    state["features.31.weight"] = np.zeros((512, 512, 3, 3))  # of what comes after
    state["features.31.bias"] = np.zeros(512)
    monkeypatch.setattr(vgg_weights, "read_torch_file", lambda path: state)
    stages = vgg_weights.read_vgg(tmp_path / "vgg19.pth", pixels)
    assert [len(stage) for stage in stages] == [2, 2, 4, 1]
    image = _images(1)[0]
    if pixels == "caffe":
        seen = 255 * image[..., ::-1] - np.array([103.939, 116.779, 123.68])
    else:
        seen = (image - np.array([0.485, 0.456, 0.406])) / np.array(
            [0.229, 0.224, 0.225]
        )
    kernel = state["features.2.weight"].transpose(2, 3, 1, 0)
    plain = {"kernel": kernel, "bias": state["features.2.bias"]}
    np.testing.assert_allclose(
        _convolved(stages[0][0], image), _convolved(plain, seen), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("style", ["block{}/layers/conv2d{}/vars/{}", "old"])
def test_keras_weights_are_read_by_block(tmp_path, style):
    h5py = pytest.importorskip("h5py")
    shapes = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    shapes += [(256, 256), (256, 512), (512, 512)]
    places = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 0), (4, 1)]
    rng = np.random.default_rng(0)
    kernels = {}
    with h5py.File(tmp_path / "vgg16.h5", "w") as file:
        for (block, i), (n_in, n_out) in zip(places, shapes, strict=True):
            kernel = rng.normal(size=(3, 3, n_in, n_out)).astype(np.float32)
            kernels[block, i] = kernel
            for leaf, array in enumerate((kernel, np.ones(n_out))):
                if style == "old":
                    name = f"block{block}_conv{i + 1}/{('kernel', 'bias')[leaf]}:0"
                else:
                    name = style.format(block, f"_{i}" if i else "", leaf)
                file[name] = array
    stages = vgg_weights.read_vgg(tmp_path / "vgg16.h5")
    assert [len(stage) for stage in stages] == [2, 2, 3, 1]
    np.testing.assert_array_equal(stages[2][1]["kernel"], kernels[3, 1])
    np.testing.assert_array_equal(stages[3][0]["kernel"], kernels[4, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("9.bias"), "not a biased convolution"),
        (lambda s: s.update({"2.weight": np.zeros((32, 3, 3, 3))}), "not a VGG"),
        (lambda s: s.pop("25.weight") is s.pop("22.weight"), "neither VGG-16 nor"),
        (lambda s: s.clear(), "not a VGG"),
    ],
)
def test_what_is_no_vgg_is_refused(tmp_path, monkeypatch, change, words):
    state = adain_states()[0]
    change(state)
    monkeypatch.setattr(vgg_weights, "read_torch_file", lambda path: state)
    with pytest.raises(ValueError, match=words):
        vgg_weights.read_vgg(tmp_path / "vgg.pth")


def test_a_file_keeps_a_pair_to_half_precision_and_its_story(tmp_path):
    path, pair = tmp_path / "pair.npz", tiny_pair()
    stylizer_files.save_pair(path, pair, {"steps": 3})
    assert [file.name for file in tmp_path.iterdir()] == ["pair.npz"]
    stored = stylizer_files.load_pair(str(path))
    assert stored.about == {"steps": 3}
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, np.float32(np.float16(b))),
        stored.pair,
        pair,
    )
    stylizer_files.save_pair(path, tiny_pair(seed=1), {})
    assert stylizer_files.load_pair(str(path)).digest != stored.digest


def _broken(kind, path):
    pair = tiny_pair()
    if kind == "nan":
        pair.decoder[0][0]["bias"][0] = np.nan
    if kind == "mirror":
        pair = pair._replace(decoder=pair.decoder[:-1])
    stylizer_files.save_pair(path, pair, {})
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    if kind == "pickle":
        np.savez(path, about=np.array([{}], dtype=object))
    if kind == "foreign":
        np.savez(path, weights=np.zeros(3))


@pytest.mark.parametrize("kind", ["nan", "mirror", "truncated", "pickle", "foreign"])
def test_damaged_files_are_refused_by_name(tmp_path, kind):
    path = tmp_path / "pair.npz"
    _broken(kind, path)
    with pytest.raises(
        ValueError, match=r"pair\.npz is not a stylizer's file"
    ) as error:
        stylizer_files.load_pair(str(path))
    assert "\n" not in str(error.value)


def test_names_that_mean_nothing_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'shipped'"):
        stylizer_files.load_pair("vgg19")
    with pytest.raises(ValueError, match=r"lacks vgg_normalised\.pth and decoder\.pth"):
        stylizer_files.load_pair(str(tmp_path))


def test_the_shipped_stylizer_keeps_shapes_and_changes_colours():
    stylizer = stylizer_files.load_pair(stylizer_files.SHIPPED)
    assert stylizer.about["settings"]["n_steps"] > 1000
    # A disc on white, in the style of noise in two reds.
    y, x = np.mgrid[:64, :64]
    disc = ((y - 32) ** 2 + (x - 32) ** 2 < 18**2)[..., None]
    content = np.where(disc, [0.1, 0.2, 0.5], [1.0, 1.0, 1.0]).astype(np.float32)
    noise = np.random.default_rng(0).random((64, 64, 1))
    style = ([0.5, 0.1, 0.1] + noise * [0.4, 0.1, 0.1]).astype(np.float32)
    out = _stylize(stylizer.pair, content[None], style[None], [1.0])[0]
    red, green, blue = out.mean((0, 1))
    assert red > green + 0.1
    assert red > blue + 0.1
    grey = out.mean(-1)
    inner, outer = grey[28:36, 28:36].mean(), grey[:8].mean()
    assert abs(inner - outer) > 0.5 * np.abs(grey - grey.mean()).mean()
