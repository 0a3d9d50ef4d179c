"""The compiled step: uint8 images to an updated state, on every device at once.

The state is one tree that every device holds whole: every value that leaves a step is
summed over the devices first, so all hold the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from clu import metrics
from flax import struct
from jax.ad_checkpoint import checkpoint_name

from jigsaw_shape.models import multitask
from jigsaw_shape.models.multitask import Multitask
from jigsaw_shape.pixels import resampling, shortcuts
from jigsaw_shape.pixels.mixing import Mixed
from jigsaw_shape.system.devices import AXIS, map_devices, replicate
from jigsaw_shape.training.averaging import Average, first_encoder
from jigsaw_shape.training.head_inputs import Reread
from jigsaw_shape.training.losses import Term
from jigsaw_shape.training.sharpness import Sharpness
from jigsaw_shape.training.view import View

# What is folded into a step's key for the features' edits, the encoder's dropout, the
# mixing of images and the heads' inputs: none of the view's splits.
_EDIT, _DROPOUT, _MIX, _REREAD = 2**16, 2**16 + 1, 2**16 + 2, 2**16 + 3

_KEPT = "kept"  # the name of what `remat` keeps

# In the memory, beside what losses remember under their names:
_TEACHER, _FIRST = "teacher_weights", "first_weights"

Batch = Mapping[str, jax.Array]
# (rng, domain int32 [B]) -> edit(stage, features), see `models.encoder`
MakeEdit = Callable[[jax.Array, jax.Array], Callable[[str, jax.Array], jax.Array]]


class TrainState(struct.PyTreeNode):
    """Everything that a run continues from.

    Attributes:
      step: int32 [], batches seen.
      rng: One typed key; step `i` uses `fold_in(rng, i)` and nothing else.
      params: float32 tree.
      batch_stats: Running statistics of BatchNorm; empty without it.
      opt_state: optax's.
      ema: What is evaluated in place of params and batch_stats; empty where they are.
      memory: What is remembered of earlier steps: by losses, under their names, and the
        weights of a teacher or of the start; empty where nothing is.
    """

    step: jax.Array
    rng: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    ema: Any
    memory: Any

    @property
    def variables(self) -> dict[str, Any]:
        """The variables to evaluate: the average where there is one."""
        return self.ema or {"params": self.params, "batch_stats": self.batch_stats}


def init_state(
    variables: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
    rng: jax.Array,
    average: Average | None,
    losses: Mapping[str, Term] | None = None,
) -> TrainState:
    """Returns the state before the first step, placed on every device."""
    params, batch_stats = variables["params"], variables["batch_stats"]
    weights = {"params": params, "batch_stats": batch_stats}
    memory = {
        name: term.memory(params)
        for name, term in (losses or {}).items()
        if term.memory is not None
    }
    if _momentum(losses or {}) is not None:
        memory[_TEACHER] = weights
    if average is not None and average.trained < 1:
        memory[_FIRST] = first_encoder(weights)
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        rng=rng,
        params=params,
        batch_stats=batch_stats,
        opt_state=optimizer.init(params),
        # Donated trees may not share buffers.
        ema=jax.tree.map(jnp.copy, weights) if average is not None else {},
        memory=jax.tree.map(jnp.copy, memory),
    )
    return replicate(state)


def make_update(
    model: Multitask,
    optimizer: optax.GradientTransformation,
    losses: Mapping[str, Term],
    view: View,
    make_edit: MakeEdit | None = None,
    average: Average | None = None,
    reversal: Callable[[jax.Array], jax.Array] | None = None,
    mix: Callable[..., Mixed] | None = None,
    reread: Reread | None = None,
    sharpness: Sharpness | None = None,
    remat: bool = False,
) -> Callable[..., tuple[TrainState, dict[str, metrics.Average]]]:
    """Returns the training step on all devices, compiled at its first call.

    `update(state, bank, styling, batch, now)` donates `state` and returns the next one
    with the means of the step: each term as `loss/NAME`, the weighted sum as
    `loss/total`, each head's accuracy on the same images as `accuracy/NAME`, and the
    lengths of the gradient and of the updated weights with their statistics as
    `norm/...`, each a `clu.metrics.Average` summed over all devices.

    Args:
      model: Its heads carry the names that the losses read.
      optimizer: An optax update rule.
      losses: Terms by name.
      view: The training view of stored images.
      make_edit: `make_edit(rng, domain)` returns what the encoder's features pass
        through between its stages, such as MixStyle; None for nothing.
      average: What the state's `ema` becomes after a step; None where it is not kept.
      reversal: `reversal(progress)` returns how much of a gradient heads reverse that
        do; None for nothing.
      mix: `mix(rng, images)` mixes images and their labels, see `pixels.mixing`; None
        for nothing.
      reread: What heads read in place of the features, see `head_inputs`; None for the
        features.
      sharpness: How the update looks for a flat place; None where it does not.
      remat: Whether only what the encoder's stages return is kept for the way back,
        and the rest is computed again (Chen et al., arXiv 1604.06174).

    Of the arguments of `update`, `bank` is None or uint8 [N, H, W, 3] and `styling` a
    `diversify.schedule.Styling`, both on every device; `batch` holds `label` (-1 where
    there is none) and `domain`, int32 [D, B / D], and either `index`, rows of the bank,
    or `image`, uint8 [D, B / D, H, W, 3]; `now` is the step's row of the run's
    timetable.
    """
    momentum = _momentum(losses)
    optimizer = optax.with_extra_args_support(optimizer)

    def update(state, bank, styling, batch, now):
        step_rng = jax.random.fold_in(state.rng, state.step)
        device = jax.lax.axis_index(AXIS)
        n_local = batch["label"].shape[0]
        seen = view(
            step_rng,
            now.progress,
            device * n_local + jnp.arange(n_local),
            _stored_images(bank, batch),
            batch["domain"],
            styling,
        )
        known = batch["label"] >= 0  # else the image has no label
        batch = {
            "label": jnp.maximum(batch["label"], 0)[seen.stored],
            "domain": batch["domain"][seen.stored],
            "order": seen.orders,
            "styled": seen.styled,
            "for_class": seen.for_class * known[seen.stored],
            "for_puzzle": seen.for_puzzle,
            **seen.asked,
            "twin": n_local + jnp.arange(n_local),
            "natural": seen.natural,
            "stored": seen.stored,
        }

        def device_rng(purpose):
            return jax.random.fold_in(jax.random.fold_in(step_rng, purpose), device)

        images = seen.images
        if mix is not None:
            images, partner, share = mix(device_rng(_MIX), images)
            batch["partner_label"], batch["own_share"] = batch["label"][partner], share
            batch["for_class"] *= batch["for_class"][partner]
        if momentum is not None:
            batch["teacher"] = model.apply(state.memory[_TEACHER], images, train=False)
        rngs = {"dropout": device_rng(_DROPOUT)}
        edit = None
        if make_edit is not None:
            edit = make_edit(device_rng(_EDIT), batch["domain"])
        if remat:
            edit = _kept(edit)

        def loss_fn(params):
            variables = {"params": params, "batch_stats": state.batch_stats}
            outputs, changed = model.apply(
                variables,
                images,
                train=True,
                edit=edit,
                reversal=reversal(now.progress) if reversal else 0.0,
                rngs=rngs,
                mutable=["batch_stats"],
            )
            if seen.tiles is not None:
                solved, statistics = multitask.solve_tiles(
                    model,
                    {"params": params, **changed},
                    seen.tiles,
                    seen.tile_permutations,
                    train=True,
                    edit=_kept(None) if remat else None,
                    rngs=rngs,
                )
                outputs |= solved
                changed = {"batch_stats": statistics or {}}
            if reread is not None:
                outputs = reread(device_rng(_REREAD), params, outputs, batch)
            total, sums, memory = 0.0, {}, dict(state.memory)
            for name, term in losses.items():
                remembered = (memory[name],) if name in memory else ()
                values, mask, *after = term.loss(outputs, batch, *remembered)
                if after:
                    memory[name] = after[0]
                value, count = (values * mask).sum(), jax.lax.psum(mask.sum(), AXIS)
                total += term.weight(now.progress) * value / jnp.maximum(count, 1)
                sums[f"loss/{name}"] = (value, mask.sum())
            return total, (outputs, changed, sums, memory)

        if remat:
            policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
            loss_fn = jax.checkpoint(loss_fn, policy=policy)
        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (total, (outputs, changed, sums, memory)), grads = gradient(state.params)
        grads = jax.lax.psum(grads, AXIS)
        if sharpness is not None:
            second, _ = jax.grad(loss_fn, has_aux=True)(
                sharpness.move(state.params, grads)
            )
            grads = sharpness.join(grads, jax.lax.psum(second, AXIS))
        updates, opt_state = optimizer.update(
            grads,
            state.opt_state,
            state.params,
            learning_rate=now.learning_rate,
            encoder_moves=now.encoder_moves,
        )
        params = optax.apply_updates(state.params, updates)
        batch_stats = changed.get("batch_stats", state.batch_stats)
        current = {"params": params, "batch_stats": batch_stats}
        if momentum is not None and momentum < 1:
            keep = jnp.minimum(1 - 1 / (state.step + 2), momentum)
            memory[_TEACHER] = optax.incremental_update(
                current, memory[_TEACHER], 1 - keep
            )
        ema = state.ema
        if average is not None:
            ema = average.after(ema, current, memory.get(_FIRST), now.average_rate)

        sums |= _accuracies(losses, outputs, batch)
        means = {
            name: metrics.Average(*jax.lax.psum(pair, AXIS))
            for name, pair in sums.items()
        }
        one = jnp.ones(())
        means["loss/total"] = metrics.Average(jax.lax.psum(total, AXIS), one)
        means["norm/gradient"] = metrics.Average(optax.tree.norm(grads), one)
        weights = (params, batch_stats)
        means["norm/weights"] = metrics.Average(optax.tree.norm(weights), one)
        state = state.replace(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            ema=ema,
            memory=memory,
        )
        return state, means

    return map_devices(update, (None, None, None, 0, None), donate=(0,))


def _kept(edit):
    """Returns `edit`, after which each stage's features are kept for the way back."""

    def keep(stage, features):
        features = features if edit is None else edit(stage, features)
        return checkpoint_name(features, _KEPT)

    return keep


