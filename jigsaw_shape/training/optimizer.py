"""Optimizers and learning rates by name, from optax."""

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from ml_collections import ConfigDict


def learning_rate(config: ConfigDict, n_steps: int) -> optax.Schedule:
    """Returns the learning rate over `n_steps`: step -> float.

    `config.optim.warmup` of the run rises linearly from 0, all but the last step at
    most; `step` multiplies by `step_factor` at each share `step_at` of the whole run;
    `cosine` would be 0 at the step after the last.
    """
    optim = config.optim
    n_warmup = min(round(optim.warmup * n_steps), n_steps - 1)
    if optim.schedule == "cosine":
        after = optax.cosine_decay_schedule(optim.lr, max(n_steps - n_warmup, 1))
    elif optim.schedule == "step":
        drops = {}
        for share in optim.step_at:
            at = round(share * n_steps)
            drops[at] = drops.get(at, 1.0) * optim.step_factor
        whole = optax.piecewise_constant_schedule(optim.lr, drops)

        def after(step):
            return whole(step + n_warmup)
    else:
        after = optax.constant_schedule(optim.lr)
    if n_warmup == 0:
        return after
    rise = optax.linear_schedule(0.0, optim.lr, n_warmup)
    return optax.join_schedules([rise, after], [n_warmup])


def make_optimizer(config: ConfigDict) -> optax.GradientTransformationExtraArgs:
    """Returns the update rule of `config.optim`.

    Its `update` takes `learning_rate` and `encoder_moves`, float32 [], see
    `timetable.Now`; where the latter is 0 the encoder's weights stay.

    `sgd` adds the decay to the gradient before momentum (PyTorch's SGD); `adamw`
    decouples it. `accumulate` steps share an update, that of the mean of their
    gradients; steps that are left over at the end make none.
    """
    optim = config.optim
    decay = optax.add_decayed_weights(
        optim.weight_decay, _is_kernel if optim.decay_kernels_only else None
    )
    if optim.name == "adamw":
        rule = optax.chain(optax.scale_by_adam(), decay, _scale_by_learning_rate())
    else:
        momentum = optax.identity()
        if optim.momentum:
            momentum = optax.trace(optim.momentum, optim.nesterov)
        rule = optax.chain(decay, optax.chain(momentum, _scale_by_learning_rate()))
    if optim.heads_first:
        # Moments are of all gradients: had the held ones been 0 in them, Adam's first
        # updates afterwards would be several times too large.
        rule = optax.chain(_count(), rule, _hold_encoder())
    if optim.accumulate == 1:
        return rule
    shared = optax.MultiSteps(rule, optim.accumulate)
    return optax.GradientTransformationExtraArgs(shared.init, shared.update)


# Nothing reads the counts that these three keep. They stay because checkpoints of
# earlier versions hold them, and those runs go on.


def _scale_by_learning_rate() -> optax.GradientTransformationExtraArgs:
    def init(params):
        del params
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32))

    def update(updates, state, params=None, *, learning_rate, **others):
        del params, others
        updates = jax.tree.map(lambda u: -learning_rate * u, updates)
        return updates, optax.ScaleByScheduleState(state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def _count() -> optax.GradientTransformation:
    return optax.GradientTransformation(
        lambda params: jnp.zeros((), jnp.int32),
        lambda updates, count, params=None: (updates, count + 1),
    )


def _hold_encoder() -> optax.GradientTransformationExtraArgs:
    def init(params):
        del params
        return jnp.zeros((), jnp.int32)

    def update(updates, count, params=None, *, encoder_moves, **others):
        del params, others
        encoder = jax.tree.map(lambda u: encoder_moves * u, updates["encoder"])
        return {**updates, "encoder": encoder}, count + 1

    return optax.GradientTransformationExtraArgs(init, update)


def _is_kernel(params) -> dict:
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({path: path[-1] == "kernel" for path in flat})
