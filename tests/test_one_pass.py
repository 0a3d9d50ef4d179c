"""A pass over images: each once, each probe once, the same in any batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.suites import one_pass
from jigsaw_shape.suites.suite import PLAIN, Probe

N = 13


def _store():
    """Images whose every pixel is 10 times their index."""
    dataset = Dataset(
        name="made-up",
        classes=("a", "b"),
        domains=("x",),
        label=np.zeros(N, np.int32),
        domain=np.zeros(N, np.int32),
        read=lambda i: np.full((6, 6, 3), 10 * i, np.uint8),
    )
    return ImageStore(dataset, cache="none", stored_px=6)


def _model(name="m", batch_size=4, permutations=None, seen=None):
    """A model whose scores are the mean of its image, and the order it is shown in."""

    def predict(images, orders=None):
        assert images.shape == (batch_size, 3, 3, 3)
        means = np.asarray(images).mean((1, 2, 3))
        shown = np.zeros(len(means)) if orders is None else np.asarray(orders)
        if seen is not None:
            seen.append(len(means))
        return {"classification": np.stack([means, shown], 1), "features": means}

    return Classifier(name, ("a", "b"), 3, batch_size, predict, 0, permutations, 3)


def _noise(rngs, images):
    draw = jax.vmap(lambda rng: jax.random.uniform(rng))(rngs)
    return jnp.broadcast_to(draw[:, None, None, None], images.shape)


@pytest.mark.parametrize("batch_size", [1, 4, 13, 32])
def test_every_image_is_answered_once_in_order(batch_size):
    done = []
    found = one_pass.run(
        [_model(batch_size=batch_size)], _store(), [PLAIN], on_batch=done.append
    )
    answers = found.outputs["m"]["plain"]["classification"]
    assert answers[:, 0] == pytest.approx(10 * np.arange(N) / 255, abs=1e-6)
    assert set(found.outputs["m"]["plain"]) == {"classification"}
    assert found.n_answers == N
    assert done[-1] == N


def test_features_are_kept_where_they_are_wanted():
    probes = [PLAIN, Probe("inverse", lambda rngs, images: 1 - images)]
    found = one_pass.run([_model()], _store(), probes, features_of=("plain",))
    outputs = found.outputs["m"]
    assert set(outputs["inverse"]) == {"classification"}
    expected = 10 * np.arange(N) / 255
    assert outputs["plain"]["features"] == pytest.approx(expected, abs=1e-6)


def test_random_probes_depend_on_seed_and_index_alone():
    probes = [PLAIN, Probe("noise", _noise)]

    def answers(batch_size, seed):
        model = _model(batch_size=batch_size)
        found = one_pass.run([model], _store(), probes, seed=seed)
        return found.outputs["m"]["noise"]["classification"][:, 0]

    assert (answers(4, 0) == answers(5, 0)).all()
    assert (answers(4, 0) != answers(4, 1)).all()
    assert len(set(answers(4, 0).tolist())) == N


def test_a_probe_is_made_once_for_all_models_and_names():
    made = []

    def make(rngs, images):
        made.append(len(images))
        return 1 - images

    probes = [Probe("inverse", make), PLAIN, Probe("inverse", make)]
    found = one_pass.run([_model("m"), _model("k")], _store(), probes, n_samples=6)
    assert made == [4, 4, 4, 4]
    first, second = (found.outputs[m]["inverse"]["classification"] for m in "mk")
    assert (first == second).all()
    assert first[:, 0] == pytest.approx(1 - 10 * np.arange(N) / 255, abs=1e-6)
    assert found.n_answers == 4 * N
    samples = found.samples["inverse"]
    assert samples.dtype == np.uint8
    assert samples[:, 0, 0, 0].tolist() == [255, 245, 235, 225, 215, 205]


def test_only_models_of_a_puzzle_are_shown_orders():
    permutations = np.tile(np.arange(9), (2, 1))
    probes = [PLAIN, Probe("head", orders=lambda indices: indices % 5)]
    models = [_model("erm"), _model("jigen", permutations=permutations)]
    found = one_pass.run(models, _store(), probes)
    assert set(found.outputs["erm"]) == {"plain"}
    orders = found.outputs["jigen"]["head"]["classification"][:, 1]
    assert orders.tolist() == (np.arange(N) % 5).tolist()
