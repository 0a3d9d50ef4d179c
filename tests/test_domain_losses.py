"""Losses that compare domains, against plain NumPy, and on four devices."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.models import multitask
from jigsaw_shape.models.multitask import Head, Multitask
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.system import devices
from jigsaw_shape.training import learner
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints
from jigsaw_shape.training.losses import LOSSES, make_losses, need_both_styles
from jigsaw_shape.training.timetable import Now
from jigsaw_shape.training.view import make_view

N_CLASSES, N_DOMAINS, N_FEATURES = 3, 4, 5
DOMAIN = np.array([0, 2, 2, 0, 3, 2, 0, 3, 3, 2, 0, 0])  # domain 1 is held out
LABEL = np.array([0, 1, 2, 0, 1, 1, 2, 0, 2, 1, 1, 2])
SOURCES = (0, 2, 3)


def _config(**weights):
    config = config_lib.default_config()
    config.losses.update(weights)
    return config


def _arrays(seed=0):
    """Returns outputs and a batch; the last image has no label."""
    rng = np.random.default_rng(seed)
    n = len(DOMAIN)
    known = np.ones(n, np.float32)
    known[-1] = 0
    outputs = {
        "features": rng.normal(size=(n, N_FEATURES)).astype(np.float32),
        "classification": rng.normal(size=(n, N_CLASSES)).astype(np.float32),
        "cdann": rng.normal(size=(n, N_CLASSES * N_DOMAINS)).astype(np.float32),
    }
    batch = {
        "label": LABEL,
        "domain": DOMAIN,
        "order": np.zeros(n, np.int32),
        "for_class": known,
        "member": np.eye(N_DOMAINS, dtype=np.float32)[DOMAIN] * known[:, None],
    }
    return outputs, batch


def _value(name, *memory, **settings):
    """Returns the loss and, if it has one, its next memory."""
    config = _config()
    config.invariance.update(settings)
    term = jax.jit(LOSSES[name].make(config))
    value, mask, *after = term(*_arrays(), *memory)
    assert value.shape == mask.shape == (1,)
    assert float(mask[0]) == 1
    return float(value[0]), *after


def _parts(values):
    """Returns the values of the labelled images of each source."""
    return [values[:-1][DOMAIN[:-1] == d] for d in SOURCES]


def _softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _cross_entropy(logits, label):
    return -np.log(_softmax(logits)[np.arange(len(label)), label])


def _pair_mean(function, parts):
    return np.mean([function(a, b) for a, b in itertools.combinations(parts, 2)])


def test_coral_compares_means_and_covariances_of_every_pair():
    def apart(a, b):
        means = ((a.mean(0) - b.mean(0)) ** 2).mean()
        return means + ((np.cov(a.T) - np.cov(b.T)) ** 2).mean()

    expected = _pair_mean(apart, _parts(_arrays()[0]["features"]))
    assert _value("coral")[0] == pytest.approx(expected, rel=1e-4)


def test_mmd_compares_kernel_means_of_every_pair():
    def kernel(a, b):
        square = ((a[:, None] - b) ** 2).sum(-1)
        return sum(np.exp(-(10.0**power) * square) for power in range(-3, 4)).mean()

    def apart(a, b):
        return kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)

    expected = _pair_mean(apart, _parts(_arrays()[0]["features"]))
    assert _value("mmd")[0] == pytest.approx(expected, rel=1e-4)


def test_conditional_classifiers_weigh_classes_alike():
    scores = _arrays()[0]["cdann"].reshape(-1, N_CLASSES, N_DOMAINS)
    own = scores[np.arange(len(LABEL)), LABEL]
    values = _cross_entropy(own, DOMAIN)[:-1]
    expected = np.mean([values[LABEL[:-1] == c].mean() for c in range(N_CLASSES)])
    assert _value("cdann")[0] == pytest.approx(expected, rel=1e-5)
    outputs, batch = _arrays()
    hits = LOSSES["cdann"].hits(_config(), outputs, batch)
    np.testing.assert_array_equal(hits, own.argmax(-1) == DOMAIN)


def _risks():
    logits = _arrays()[0]["classification"]
    return [part.mean() for part in _parts(_cross_entropy(logits, LABEL))]


def test_vrex_is_the_variance_of_risks():
    assert _value("vrex")[0] == pytest.approx(np.var(_risks()), rel=1e-4)


def test_irm_is_the_squared_derivative_of_risks_by_a_factor():
    logits, step = _arrays()[0]["classification"].astype(np.float64), 1e-5

    def derivative(i):
        up, down = (
            _cross_entropy(logits[i : i + 1] * w, LABEL[i : i + 1])[0]
            for w in (1 + step, 1 - step)
        )
        return (up - down) / (2 * step)

    each = _parts(np.array([derivative(i) for i in range(len(LABEL))]))
    products = [
        np.mean([a * b for a, b in itertools.permutations(part, 2)]) for part in each
    ]
    assert _value("irm")[0] == pytest.approx(np.mean(products), rel=1e-3)


@pytest.mark.parametrize("name", ["irm", "vrex", "fishr"])
def test_images_that_are_not_classified_have_no_risk(name):
    config, (outputs, batch) = _config(), _arrays()
    config.jigsaw.classify_shuffled = False
    head = {"kernel": np.zeros((N_FEATURES, N_CLASSES))}
    memory = []
    if LOSSES[name].memory is not None:
        memory = [LOSSES[name].memory(N_DOMAINS, {"head_classification": head})]
    shuffled = np.arange(len(LABEL)) % 4 == 1
    without = {**batch, "member": batch["member"] * ~shuffled[:, None]}
    batch = {**batch, "order": shuffled.astype(np.int32)}
    term = LOSSES[name].make(config)
    ours, expected = (term(outputs, given, *memory)[0] for given in (batch, without))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_group_dro_follows_its_algorithm_for_two_steps():
    risks, eta = np.array(_risks()), 0.7
    logits = _arrays()[0]["classification"]
    mean = _cross_entropy(logits, LABEL)[:-1].mean()
    q, memory = np.ones(3) / 3, jnp.zeros(N_DOMAINS)
    for _ in range(2):
        q = q * np.exp(eta * risks)
        q /= q.sum()
        value, memory = _value("groupdro", memory, eta=eta)
        assert value + mean == pytest.approx(q @ risks, rel=1e-5)


def test_fishr_compares_variances_of_the_head_s_gradients():
    outputs, _ = _arrays()

    def loss(head, x, label):
        logits = x @ head["kernel"] + head["bias"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, label)

    rng = np.random.default_rng(1)
    head = {"kernel": rng.normal(size=(N_FEATURES, N_CLASSES)), "bias": np.ones(3)}
    x = outputs["features"]
    logits = (x @ head["kernel"] + head["bias"]).astype(np.float32)
    each = jax.jit(jax.vmap(jax.grad(loss), (None, 0, 0)))(head, x, LABEL)
    flat = np.concatenate([each["kernel"].reshape(len(x), -1), each["bias"]], 1)
    variances = np.array([part.var(0) for part in _parts(flat)])

    decay, average = 0.5, np.zeros_like(variances)
    memory = LOSSES["fishr"].memory(N_DOMAINS, {"head_classification": head})
    config = _config()
    config.invariance.decay = decay
    term = jax.jit(LOSSES["fishr"].make(config))
    for _ in range(2):
        average = decay * average + (1 - decay) * variances
        scaled = average / (1 - decay)
        expected = ((scaled - scaled.mean(0)) ** 2).mean()
        given = {**outputs, "classification": logits}
        value, _, memory = term(given, _arrays()[1], memory)
        assert float(value[0]) == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(
        memory[np.array(SOURCES)].reshape(3, -1), average, atol=1e-5
    )
    assert not np.asarray(memory[1]).any()


@pytest.mark.parametrize("name", ["coral", "mmd", "vrex", "fishr"])
def test_equal_domains_are_at_no_distance(name):
    outputs, batch = _arrays()
    outputs = {key: np.tile(value[:4], (3, 1)) for key, value in outputs.items()}
    batch |= {
        "label": np.tile(LABEL[:4], 3),
        "member": np.repeat(np.eye(N_DOMAINS, dtype=np.float32)[:3], 4, 0),
        "for_class": np.ones(12, np.float32),
    }
    loss = LOSSES[name]
    params = {"head_classification": {"kernel": np.zeros((N_FEATURES, N_CLASSES))}}
    memory = [loss.memory(N_DOMAINS, params)] if loss.memory else []

    def value(outputs):
        return loss.make(_config())(outputs, batch, *memory)[0][0]

    distance, gradient = jax.jit(jax.value_and_grad(value))(outputs)
    assert float(distance) == pytest.approx(0, abs=1e-5)
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_allclose(leaf, 0, atol=1e-4)  # gamma is up to 1000


def test_decoupling_is_the_mean_squared_logit():
    outputs, batch = _arrays()
    values, mask = make_losses(_config(sd=0.1))["sd"].loss(outputs, batch)
    np.testing.assert_allclose(values, (outputs["classification"] ** 2).mean(-1), 1e-6)
    np.testing.assert_array_equal(mask, batch["for_class"])


def test_weights_wait_for_their_share_of_the_run():
    config = _config(vrex=10.0, sd=0.1)
    config.invariance.update(start=0.25, early_weight=1.0)
    losses = make_losses(config, N_DOMAINS)
    at = [float(losses["vrex"].weight(jnp.asarray(p))) for p in (0.0, 0.24, 0.25, 1.0)]
    assert at == [1, 1, 10, 10]
    assert losses["sd"].weight(jnp.asarray(0.0)) == 0.1


def test_a_teacher_s_weight_rises_over_its_share_of_the_run():
    weight = make_losses(_config(teacher=2.0))["teacher"].weight
    progress = np.array([0.0, 0.05, 0.1, 0.9])
    t = np.array([0, 0.5, 1, 1])
    np.testing.assert_allclose(weight(progress), 2 * np.exp(-5 * (1 - t) ** 2), 1e-5)


class Pool(nn.Module):
    """Mean colours times weights, as features."""

    @nn.compact
    def __call__(self, images, train, edit=None):
        """Maps images [B, H, W, 3] to features [B, 5]."""
        return jnp.tanh(nn.Dense(N_FEATURES)(images.mean((1, 2))))


def test_four_devices_compare_the_domains_of_the_whole_batch():
    assert jax.device_count() == 4
    names = ("coral", "mmd", "cdann", "vrex", "irm", "groupdro", "fishr")
    config = _config(**dict.fromkeys(names, 0.5))
    config.data.image_size = 6
    config.invariance.eta = 0.5
    heads = {
        "classification": N_CLASSES,
        "cdann": Head(N_CLASSES * N_DOMAINS, reverse=True),
    }
    model = Multitask(Pool(), heads, (0.5,) * 3, (0.2,) * 3)
    losses = make_losses(config, N_DOMAINS)
    view = make_view(config, puzzle.permutation_set(3, 30, 0))
    optimizer = optax.sgd(0.1)
    first = jax.device_get(multitask.init_variables(model, jax.random.key(1), 6))
    state = step_lib.init_state(
        first, optimizer, learner.step_rng(config), None, losses
    )
    update = step_lib.make_update(
        model, optimizer, losses, view, reversal=lambda progress: 0.3
    )
    rng = np.random.default_rng(0)
    stored = {
        "image": rng.integers(0, 256, (len(LABEL), 8, 8, 3), np.uint8),
        "label": np.where(np.arange(len(LABEL)) == 11, -1, LABEL).astype(np.int32),
        "domain": DOMAIN.astype(np.int32),
    }
    params = first["params"]
    memory = jax.device_get(state.memory)
    _, batch = _arrays()

    def total(params, images, memory):
        outputs = model.apply({"params": params}, images, True, reversal=0.3)
        each = optax.softmax_cross_entropy_with_integer_labels(
            outputs["classification"], LABEL
        )
        terms, after = {"classification": each[:-1].mean()}, {}
        for name in names:
            remembered = [memory[name]] if name in memory else []
            value, _, *rest = LOSSES[name].make(config)(outputs, batch, *remembered)
            terms[name] = value[0]
            after |= {name: rest[0]} if rest else {}
        weighted = terms["classification"]
        weighted += 0.5 * sum(terms[name] for name in names)
        return weighted, (terms, after)

    reference = jax.jit(jax.grad(total, has_aux=True))
    for step in range(2):
        now = Now(progress=np.float32(step / 2))
        key = jax.random.fold_in(learner.step_rng(config), step)
        arguments = (jnp.arange(12), stored["image"], stored["domain"], Styling())
        images = jax.jit(view)(key, step / 2, *arguments).images
        grads, (terms, memory) = reference(params, images, memory)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        state, means = update(state, None, Styling(), devices.shard(stored), now)
        for name, value in terms.items():
            found = float(means[f"loss/{name}"].compute())
            assert found == pytest.approx(float(value), rel=1e-4), name
    for ours, expected in ((state.params, params), (state.memory, memory)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
            jax.device_get(ours),
            jax.device_get(expected),
        )


def test_a_memory_is_saved_and_restored(tmp_path):
    losses = make_losses(_config(groupdro=1.0), N_DOMAINS)
    params = {"head_classification": {"kernel": jnp.ones((2, 3))}}
    variables = {"params": params, "batch_stats": {}}
    template = step_lib.init_state(
        variables, optax.sgd(0.1), jax.random.key(0), None, losses
    )
    state = template.replace(
        step=jnp.ones((), jnp.int32), memory={"groupdro": jnp.arange(4.0)}
    )
    measures = {"val/accuracy": 0.5, "target/accuracy": 0.5}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, measures)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(template)
    np.testing.assert_array_equal(restored.memory["groupdro"], np.arange(4))


@pytest.mark.parametrize(("loss", "most"), [("teacher", 0.6), ("distillation", 1.0)])
def test_the_teacher_s_weights_follow_or_stay(loss, most):
    config = _config(**{loss: 2.0})
    config.data.image_size = 6
    config.teacher.momentum = 0.6
    config.diversify.update(name="randconv", p_ordered=(0.5,))
    model = Multitask(Pool(), {"classification": N_CLASSES}, (0.5,) * 3, (0.2,) * 3)
    losses = make_losses(config, N_DOMAINS)
    both = need_both_styles(config)
    view = make_view(config, puzzle.permutation_set(3, 30, 0), both_styles=both)
    optimizer = optax.sgd(0.1)
    first = jax.device_get(multitask.init_variables(model, jax.random.key(1), 6))
    state = step_lib.init_state(
        first, optimizer, learner.step_rng(config), None, losses
    )
    update = step_lib.make_update(model, optimizer, losses, view)
    rng = np.random.default_rng(0)
    stored = {
        "image": rng.integers(0, 256, (len(LABEL), 8, 8, 3), np.uint8),
        "label": LABEL.astype(np.int32),
        "domain": DOMAIN.astype(np.int32),
    }
    expected = first["params"]
    for step in range(3):
        state, means = update(state, None, Styling(), devices.shard(stored), Now())
        keep = min(1 - 1 / (step + 2), most) if most < 1 else 1  # first a plain mean
        student = jax.device_get(state.params)
        expected = jax.tree.map(
            lambda old, new, keep=keep: keep * old + (1 - keep) * new, expected, student
        )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        jax.device_get(state.memory["teacher_weights"]["params"]),
        expected,
    )
    assert float(means[f"loss/{loss}"].compute()) > 0
