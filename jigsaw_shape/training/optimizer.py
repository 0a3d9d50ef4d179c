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


def make_optimizer(config: ConfigDict, n_steps: int) -> optax.GradientTransformation:
    """Returns the update rule of `config.optim` for a run of `n_steps`.

    `sgd` adds the decay to the gradient before momentum (PyTorch's SGD); `adamw`
    decouples it. In the share `heads_first` of the run the encoder's weights stay.
    `accumulate` steps share an update, that of the mean of their gradients, at the
    learning rate of the first of them; steps that are left over at the end make none.
    """
    optim = config.optim
    of_step = learning_rate(config, n_steps)

    def lr(update):
        return of_step(update * optim.accumulate)

    mask = _is_kernel if optim.decay_kernels_only else None
    if optim.name == "adamw":
        rule = optax.adamw(lr, weight_decay=optim.weight_decay, mask=mask)
    else:
        rule = optax.chain(
            optax.add_decayed_weights(optim.weight_decay, mask),
            optax.sgd(lr, momentum=optim.momentum or None, nesterov=optim.nesterov),
        )
    n_held = round(optim.heads_first * n_steps / optim.accumulate)
    if n_held:
        rule = optax.chain(_hold(n_held), rule, _hold(n_held))
    if optim.accumulate == 1:
        return rule
    return optax.MultiSteps(rule, optim.accumulate).gradient_transformation()


def _hold(n_steps: int) -> optax.GradientTransformation:
    """Returns what sets the encoder's updates to 0 in the first `n_steps`."""

    def update(updates, step, params=None):
        del params
        moving = step >= n_steps
        encoder = jax.tree.map(lambda u: jnp.where(moving, u, 0), updates["encoder"])
        return {**updates, "encoder": encoder}, step + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), int), update)


def _is_kernel(params) -> dict:
    flat = traverse_util.flatten_dict(params)
    return traverse_util.unflatten_dict({path: path[-1] == "kernel" for path in flat})
