"""The training step on four devices against plain JAX on one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from small_store import store_of

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify import feature_styles
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.models import multitask
from jigsaw_shape.models.batch_norm import BatchNorm
from jigsaw_shape.models.encoder import Encoder
from jigsaw_shape.models.layers import Conv
from jigsaw_shape.models.multitask import Multitask
from jigsaw_shape.pixels import puzzle, resampling
from jigsaw_shape.system import devices
from jigsaw_shape.training import averaging, learner
from jigsaw_shape.training import predict as predict_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.losses import Sizes, make_heads, make_losses
from jigsaw_shape.training.timetable import Now
from jigsaw_shape.training.view import make_view

N, STORED, SIZE, N_CLASSES = 16, 20, 18, 3
LR, N_STEPS = 0.05, 11


class TinyEncoder(Encoder):
    """Two convolutions with a BatchNorm that can be synchronized."""

    @nn.compact
    def __call__(self, images, train, edit=None):
        """Maps images [B, H, W, 3] to features [B, 8]."""
        x = Conv(8, 3, 2)(images)
        x = self.leave("early", x, edit)
        x = BatchNorm(axis_name=self.norm_axis)(x, train)
        x = Conv(8, 3, 2)(jnp.tanh(x))  # smooth: at a kink rounding decides
        return x.mean((1, 2))


def _config(**fields):
    config = config_lib.default_config()
    config.data.image_size = SIZE
    config.data.stored_px = STORED
    config.losses.jigsaw = 0.7
    config.jigsaw.bias_whole_image = 0.4
    with config.unlocked():
        config.update_from_flattened_dict(fields)
    return config


def _model(norm_axis):
    return Multitask(
        encoder=TinyEncoder(norm_axis=norm_axis),
        heads={"classification": N_CLASSES, "jigsaw": 31},
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.2),
    )


def _batch(n=N):
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (n, STORED, STORED, 3), np.uint8),
        "label": rng.integers(0, N_CLASSES, n).astype(np.int32),
        "domain": np.zeros(n, np.int32),
    }


def _start(config, average=None, make_edit=None, remat=False):
    permutations = puzzle.permutation_set(3, 30, 0)
    view = make_view(config, permutations)
    model = _model(devices.AXIS)
    optimizer = optax.sgd(LR)
    variables = multitask.init_variables(model, jax.random.key(1), SIZE)
    state = step_lib.init_state(variables, optimizer, learner.step_rng(config), average)
    update = step_lib.make_update(
        model,
        optimizer,
        make_losses(config),
        view,
        make_edit=make_edit,
        average=average,
        remat=remat,
    )
    return state, update, view, permutations


def _reference_step(config, view, variables, batch, step, make_edit=None):
    """Returns the step's result, stated without pmap: one batch, one mean a term."""

    def edit(stage, features):
        # A device sees its own quarter of the batch, under its own key.
        edit_rng = jax.random.fold_in(step_rng, 2**16)
        parts = [
            make_edit(jax.random.fold_in(edit_rng, device), domain)(stage, part)
            for device, (part, domain) in enumerate(
                zip(
                    jnp.split(features, 4),
                    jnp.split(jnp.asarray(batch["domain"]), 4),
                    strict=True,
                )
            )
        ]
        return jnp.concatenate(parts)

    step_rng = jax.random.fold_in(learner.step_rng(config), step)
    seen = view(
        step_rng,
        step / (N_STEPS - 1),
        jnp.arange(N),
        batch["image"],
        batch["domain"],
        Styling(),
    )
    images, orders = seen.images, seen.orders

    def loss_fn(params):
        outputs, changed = _model(None).apply(
            variables | {"params": params},
            images,
            True,
            edit=edit if make_edit else None,
            mutable=["batch_stats"],
        )
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels
        classes = cross_entropy(outputs["classification"], batch["label"])
        counts = (orders == 0) | config.jigsaw.classify_shuffled
        terms = {
            "loss/classification": (classes * counts).sum() / counts.sum(),
            "loss/jigsaw": cross_entropy(outputs["jigsaw"], orders).mean(),
        }
        total = terms["loss/classification"] + 0.7 * terms["loss/jigsaw"]
        return total, (terms | {"loss/total": total}, changed)

    gradient = jax.grad(loss_fn, has_aux=True)
    grads, (terms, changed) = gradient(variables["params"])
    params = jax.tree.map(lambda p, g: p - LR * g, variables["params"], grads)
    return {"params": params, **changed}, terms, orders