def _momentum(losses: Mapping[str, Term]) -> float | None:
    """Returns what the losses' one teacher keeps of its weights; None without one."""
    found = [term.momentum for term in losses.values() if term.momentum is not None]
    return found[0] if found else None


def _stored_images(bank, batch: Batch) -> jax.Array:
    return batch["image"] if bank is None else bank[batch["index"]]


def _accuracies(losses, outputs, batch) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Returns (hits, examples) of each head, perhaps by kind of image."""
    ordered = (batch["puzzle_order"] == 0).astype(jnp.float32)
    sums = {}
    for name, term in losses.items():
        if term.hits is None:
            continue
        hits = term.hits(outputs, batch).astype(jnp.float32)
        kinds = {"": batch["for_class"]}
        if term.by_order:
            asked = batch["puzzle_counts"]
            kinds = {"_ordered": ordered * asked, "_shuffled": (1 - ordered) * asked}
        for kind, mask in kinds.items():
            sums[f"accuracy/{name}{kind}"] = ((hits * mask).sum(), mask.sum())
    return sums


def make_predict(
    model: Multitask,
    size_px: int,
    grid: int = 0,
    permutations: np.ndarray | None = None,
    close_shortcuts: Callable[[jax.Array], jax.Array] | None = None,
) -> Callable[..., dict[str, jax.Array]]:
    """Returns the prediction on all devices of whole, resized, perhaps shuffled images.

    `predict(variables, bank, batch)` returns the model's outputs for all B images on
    every device: `features` [B, F] and each head's logits [B, n], float32. `batch`
    holds `index` or `image` as in `make_update`, where images may be float32 in [0, 1]
    too, and perhaps `order`, int32 [D, B / D]: without it nothing is cut or shuffled,
    and `grid` and `permutations` are not needed. `close_shortcuts` changes the tiles
    [B, T, h, w, 3] of shuffled images, as in training.
    """

    def predict(variables, bank, batch):
        asked = (resampling.resize(_stored_images(bank, batch), size_px),)
        if "order" in batch:
            asked = shortcuts.as_puzzles(
                *asked, grid, batch["order"], permutations, close_shortcuts
            )
        outputs = multitask.answer(model, variables, *asked)
        return jax.lax.all_gather(outputs, AXIS, tiled=True)

    return map_devices(predict, (None, None, 0))
