"""Images made of two, and what heads read in place of the features."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jigsaw_shape import config as config_lib
from jigsaw_shape.pixels.mixing import MIXINGS
from jigsaw_shape.system.devices import AXIS
from jigsaw_shape.training.head_inputs import make_reread
from jigsaw_shape.training.losses import make_losses

N = 64
# The colour of image i is i / N everywhere.
FLAT = np.broadcast_to(np.arange(N)[:, None, None, None] / N, (N, 9, 9, 3))
RNG = np.random.default_rng(0)


def _mix(name, alpha):
    mixed = MIXINGS[name](jax.random.key(3), jnp.asarray(FLAT, jnp.float32), alpha)
    images, partner, share = map(np.asarray, mixed)
    assert sorted(partner) == list(range(N))
    assert ((share >= 0) & (share <= 1)).all()
    return images, partner, share


def test_mixup_blends_by_the_shares():
    images, partner, share = _mix("mixup", 1.0)
    expected = share * np.arange(N) / N + (1 - share) * partner / N
    np.testing.assert_allclose(images, expected[:, None, None, None] + 0 * FLAT, 1e-5)
    assert 0.4 < share.mean() < 0.6
    _, _, extreme = _mix("mixup", 0.05)
    assert np.minimum(extreme, 1 - extreme).mean() < 0.1


def test_cutmix_pastes_one_box_and_counts_its_pixels():
    images, partner, share = _mix("cutmix", 1.0)
    own = np.arange(N)[:, None, None] / N
    pasted = np.isclose(images[..., 0], partner[:, None, None] / N)
    assert (pasted | np.isclose(images[..., 0], own)).all()
    for i in np.flatnonzero(partner != np.arange(N)):
        rows, columns = pasted[i].any(1), pasted[i].any(0)
        np.testing.assert_array_equal(pasted[i], np.outer(rows, columns))
        for line in (rows, columns):
            assert (np.diff(line.astype(int)) != 0).sum() <= 2
        assert share[i] == pytest.approx(1 - pasted[i].mean())
    assert 0.5 < share.mean() < 0.85  # boxes lose what is outside


def test_mixed_images_have_both_labels():
    config = config_lib.default_config()
    term = make_losses(config)["classification"].loss
    logits = RNG.normal(size=(4, 3)).astype(np.float32)
    label, other = np.array([0, 1, 2, 0]), np.array([2, 1, 0, 1])
    share = np.array([0.0, 0.3, 0.8, 1.0], np.float32)
    batch = {
        "label": label,
        "order": np.zeros(4, np.int32),
        "for_class": np.ones(4, np.float32),
        "partner_label": other,
        "own_share": share,
    }
    values, _ = term({"classification": logits}, batch)
    soft = share[:, None] * np.eye(3)[label] + (1 - share)[:, None] * np.eye(3)[other]
    expected = optax.softmax_cross_entropy(logits, soft)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def _heads(n_devices, config, features, head, label):
    """Returns the outputs of `make_reread` on so many devices, put together."""
    reread = make_reread(config)
    head = jax.tree.map(jnp.asarray, head)
    params = {"head_classification": head, "head_style": head}

    def on_one(x, label):
        rng = jax.random.fold_in(jax.random.key(0), jax.lax.axis_index(AXIS))
        outputs = {"features": x, "classification": x @ head["kernel"]}
        return reread(rng, params, outputs, {"label": label})

    def split(array):
        return jnp.asarray(array).reshape(n_devices, -1, *array.shape[1:])

    outputs = jax.vmap(on_one, axis_name=AXIS)(split(features), split(label))
    return {name: np.concatenate(value) for name, value in outputs.items()}


@pytest.mark.parametrize("n_devices", [1, 4])
def test_rsc_mutes_what_the_surest_images_rest_on(n_devices):
    config = config_lib.default_config()
    config.rsc.update(features=0.3, images=0.4)
    x = RNG.normal(size=(12, 10)).astype(np.float32)
    label = RNG.integers(0, 3, 12)
    head = {
        "kernel": RNG.normal(size=(10, 3)).astype(np.float32),
        "bias": RNG.normal(size=3).astype(np.float32),
    }
    found = _heads(n_devices, config, x, head, label)["classification"]

    def scores(features):
        return features @ head["kernel"] + head["bias"]

    def probability(features):
        p = np.exp(scores(features))
        return (p / p.sum(-1, keepdims=True))[np.arange(12), label]

    gradient = head["kernel"].T[label]
    kept = gradient < np.percentile(gradient, 70, axis=1, keepdims=True)
    lost = probability(x) - probability(x * kept)
    challenged = lost >= np.percentile(lost, 60)
    expected = scores(np.where(challenged[:, None], x * kept, x))
    assert challenged.sum() == 5
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_sagnet_separates_content_from_style():
    config = config_lib.default_config()
    config.losses.style = 1.0
    x = RNG.normal(1, 2, size=(8, 30)).astype(np.float32)
    label = np.zeros(8, np.int32)
    head = {"kernel": np.eye(30, dtype=np.float32), "bias": np.zeros(30, np.float32)}
    outputs = _heads(1, config, x, head, label)  # whose scores are what heads read

    def content(x):
        return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)

    np.testing.assert_allclose(
        content(outputs["classification"]), content(x), atol=1e-3
    )
    means = outputs["classification"].mean(1)
    assert np.abs(means - x.mean(1)).max() > 0.05
    assert means.min() >= x.mean(1).min()
    np.testing.assert_array_equal(outputs["style"], outputs["style_answer"])
    for statistic in (np.mean, np.std):
        np.testing.assert_allclose(
            statistic(outputs["style"], 1), statistic(x, 1), rtol=1e-3
        )
    same = content(outputs["style"]) @ content(x).T / 30
    np.testing.assert_allclose(np.sort(same.max(1)), 1, atol=1e-3)
    assert (same.argmax(1) != np.arange(8)).any()


def test_sagnet_s_head_and_encoder_learn_against_each_other():
    config = config_lib.default_config()
    config.losses.style = 1.0
    x = RNG.normal(size=(8, 6)).astype(np.float32)
    kernel = RNG.normal(size=(6, 3)).astype(np.float32)

    def sums(x, kernel):
        head = {"kernel": kernel, "bias": jnp.zeros(3)}
        reread = make_reread(config)
        outputs = reread(
            jax.random.key(0),
            {"head_classification": head, "head_style": head},
            {"features": x},
            {},
        )
        return (outputs["style"] ** 2).sum(), (outputs["style_answer"] ** 2).sum()

    of_x, of_kernel = jax.jit(jax.jacrev(sums, 0)), jax.jit(jax.jacrev(sums, 1))
    style, answer = of_x(x, kernel)
    assert not np.asarray(style).any()
    assert np.asarray(answer).any()
    style, answer = of_kernel(x, kernel)
    assert np.asarray(style).any()
    assert not np.asarray(answer).any()
