"""Dropout in the step: a key for each device and step, the same when repeated."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify.schedule import Styling
from jigsaw_shape.models import ENCODERS, EncoderSpec
from jigsaw_shape.system import devices
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.timetable import Now

N, SIZE = 16, 12


class Dropping(nn.Module):
    """Means of the channels, some of them dropped; no parameters."""

    @nn.compact
    def __call__(self, images, train=False, edit=None):
        """Maps images [B, H, W, 3] to features [B, 48]."""
        repeated = jnp.tile(images.mean((1, 2)), (1, 16))
        return nn.Dropout(0.5, deterministic=not train)(repeated)


def test_each_device_and_step_drops_what_its_key_says(monkeypatch):
    if jax.device_count() != 4:
        pytest.skip("needs 4 devices: --xla_force_host_platform_device_count=4")
    spec = EncoderSpec(lambda **_: Dropping(), stages=(), style_stages=())
    monkeypatch.setitem(ENCODERS, "dropping", spec)
    config = config_lib.default_config()
    config.model.encoder = "dropping"
    config.data.image_size, config.data.stored_px = SIZE, SIZE
    for key in ("brightness", "contrast", "saturation", "hue"):
        config.augment[key] = 0.0
    learner = learner_lib.make_learner(config, n_classes=3)
    # Of one colour, images are what they are whatever is cropped or flipped.
    images = np.full((N, SIZE, SIZE, 3), 51, np.uint8)
    label = np.arange(N, dtype=np.int32) % 3
    batch = {"image": images, "label": label, "domain": np.zeros(N, np.int32)}
    variables = learner_lib.init_variables(config, learner.model, None)
    variables = jax.device_get(variables)  # a step donates what it is given
    optimizer = optax.sgd(0.0)
    update = step_lib.make_update(
        learner.model, optimizer, learner.losses, learner.view
    )

    def step(number):
        rng = learner_lib.step_rng(config)
        state = step_lib.init_state(variables, optimizer, rng, average=None)
        state = state.replace(step=state.step + number)
        _, means = update(state, None, Styling(), devices.shard(batch), Now())
        return float(means["loss/total"].compute())

    def expected(number):
        step_rng = jax.random.fold_in(learner_lib.step_rng(config), number)
        drop_rng = jax.random.fold_in(step_rng, 2**16 + 1)
        losses = []
        for device in range(4):
            part = slice(device * N // 4, (device + 1) * N // 4)
            outputs = learner.model.apply(
                variables,
                jnp.full((N // 4, SIZE, SIZE, 3), 0.2),
                train=True,
                rngs={"dropout": jax.random.fold_in(drop_rng, device)},
            )
            losses.append(
                optax.softmax_cross_entropy_with_integer_labels(
                    outputs["classification"], label[part]
                )
            )
        return float(np.mean(losses))

    assert step(0) == step(0)
    assert abs(step(0) - step(3)) > 1e-4
    for number in (0, 3):
        assert step(number) == pytest.approx(expected(number), rel=1e-4)