@pytest.mark.parametrize("classify_shuffled", [True, False])
def test_four_devices_make_the_update_of_the_whole_batch(classify_shuffled):
    assert jax.device_count() == 4
    config = _config(**{"jigsaw.classify_shuffled": classify_shuffled})
    state, update, view, _ = _start(config)
    expected = jax.device_get(state.variables)
    batch = _batch()
    for step in range(3):
        expected, terms, orders = _reference_step(config, view, expected, batch, step)
        now = Now(progress=np.float32(step / (N_STEPS - 1)))
        state, means = update(state, None, Styling(), devices.shard(batch), now)
        for name, value in terms.items():
            assert float(means[name].compute()) == pytest.approx(float(value), rel=1e-5)
        n_ordered = int((orders == 0).sum())
        assert means["accuracy/jigsaw_ordered"].count == n_ordered
        assert means["accuracy/jigsaw_shuffled"].count == N - n_ordered
    assert int(state.step) == 3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6),
        dict(state.variables),
        dict(expected),
    )


@pytest.mark.parametrize("mix", ["random", "crossdomain"])
def test_mixstyle_mixes_within_each_device_s_shard(mix):
    config = _config()
    config.mixstyle.update(mix=mix, p=1.0, alpha=2.0)
    make_edit = feature_styles.make_edit(config.mixstyle, ("early",))
    state, update, view, _ = _start(config, make_edit=make_edit)
    before = jax.device_get(state.variables)
    batch = _batch() | {"domain": np.arange(N, dtype=np.int32) % 3}
    plain, _, _ = _reference_step(config, view, before, batch, 0)
    expected, _, _ = _reference_step(config, view, before, batch, 0, make_edit)
    state, _ = update(state, None, Styling(), devices.shard(batch), Now())
    kernels = [
        np.asarray(tree["params"]["encoder"]["Conv_1"]["kernel"])
        for tree in (state.variables, expected, plain)
    ]
    np.testing.assert_allclose(kernels[0], kernels[1], atol=2e-6)
    assert np.abs(kernels[0] - kernels[2]).max() > 1e-4


@pytest.mark.parametrize("domains", ["source", "style"])
def test_pairs_and_a_reversed_head_are_the_same_on_four_devices(domains):
    config = _config(
        **{
            "losses.jigsaw": 0.0,
            "losses.consistency": 0.5,
            "losses.domain": 0.3,
            "dann.domains": domains,
            "diversify.name": "randconv",  # an image changes by its own key alone
            "diversify.p_ordered": (0.6,),
            "diversify.p_shuffled": (0.6,),
        }
    )
    n_domains = 3
    permutations = puzzle.permutation_set(3, 30, 0)
    heads = make_heads(config, Sizes(N_CLASSES, permutations, n_domains))
    heads["domain"] = dataclasses.replace(heads["domain"], hidden=(6,))
    view = make_view(config, permutations, both_styles=True)

    def model(norm_axis):
        encoder = TinyEncoder(norm_axis=norm_axis)
        return Multitask(encoder, heads, (0.5,) * 3, (0.2,) * 3)

    def reversal(progress):
        return 0.2 + progress

    losses = make_losses(config)
    optimizer = optax.sgd(LR)
    # In host memory: the update donates what it is given.
    first = jax.device_get(
        multitask.init_variables(model(devices.AXIS), jax.random.key(1), SIZE)
    )
    state = step_lib.init_state(first, optimizer, learner.step_rng(config), None)
    update = step_lib.make_update(
        model(devices.AXIS), optimizer, losses, view, reversal=reversal
    )
    batch = _batch() | {"domain": np.arange(N, dtype=np.int32) % n_domains}
    state, means = update(state, None, Styling(), devices.shard(batch), Now())

    seen = view(
        jax.random.fold_in(learner.step_rng(config), 0),
        0.0,
        jnp.arange(N),
        batch["image"],
        batch["domain"],
        Styling(),
    )
    assert len(seen.images) == 2 * N
    label, domain = np.tile(batch["label"], 2), np.tile(batch["domain"], 2)
    domain = seen.styled.astype(int) if domains == "style" else domain
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels

    def loss_fn(params):
        outputs, _ = model(None).apply(
            first | {"params": params},
            seen.images,
            True,
            reversal=0.2,
            mutable=["batch_stats"],
        )
        log_p = jax.nn.log_softmax(outputs["classification"])
        p, differs = jnp.exp(log_p), seen.styled[:N]
        apart = ((p[:N] - p[N:]) * (log_p[:N] - log_p[N:])).sum(-1) / 2
        terms = {
            "loss/classification": cross_entropy(log_p, label).mean(),
            "loss/domain": cross_entropy(outputs["domain"], domain).mean(),
            "loss/consistency": (apart * differs).sum() / differs.sum(),
        }
        hits = (outputs["domain"].argmax(-1) == domain).mean()
        total = (
            terms["loss/classification"]
            + 0.3 * terms["loss/domain"]
            + 0.5 * terms["loss/consistency"]
        )
        return total, terms | {"loss/total": total, "accuracy/domain": hits}

    grads, terms = jax.grad(loss_fn, has_aux=True)(first["params"])
    assert 0 < int(seen.styled.sum()) < N
    assert float(terms["loss/consistency"]) > 0
    for name, value in terms.items():
        assert float(means[name].compute()) == pytest.approx(float(value), rel=1e-4)
    expected = jax.tree.map(lambda p, g: p - LR * g, first["params"], grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6),
        jax.device_get(state.params),
        jax.device_get(expected),
    )


