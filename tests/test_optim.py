"""Update rules against plain NumPy, schedules against their statements."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jigsaw_shape.config import default_config
from jigsaw_shape.training import optimizer as optimizer_lib
from jigsaw_shape.training.sharpness import make_sharpness
from jigsaw_shape.training.timetable import RunLength, make_timetable


def _config(**fields):
    config = default_config()
    config.optim.update(fields)
    return config


def _run(config, n_steps, gradients, params):
    optimizer = optimizer_lib.make_optimizer(config)
    length = RunLength(n_steps, n_steps, frozenset({n_steps}))
    timetable = make_timetable(config, length)
    state = optimizer.init(params)
    for step, gradient in enumerate(gradients):
        now = timetable.at(step)._asdict()
        updates, state = optimizer.update(gradient, state, params, **now)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_pytorchs(nesterov):
    config = _config(
        lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov, schedule="constant"
    )
    gradients = np.random.default_rng(0).normal(size=(5, 3))
    p, buffer = np.ones(3), np.zeros(3)
    for gradient in gradients:
        g = gradient + 0.01 * p
        buffer = 0.9 * buffer + g
        p = p - 0.1 * (g + 0.9 * buffer if nesterov else buffer)
    tree = {"layer": {"kernel": jnp.ones(3)}}
    steps = [{"layer": {"kernel": jnp.asarray(g)}} for g in gradients]
    ours = _run(config, 5, steps, tree)
    np.testing.assert_allclose(ours["layer"]["kernel"], p, rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_batches_that_share_an_update_are_one_larger_batch(name):
    rng = np.random.default_rng(0)
    tree = {"encoder": {"kernel": jnp.ones(3)}, "head_classification": jnp.ones(2)}
    gradients = [
        jax.tree.map(lambda p: jnp.asarray(rng.normal(size=p.shape)), tree)
        for _ in range(9)
    ]
    means = [
        jax.tree.map(lambda *g: sum(g) / 3, *gradients[i : i + 3]) for i in (0, 3, 6)
    ]
    fields = {"name": name, "lr": 0.1, "heads_first": 0.34}
    fields["schedule"] = "cosine"
    whole = _run(_config(**fields), 3, means, tree)
    parts = _run(_config(**fields, accumulate=3), 9, gradients, tree)
    left_over = _run(_config(**fields, accumulate=3), 9, gradients[:8], tree)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), whole, parts)
    two = _run(_config(**fields), 3, means[:2], tree)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), two, left_over
    )


def test_an_encoder_that_was_held_moves_by_the_learning_rate():
    config = _config(name="adamw", weight_decay=0, heads_first=0.5, schedule="constant")
    tree = {"encoder": jnp.ones(3), "head_classification": jnp.ones(2)}
    ones = [jax.tree.map(jnp.ones_like, tree)] * 6
    moved = _run(config, 10, ones, tree)  # the first of five free steps
    lr = config.optim.lr
    np.testing.assert_allclose(moved["encoder"], 1 - lr, rtol=1e-5)
    np.testing.assert_allclose(moved["head_classification"], 1 - 6 * lr, rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_decay_can_spare_biases_and_norms(name):
    config = _config(name=name, weight_decay=0.1, decay_kernels_only=True)
    tree = {"bn": {"scale": jnp.ones(2)}, "fc": {"kernel": jnp.ones(2)}}
    still = jax.tree.map(jnp.zeros_like, tree)
    after = _run(config, 3, [still] * 3, tree)
    np.testing.assert_array_equal(after["bn"]["scale"], 1)
    assert (after["fc"]["kernel"] < 1).all()


def test_step_schedule_drops_at_its_shares_of_the_run():
    config = _config(lr=1.0, schedule="step", step_at=(0.5, 0.8), step_factor=0.1)
    lr = optimizer_lib.learning_rate(config, 100)
    at = [float(lr(step)) for step in (0, 49, 51, 79, 81, 99)]
    np.testing.assert_allclose(at, [1, 1, 0.1, 0.1, 0.01, 0.01], rtol=1e-5)


def test_drops_that_fall_on_one_step_both_count():
    config = _config(lr=1.0, schedule="step", step_at=(0.8, 0.82), step_factor=0.1)
    lr = optimizer_lib.learning_rate(config, 20)
    np.testing.assert_allclose([float(lr(15)), float(lr(17))], [1, 0.01], rtol=1e-5)


@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_warmup_rises_linearly_and_joins(schedule):
    config = _config(lr=2.0, schedule=schedule, warmup=0.1)
    lr = optimizer_lib.learning_rate(config, 100)
    np.testing.assert_allclose([float(lr(s)) for s in (0, 5, 10)], [0, 1, 2], rtol=1e-6)
    end = {"step": 0.2, "cosine": 0.0, "constant": 2.0}[schedule]
    assert float(lr(100)) == pytest.approx(end, abs=1e-6)


def test_step_schedule_with_warmup_drops_where_it_does_without():
    plain = optimizer_lib.learning_rate(_config(schedule="step"), 100)
    warm = optimizer_lib.learning_rate(_config(schedule="step", warmup=0.2), 100)
    for step in (30, 79, 81, 99):
        assert float(plain(step)) == pytest.approx(float(warm(step)))


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_warmup_never_takes_the_whole_run(n_steps):
    lr = optimizer_lib.learning_rate(
        _config(lr=2.0, schedule="constant", warmup=1.0), n_steps
    )
    assert float(lr(n_steps - 1)) == 2


@pytest.mark.parametrize("name", ["sam", "sagm"])
def test_the_second_gradient_is_taken_at_a_worse_place(name):
    optim = _config(sharpness=name, sharpness_rho=0.2, sharpness_alpha=0.5).optim
    scale = np.array([1.0, 4.0])  # of the loss sum(scale x^2) / 2
    params, first = {"x": jnp.array([1.0, -1.0])}, {"x": jnp.array(scale * [1, -1])}
    alpha = 0.5 if name == "sagm" else 0.0
    norm = np.sqrt(17)
    there = np.array([1.0, -1.0]) + (0.2 / norm - alpha) * np.array([1.0, -4.0])
    sharpness = make_sharpness(optim)
    moved = sharpness.move(params, first)
    np.testing.assert_allclose(moved["x"], there, rtol=1e-5)
    joined = sharpness.join(first, {"x": scale * moved["x"]})["x"]
    second = scale * there
    expected = second if name == "sam" else (np.array([1.0, -4.0]) + second) / 2
    np.testing.assert_allclose(joined, expected, rtol=1e-5)
    still = sharpness.move(params, jax.tree.map(jnp.zeros_like, params))
    np.testing.assert_array_equal(still["x"], params["x"])


def test_without_sharpness_there_is_one_gradient():
    assert make_sharpness(_config().optim) is None


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_heads_train_alone_at_first(name):
    config = _config(name=name, heads_first=0.4, lr=0.1, weight_decay=0.1)
    tree = {"encoder": {"kernel": jnp.ones(2)}, "head": {"kernel": jnp.ones(2)}}
    after = [_run(config, 5, [tree] * n, tree) for n in (2, 3)]
    np.testing.assert_array_equal(after[0]["encoder"]["kernel"], 1)
    assert (after[0]["head"]["kernel"] < 1).all()
    assert (after[1]["encoder"]["kernel"] < 1).all()
