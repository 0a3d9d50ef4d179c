"""Files of weights: every kind is read, none is run, damaged ones are refused."""

import io
import pathlib
import pickle
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util
from tiny_encoders import (
    check_digits,
    load_digits,
    seeded,
    seeded_state,
    shapes,
    write_digits,
)
from torch_reference import DATA, tiny_tensors, torch

from jigsaw_shape.models.weights.loading import load_pretrained
from jigsaw_shape.models.weights.torch_file import read_torch_file

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


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
    for whole in (DATA / "wrapped_legacy.pth.tar", DATA / "tiny_zip.pth"):
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


@pytest.mark.parametrize("name", ["wrapped_zip.pth.tar", "wrapped_legacy.pth.tar"])
def test_training_scripts_checkpoints_are_unwrapped(name):
    check_digits(load_digits(str(DATA / name)))


def test_files_of_every_kind_give_the_same(tmp_path):
    state = seeded_state("digits", "jigen")
    check_digits(load_digits(write_digits(tmp_path / "weights.npz")))
    path = tmp_path / "model.safetensors"
    wrapped = {f"_orig_mod.module.{name}": array for name, array in state.items()}
    safetensors.numpy.save_file(wrapped, path)
    check_digits(load_digits(str(path)))
    variables, classifier = seeded("digits", "jigen")
    own = {"/".join(p): a for p, a in traverse_util.flatten_dict(variables).items()}
    own |= {f"classifier/{name}": array for name, array in classifier.items()}
    np.savez(tmp_path / "own.npz", **own)
    check_digits(load_digits(str(tmp_path / "own.npz")))


@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, 0.999])
@pytest.mark.parametrize("suffix", ["safetensors", "npz", "h5"])
def test_truncated_files_of_other_kinds_are_refused(tmp_path, suffix, kept):
    whole = tmp_path / f"whole.{suffix}"
    state = seeded_state("digits", "jigen")
    if suffix == "safetensors":
        safetensors.numpy.save_file(state, whole)
    elif suffix == "npz":
        np.savez(whole, **state)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(whole, "w") as file:
            file["conv1/kernel"] = state["features.0.weight"]
    data, path = whole.read_bytes(), tmp_path / f"part.{suffix}"
    path.write_bytes(data[: kept if kept >= 1 else int(kept * len(data))])
    with pytest.raises(ValueError, match=r"part\."):
        load_digits(str(path))


def test_an_npz_file_with_a_pickle_is_refused_without_running_it(tmp_path):
    path, trace = tmp_path / "hostile.npz", tmp_path / "it_ran"
    np.savez(path, **{"features.0.weight": np.array(_Hostile(trace), dtype=object)})
    with pytest.raises(ValueError, match="hostile"):
        load_digits(str(path))
    assert not trace.exists()


def test_brain_floats_are_read_and_integers_are_refused(tmp_path):
    state = seeded_state("digits", "jigen")
    path = tmp_path / "model.safetensors"
    brain = {name: array.astype(jnp.bfloat16) for name, array in state.items()}
    path.write_bytes(safetensors.numpy.save(brain))
    found = load_digits(str(path)).variables["params"]["conv1"]["bias"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, brain["features.0.bias"].astype(np.float32))
    whole = {name: array.astype(np.int8) for name, array in state.items()}
    path.write_bytes(safetensors.numpy.save(whole))
    with pytest.raises(ValueError, match=r"(weight|bias) is of int8: float16"):
        load_digits(str(path))


@pytest.mark.parametrize("version", [2, 3])
def test_a_vgg_of_keras_is_the_one_that_it_was(tmp_path, version):
    h5py = pytest.importorskip("h5py")
    state, path = seeded_state("vgg16", "keras"), tmp_path / "vgg16.h5"
    with h5py.File(path, "w") as file:
        for name, array in state.items():
            layer, leaf = name.split(".")
            block, _, convolution = layer.partition("_conv")
            if version == 2:
                place = f"model_weights/{layer}/{layer}/{leaf}:0"
            elif convolution:
                number = f"_{int(convolution) - 1}" * (convolution != "1")
                place = f"{block}/layers/conv2d{number}/vars/{int(leaf == 'bias')}"
            else:
                place = f"layers/{layer}/vars/{int(leaf == 'bias')}"
            file[place] = array
    found = load_pretrained(str(path), "vgg16", shapes("vgg16"))
    variables, classifier = seeded("vgg16", "keras")
    jax.tree.map(np.testing.assert_array_equal, found.variables, variables)
    jax.tree.map(np.testing.assert_array_equal, found.classifier, classifier)
    # Pixels as Caffe had them: blue first, of 255, less a mean; here in RGB.
    pixels = np.array([10.0, 20.0, 30.0])
    caffe = (pixels - [123.68, 116.779, 103.939])[::-1]
    ours = ((pixels / 255 - found.mean) / found.std)[::-1]
    np.testing.assert_allclose(ours, caffe, rtol=1e-6)
    kernel = found.variables["params"]["conv1_1"]["kernel"]
    np.testing.assert_array_equal(kernel[:, :, ::-1], state["block1_conv1.kernel"])
    # What was flattened row by row is read channel by channel.
    maps = np.random.default_rng(0).normal(size=(7, 7, 8))
    np.testing.assert_allclose(
        maps.transpose(2, 0, 1).ravel() @ found.variables["params"]["dense6"]["kernel"],
        maps.ravel() @ state["fc1.kernel"],
        rtol=1e-4,
        atol=1e-5,
    )
