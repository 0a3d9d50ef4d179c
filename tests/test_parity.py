"""Every family: the same features and logits as the framework that published it."""

import functools

import jax
import numpy as np
import pytest
from tiny_encoders import NAMED, images, seeded, seeded_state, tiny
from torch_reference import DATA

from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.rename_tables import KERAS
from jigsaw_shape.models.weights.renames import from_foreign

# Of efficientnet_lite_pytorch the published weights themselves, in test_weights; IBN's
# layer is in test_layers.
WITHOUT_MODEL = (KERAS, "efficientnet_lite_pytorch", "ibn_net")
# Lite2 differs from Lite0 in whatever Lite1 does.
MODELS = [
    (encoder, library)
    for encoder, library in NAMED
    if library not in WITHOUT_MODEL and encoder != "efficientnet_lite1"
]


@functools.cache
def reference():
    with np.load(DATA / "zoo_outputs.npz") as file:
        return dict(file)


def ours(encoder, library, train):
    """Returns outputs under the reference's names."""
    variables, classifier = seeded(encoder, library)
    x = images(encoder)
    features, updated = jax.jit(
        lambda v: tiny(encoder).apply(v, x, train, mutable=["batch_stats"])
    )(variables)
    logits = features @ classifier["kernel"] + classifier["bias"]
    mode = "train_" * train
    found = {f"{mode}features": features, f"{mode}logits": logits}
    if train:
        names = from_foreign(
            ENCODERS[encoder].family, seeded_state(encoder, library)
        ).names
        for path, name in names.items():
            if path[0] == "batch_stats":
                found[f"train_{name}"] = functools.reduce(dict.get, path, updated)
    return found


def check(found, expected):
    assert expected
    for name, array in expected.items():
        np.testing.assert_allclose(
            found[name], array, rtol=1e-4, atol=1e-4, err_msg=name
        )


@pytest.mark.parametrize(("encoder", "library"), MODELS)
def test_features_and_logits_equal_the_reference(encoder, library):
    prefix = f"{encoder}/{library}/"
    expected = {
        name.removeprefix(prefix): array
        for name, array in reference().items()
        if name.startswith(prefix)
    }
    trained = {n: a for n, a in expected.items() if n.startswith("train_")}
    check(
        ours(encoder, library, train=False),
        {n: a for n, a in expected.items() if n not in trained},
    )
    if trained:
        check(ours(encoder, library, train=True), trained)


@pytest.mark.parametrize(("encoder", "library"), MODELS)
def test_all_of_it_equals_the_framework(encoder, library):
    pytest.importorskip("torchvision")
    pytest.importorskip("timm")
    import torch_zoo

    expected = torch_zoo.outputs(encoder, library)
    found = ours(encoder, library, train=False)
    if any(name.startswith("train_") for name in expected):
        found |= ours(encoder, library, train=True)
    check(found, expected)