def test_every_device_holds_the_same_state():
    state, update, _, _ = _start(_config())
    state, _ = update(state, None, Styling(), devices.shard(_batch()), Now())
    for leaf in jax.tree.leaves(state.variables):
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == 4
        assert all((copy == copies[0]).all() for copy in copies)


def test_images_from_the_bank_are_images_of_the_batch():
    batch = _batch()
    bank = devices.replicate(jnp.asarray(batch["image"][::-1].copy()))
    by_index = {**batch, "index": np.arange(N - 1, -1, -1, dtype=np.int32)}
    del by_index["image"]
    results = []
    for images, given in ((None, batch), (bank, by_index)):
        state, update, _, _ = _start(_config())
        state, _ = update(state, images, Styling(), devices.shard(given), Now())
        results.append(jax.device_get(state.params))
    jax.tree.map(np.testing.assert_array_equal, *results)


def test_under_shard_map_a_step_and_a_prediction_are_the_same(monkeypatch):
    found = []
    for mapping in ("pmap", "shard_map"):
        monkeypatch.setattr(devices, "MAPPED_BY", mapping)
        state, update, _, permutations = _start(_config())
        given = (None, Styling(), devices.shard(_batch()), Now())
        jax.eval_shape(update, state, *given)  # looking needs no data
        assert update.lower(state, *given).as_text()
        predict = step_lib.make_predict(_model(None), SIZE, 3, permutations)
        for _ in range(2):
            batch = devices.shard(_batch())
            state, means = update(state, None, Styling(), batch, Now())
        order = np.arange(N, dtype=np.int32)
        asked = devices.shard({"image": _batch()["image"], "order": order})
        answers = predict(state.variables, None, asked)
        found.append(jax.device_get((state.variables, means, answers)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found
    )


def test_what_is_computed_again_on_the_way_back_is_the_same():
    def make_edit(rng, domain):
        noise = jax.random.uniform(rng, domain.shape)[:, None, None, None]
        return lambda stage, x: x * (1 + noise)

    found, convolutions = [], []
    for remat in (False, True):
        state, update, _, _ = _start(_config(), make_edit=make_edit, remat=remat)
        given = (None, Styling(), devices.shard(_batch()), Now())
        program = str(jax.make_jaxpr(update)(state, *given))
        convolutions.append(program.count("conv_general_dilated["))
        state, means = update(state, *given)
        found.append(jax.device_get((state.variables, means)))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *found
    )
    assert convolutions[1] > convolutions[0]


def test_ema_follows_the_weights():
    state, update, _, _ = _start(_config(), averaging.Average())
    before = jax.device_get(state.ema)
    now = Now(average_rate=np.float32(0.1))
    state, _ = update(state, None, Styling(), devices.shard(_batch()), now)
    after = {"params": state.params, "batch_stats": state.batch_stats}
    expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before, after)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), state.ema, expected
    )
    assert state.variables is state.ema


def test_steps_differ_and_repeat_from_the_same_state():
    batch = devices.shard(_batch())
    runs = []
    for _ in range(2):
        state, update, _, _ = _start(_config())
        losses = []
        for _ in range(2):
            state, means = update(state, None, Styling(), batch, Now())
            losses.append(float(means["loss/jigsaw"].compute()))
        runs.append(losses)
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[0][1]


@pytest.mark.parametrize("n", [1, 5, 8])
def test_predictions_are_those_of_the_model_for_any_number_of_images(n):
    permutations = puzzle.permutation_set(3, 30, 0)
    model = _model(devices.AXIS)
    variables = multitask.init_variables(model, jax.random.key(1), SIZE)
    predict = step_lib.make_predict(model, SIZE, 3, permutations)
    predict_fn = predict_lib.make_predict_fn(predict, devices.replicate(variables))
    images = _batch(n)["image"]
    orders = np.arange(n, dtype=np.int32)
    ours = predict_lib.predict_all(
        predict_fn, store_of(images), np.arange(n), batch_size=8, orders=orders
    )

    tiles = puzzle.cut_tiles(resampling.resize(images, SIZE), 3)
    tiles = puzzle.shuffle_tiles(tiles, orders, permutations)
    expected = model.apply(variables, puzzle.join_tiles(tiles), False)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert ours[name].shape == value.shape
        np.testing.assert_allclose(ours[name], value, atol=1e-5)


def test_unknown_loss_is_refused():
    config = config_lib.default_config()
    config.losses.jigsw = 1.0
    with pytest.raises(ValueError, match=r"jigsw.*classification, jigsaw"):
        make_losses(config)
