"""Loss terms, heads and the reversed gradient, against plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import ndimage

from jigsaw_shape import config as config_lib
from jigsaw_shape.models.multitask import (
    Head,
    Multitask,
    reversal_at,
    reverse_gradient,
)
from jigsaw_shape.training.losses import Sizes, make_heads, make_losses

RNG = np.random.default_rng(0)


def _config(**fields):
    config = config_lib.default_config()
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    return config


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _term(name, **fields):
    return make_losses(_config(**{f"losses__{name}": 1.0, **fields}))[name]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_classification_is_cross_entropy_with_a_smoothed_label(smoothing):
    logits = RNG.normal(size=(5, 4)).astype(np.float32)
    label = np.array([0, 1, 2, 3, 0])
    order = np.array([0, 3, 0, 0, 7])
    fields = {"classification__label_smoothing": smoothing}
    batch = {"label": label, "order": order, "for_class": np.ones(5, np.float32)}
    term = _term("classification", **fields)
    values, mask = term.loss({"classification": logits}, batch)
    truth = np.eye(4)[label] * (1 - smoothing) + smoothing / 4
    expected = -(truth * np.log(_softmax(logits))).sum(-1)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_array_equal(mask, np.ones(5))
    natural = _term("classification", classification__natural_only=True)
    styled = np.array([True, False, False, True, False])
    _, mask = natural.loss({"classification": logits}, batch | {"styled": styled})
    np.testing.assert_array_equal(mask, ~styled)
    fields["jigsaw__classify_shuffled"] = False
    _, mask = _term("classification", **fields).loss({"classification": logits}, batch)
    np.testing.assert_array_equal(mask, [1, 0, 1, 1, 0])


def test_consistency_is_half_the_symmetric_divergence_of_the_changed():
    logits = RNG.normal(size=(6, 4)).astype(np.float32)
    styled = np.array([True, False, True, False, False, False])
    values, mask = _term("consistency").loss(
        {"classification": logits}, {"styled": styled, "twin": np.arange(3, 6)}
    )
    p, q = _softmax(logits[:3]), _softmax(logits[3:])
    forth = (p * np.log(p / q)).sum(-1)
    back = (q * np.log(q / p)).sum(-1)
    np.testing.assert_allclose(values, (forth + back) / 2, rtol=1e-4)
    np.testing.assert_array_equal(mask, [1, 0, 1])


def test_consistency_of_identical_views_is_0_and_flat():
    term = _term("consistency")
    half = RNG.normal(size=(3, 4)).astype(np.float32)
    batch = {"styled": np.ones(6, bool), "twin": np.arange(3, 6)}

    def total(logits):
        return term.loss({"classification": logits}, batch)[0].sum()

    value, gradient = jax.value_and_grad(total)(jnp.concatenate([half, half]))
    assert float(value) == 0
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    swapped = RNG.normal(size=(6, 4)).astype(np.float32)
    turned = np.concatenate([swapped[3:], swapped[:3]])
    assert float(total(swapped)) == pytest.approx(float(total(turned)), rel=1e-5)


def test_a_teacher_teaches_each_style_by_the_other():
    scores, taught = RNG.normal(size=(2, 4, 3)).astype(np.float32)
    term = _term("teacher", teacher__temperature=3.0)
    batch = {"teacher": {"classification": taught}, "twin": np.arange(2)}
    values, mask = term.loss({"classification": scores}, batch)
    p, q = _softmax(scores / 3), _softmax(taught / 3)[[2, 3, 0, 1]]
    apart = (q * np.log(q / p)).sum(-1)
    np.testing.assert_allclose(values, apart[:2] + apart[2:], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(mask, [1, 1])


def test_distillation_is_the_turn_of_whole_natural_images():
    features, first = RNG.normal(size=(2, 4, 5)).astype(np.float32)
    first[3] = 3 * features[3]
    batch = {
        "teacher": {"features": first},
        "order": np.array([0, 2, 0, 0]),
        "styled": np.array([False, False, True, False]),
    }
    values, mask = _term("distillation").loss({"features": features}, batch)
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(first, axis=1)
    np.testing.assert_allclose(
        values, 1 - (features * first).sum(1) / lengths, rtol=1e-4, atol=1e-6
    )
    assert values[3] == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(mask, [1, 0, 0, 1])


def test_the_edge_head_is_held_to_the_edges_of_the_natural_image():
    images = RNG.random((2, 8, 8, 3)).astype(np.float32)
    images[1] = (np.arange(8) >= 4)[None, :, None]  # black beside white
    scores = RNG.normal(size=(5, 4)).astype(np.float32)
    stored = np.array([0, 1, 0, 1, 1])
    batch = {
        "natural": images,
        "stored": stored,
        "order": np.array([0, 0, 0, 0, 7]),
    }
    term = _term("edges", edges__cells=2)
    values, mask = term.loss({"edges": scores}, batch)
    grey = images @ np.array([0.299, 0.587, 0.114])
    slopes = [
        [ndimage.sobel(each, axis, mode="nearest") / 4 for axis in (0, 1)]
        for each in grey
    ]
    lengths = np.minimum([np.hypot(*slope) for slope in slopes], 1)
    drawn = lengths.reshape(2, 2, 4, 2, 4).mean((2, 4)).reshape(2, 4)
    np.testing.assert_allclose(drawn[1], 0.25, atol=1e-6)  # a pixel in four, each side
    p = 1 / (1 + np.exp(-scores))
    expected = -drawn[stored] * np.log(p) - (1 - drawn[stored]) * np.log(1 - p)
    np.testing.assert_allclose(values, expected.mean(-1), rtol=1e-4)
    np.testing.assert_array_equal(mask, [1, 1, 1, 1, 0])


def test_style_is_classified_and_its_adversary_answers_evenly():
    style, answer = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    label, known = np.array([0, 2, 1, 1, 0]), np.array([1.0, 1, 0, 1, 1], np.float32)
    term = _term("style", sagnet__adversary=0.3)
    values, mask = term.loss(
        {"style": style, "style_answer": answer}, {"label": label, "for_class": known}
    )
    of_head = -np.log(_softmax(style))[np.arange(5), label]
    even = -np.log(_softmax(answer)).sum(-1) / 3
    np.testing.assert_allclose(values, of_head + 0.3 * even, rtol=1e-5)
    np.testing.assert_array_equal(mask, known)


def test_jsd_is_the_distance_of_three_answers_to_their_mean():
    logits = RNG.normal(size=(8, 4)).astype(np.float32)  # the last two are puzzles
    values, mask = _term("jsd").loss({"classification": logits}, {"twin": np.arange(2)})
    p = _softmax(logits[:6]).reshape(3, 2, 4)
    expected = (p * np.log(p / p.mean(0))).sum(-1).mean(0)
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    np.testing.assert_array_equal(mask, [1, 1])


@pytest.mark.parametrize("domains", ["source", "style"])
def test_domains_are_the_sources_or_the_styles(domains):
    term = _term("domain", dann__domains=domains)
    batch = {"domain": np.array([2, 0, 1]), "styled": np.array([True, False, True])}
    logits = RNG.normal(size=(3, 4)).astype(np.float32)
    label = [2, 0, 1] if domains == "source" else [1, 0, 1]
    values, _ = term.loss({"domain": logits}, batch)
    expected = -np.log(_softmax(logits)[np.arange(3), label])
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    hits = term.hits({"domain": np.eye(4)[label]}, batch)
    assert np.asarray(hits).all()


def test_heads_are_those_of_the_terms():
    sizes = Sizes(classes=7, permutations=np.zeros((31, 9), np.int32), domains=4)
    assert make_heads(_config(), sizes) == {"classification": Head(7)}
    config = _config(
        losses__jigsaw=1.0,
        losses__domain=0.5,
        losses__consistency=1.0,
        dann__hidden=(8, 8),
    )
    assert make_heads(config, sizes) == {
        "classification": Head(7),
        "jigsaw": Head(31),
        "domain": Head(4, hidden=(8, 8), reverse=True),
    }
    config.dann.domains = "style"
    assert make_heads(config, sizes)["domain"].n_classes == 2


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0])
def test_the_reversed_gradient_is_minus_lambda_times_the_gradient(factor):
    x = jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32)
    weights = jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32)

    def plain(x):
        return (weights * jnp.sin(x)).sum()

    def reversed_(x, factor):
        return plain(reverse_gradient(x, factor))

    np.testing.assert_array_equal(reverse_gradient(x, factor), x)
    value, gradient = jax.jit(jax.value_and_grad(reversed_))(x, factor)
    assert float(value) == pytest.approx(float(plain(x)))
    np.testing.assert_allclose(gradient, -factor * jax.grad(plain)(x), rtol=1e-6)
    assert float(jax.grad(reversed_, 1)(x, factor)) == 0


def test_the_reversal_rises_from_0_to_its_strongest():
    assert float(reversal_at(jnp.asarray(0.0), 10.0, 1.0)) == 0
    progress = np.linspace(0, 1, 11)
    ramp = np.asarray(reversal_at(progress, 10.0, 0.5))
    np.testing.assert_allclose(
        ramp, 0.5 * (2 / (1 + np.exp(-10 * progress)) - 1), rtol=1e-6
    )
    assert (np.diff(ramp) > 0).all()
    assert ramp[-1] == pytest.approx(0.5, abs=1e-4)


class Flat(nn.Module):
    """Pixels as features, each times a weight of its own."""

    @nn.compact
    def __call__(self, images, train, edit=None):
        """Maps images [B, H, W, 3] to features [B, H W 3]."""
        x = images.reshape(len(images), -1)
        return x * self.param("scale", nn.initializers.ones, (x.shape[-1],))


def test_a_reversed_head_learns_and_its_encoder_unlearns():
    model = Multitask(
        Flat(), {"classification": 3, "domain": Head(2, (5,), True)}, (0,) * 3, (1,) * 3
    )
    images = jnp.asarray(RNG.normal(size=(4, 2, 2, 3)), jnp.float32)
    variables = model.init(jax.random.key(0), images, False)
    assert variables["params"]["head_domain_hidden1"]["kernel"].shape == (12, 5)
    assert variables["params"]["head_domain"]["kernel"].shape == (5, 2)

    def gradients(reversal):
        def loss(params):
            outputs = model.apply({"params": params}, images, True, reversal=reversal)
            return outputs["domain"][:, 0].sum()

        return jax.grad(loss)(variables["params"])

    plain, strong = gradients(-1.0), gradients(0.7)
    np.testing.assert_allclose(
        strong["encoder"]["scale"], -0.7 * plain["encoder"]["scale"], rtol=1e-5
    )
    for name in ("head_domain", "head_domain_hidden1"):
        np.testing.assert_allclose(
            strong[name]["kernel"], plain[name]["kernel"], rtol=1e-6
        )
    assert np.abs(plain["encoder"]["scale"]).max() > 0.01
