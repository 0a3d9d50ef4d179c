"""Foreign checkpoints: the same outputs as PyTorch, all of it read, or refused."""

import functools

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import traverse_util
from tiny_encoders import load_digits, seeded, seeded_state, shapes, write_digits
from torch_reference import (
    DATA,
    LITE0,
    as_torch,
    channels_first,
    lite0_images,
    resnet18_images,
    resnet18_state,
    torch,
    torch_lite0,
    torch_resnet18,
)

from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights import locate
from jigsaw_shape.models.weights.loading import load_pretrained
from jigsaw_shape.models.weights.renames import from_foreign
from jigsaw_shape.models.weights.torch_file import read_torch_file

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def lite0_path():
    try:
        return locate.locate(LITE0, "efficientnet_lite0")[0]
    except ValueError as error:
        pytest.skip(str(error))


@functools.cache
def lite0():
    lite0_path()
    return load_pretrained(LITE0, "efficientnet_lite0")


@functools.cache
def lite0_logits():
    found = lite0()
    variables, classifier = found.variables, found.classifier
    module = ENCODERS["efficientnet_lite0"].build()
    features = jax.jit(lambda v, x: module.apply(v, x, False))(
        variables, lite0_images()
    )
    return features @ classifier["kernel"] + classifier["bias"]


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
    found = load_pretrained(str(path), "resnet18")
    kernel = found.classifier["kernel"]
    np.testing.assert_array_equal(kernel, state["fc.weight"].numpy().T)
    module = ENCODERS["resnet18"].build()
    images = resnet18_images()
    features, updated = jax.jit(
        lambda v, x: module.apply(v, x, True, mutable=["batch_stats"])
    )(found.variables, images)
    expected = torch_resnet18(state, channels_first(images), train=True)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
    renamed = from_foreign("resnet", {k: v.numpy() for k, v in state.items()})
    for path, value in renamed.arrays.items():
        if path[0] == "batch_stats":
            ours = updated
            for key in path:
                ours = ours[key]
            np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-4)


WRONG = {
    "features.0.weight": None,
    "classifier.0.bias": np.zeros(3, np.float32),
    "features.3.bias": np.full(8, np.nan, np.float32),
    "jigsaw_classifier.weight": np.zeros((31, 16), np.float32),
}


LISTED = {
    "missing params/conv1/kernel",
    "misshapen params/dense3/bias: (3,), expected (16,)",
    "not finite params/conv2/bias",
    "extra jigsaw_classifier.weight",
}


def test_lists_what_is_missing_extra_misshapen_and_not_finite(tmp_path):
    path = write_digits(tmp_path / "wrong.npz", **WRONG)
    with pytest.raises(ValueError, match=r"config\.model\.init") as error:
        load_digits(path)
    assert all(part in str(error.value) for part in LISTED)
    assert str(error.value).count(";") == len(LISTED) - 1
    assert "config.model.init_skip" in str(error.value)


def test_what_the_configuration_names_is_not_read(tmp_path):
    path = write_digits(tmp_path / "wrong.npz", **WRONG)
    # By Flax's path and by the checkpoint's name.
    skip = ("conv1/kernel", "dense3/*", "features.3.*", "jigsaw_*")
    found = load_digits(path, skip)
    assert sorted(found.variables["params"]) == ["conv1", "dense4"]
    expected, _ = seeded("digits", "jigen")
    zeros = jax.tree.map(lambda x: np.zeros(x.shape), shapes("digits"))
    merged = found.merged(dict(zeros))["params"]
    for name, leaves in expected["params"].items():
        for leaf, array in leaves.items():
            read = (name, leaf) == ("conv1", "bias") or name == "dense4"
            wanted = array if read else np.zeros_like(array)
            np.testing.assert_array_equal(merged[name][leaf], wanted)
    with pytest.raises(ValueError, match="missing params/conv1/kernel"):
        load_digits(path, skip[1:])


def test_weights_of_another_family_are_refused():
    lite0_path()
    with pytest.raises(ValueError, match=r"is not of config\.model\.encoder"):
        load_pretrained(LITE0, "resnet18")


@pytest.mark.parametrize("encoder", ["vit_small_16", "alexnet"])
def test_a_file_of_another_architecture_is_refused(tmp_path, encoder):
    path = write_digits(tmp_path / "digits.npz")
    with pytest.raises(ValueError, match="does not fit") as error:
        load_pretrained(path, encoder, shapes(encoder))
    assert "missing params/" in str(error.value)
    # Some of AlexNet's names are the digits network's too, of other shapes.
    listed = {
        "vit_small_16": "extra features.0.weight",
        "alexnet": "misshapen params/conv1/kernel: (5, 5, 3, 4), expected (11, 11, 3",
    }
    assert listed[encoder] in str(error.value)


def test_a_checkpoint_without_classifier_gives_none(tmp_path):
    nothing = {"class_classifier.weight": None, "class_classifier.bias": None}
    found = load_digits(write_digits(tmp_path / "encoder.npz", **nothing))
    assert found.classifier is None
    assert jax.tree.structure(found.variables) == jax.tree.structure(shapes("digits"))


def test_what_a_file_says_of_itself_counts(tmp_path):
    state, path = seeded_state("digits", "jigen"), tmp_path / "model.safetensors"
    facts = {"encoder": '"digits"', "mean": "[0.1, 0.2, 0.3]", "std": "[1, 2, 3]"}
    safetensors.numpy.save_file(state, path, {**facts, "format": "pt"})
    found = load_digits(str(path))
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    assert load_digits(write_digits(tmp_path / "w.npz")).mean is None
    safetensors.numpy.save_file(state, path, facts | {"encoder": '"convnet"'})
    with pytest.raises(ValueError, match="has weights of 'convnet', not of"):
        load_digits(str(path))
    safetensors.numpy.save_file(state, path, facts | {"mean": "[0.1, NaN, 0]"})
    with pytest.raises(ValueError, match=r"mean is .*, expected three finite numbers"):
        load_digits(str(path))


def test_an_encoder_that_no_library_has_takes_our_own_files_alone(tmp_path):
    np.savez(tmp_path / "weights.npz", **{"conv1.weight": np.zeros((1, 1, 1, 1))})
    with pytest.raises(ValueError, match="'convnet' has no weights of other libraries"):
        load_pretrained(str(tmp_path / "weights.npz"), "convnet")
