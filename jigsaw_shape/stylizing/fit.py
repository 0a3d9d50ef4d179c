"""Fits a stylizer: the decoder of a VGG, or a slim pair that learns from one.

Huang & Belongie, ICCV 2017, section 5. The losses are measured by a frozen VGG.

At width 1 the VGG is also the pair's encoder, and only the decoder is trained, as in
the paper. Below 1 the pair has that share of VGG's width, is smaller and faster by its
square, and both networks are trained, at every alpha: the losses then ask for features
and moments between the content's and the style's.
"""

import dataclasses
import functools
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import serialization

from jigsaw_shape.diversify import adain, stylizer_files
from jigsaw_shape.diversify.adain import Pair, Stages
from jigsaw_shape.stylizing import objective
from jigsaw_shape.stylizing.crops import random_crop
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.dataclass_flags import flag, refuse_unless

_SAVE_EVERY = 100  # steps
_LOG_EVERY = 20  # steps
_N_NORMALIZING = 64  # crops that VGG's features are scaled on


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a stylizer is fitted; each field is a flag of the command, with its help."""

    width: float = flag(1.0, "share of VGG's channels; 1 keeps VGG as the encoder")
    depth: int = flag(
        4,
        "stages of VGG, for the measure and the pair: 4 is the paper's relu4_1; 3, "
        "relu3_1, changes less of a style's larger forms",
    )
    n_reconstruct: int = flag(
        0,
        "updates at first in which the pair only learns to give back images, pixel by "
        "pixel: many times as fast, and where a slim pair begins",
    )
    n_steps: int = flag(160_000, "updates, those included")
    batch_size: int = flag(8, "pairs of content and style a step")
    crop_px: int = flag(256, "side of the random crops")
    lr: float = flag(
        1e-4, "Adam's, after a warm-up over a fiftieth; a cosine brings it to 0"
    )
    content_weight: float = flag(1.0, "weight of the content loss")
    style_weight: float = flag(10.0, "weight of the style loss")
    seed: int = flag(0, "decides initial weights and every crop")

    def __post_init__(self):
        """Refuses what cannot work, with a `ValueError`."""
        fewest = f"0 or more, below --n-steps, which is {self.n_steps},"
        refuse_unless(
            self,
            {
                "width": (0 < self.width <= 1, "above 0, at most 1"),
                "depth": (2 <= self.depth <= 4, "2, 3 or 4"),
                "n_steps": (self.n_steps > 0, "above 0"),
                "n_reconstruct": (0 <= self.n_reconstruct < self.n_steps, fewest),
                "batch_size": (self.batch_size > 0, "above 0"),
                "crop_px": (self.crop_px >= 32, "32 or more"),
                "lr": (self.lr > 0, "above 0"),
                "content_weight": (self.content_weight >= 0, "0 or more"),
                "style_weight": (self.style_weight >= 0, "0 or more"),
                "seed": (self.seed >= 0, "0 or more"),
            },
        )


@dataclasses.dataclass(frozen=True)
class Task:
    """What is fitted to: images uint8 [H, W, 3] of any size, and the measure."""

    contents: Sequence[np.ndarray]
    styles: Sequence[np.ndarray]
    vgg: Stages
    settings: Settings

    def crops(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the step's contents and styles: uint8 [B, S, S, 3] each."""
        rng = np.random.default_rng((self.settings.seed, step))
        n, size_px = self.settings.batch_size, self.settings.crop_px

        def draw(pool):
            chosen = rng.integers(len(pool), size=n)
            return np.stack([random_crop(rng, pool[i], size_px) for i in chosen])

        return draw(self.contents), draw(self.styles)


def fit(
    task: Task,
    out: Path,
    about: dict,
    on_log: Callable[[dict], None],
    on_save: Callable[[Pair, int], None],
) -> Pair:
    """Returns the fitted pair, after writing it to `out`; continues what was stopped.

    Beside `out` lie `.jsonl`, a row of losses every 20 steps, and, while it is
    unfinished, `.state`, from which a second call goes on exactly.

    Args:
      task: Images, measure and settings.
      out: The `.npz` to write.
      about: What the file says of its training; the losses are added.
      on_log: Called with each row.
      on_save: Called with the pair and the step at every tenth of the run.

    Raises:
      ValueError: A state lies there that was begun with other settings.
    """
    settings = task.settings
    normalizing = dataclasses.replace(settings, batch_size=_N_NORMALIZING)
    first, _ = dataclasses.replace(task, settings=normalizing).crops(0)
    vgg = objective.truncate(task.vgg, settings.depth)
    vgg = jax.jit(objective.normalize)(vgg, first / np.float32(255))
    rng = jax.random.key(settings.seed)
    pair = objective.init_pair(rng, vgg, settings.width)
    trained = pair._asdict() if settings.width < 1 else {"decoder": pair.decoder}
    optimizers = [
        _optimizer(settings.lr, n)
        for n in (settings.n_reconstruct, settings.n_steps - settings.n_reconstruct)
    ]
    optimizer = optimizers[0 if settings.n_reconstruct else 1]
    state = {"step": 0, "trained": trained, "optimizer": optimizer.init(trained)}
    state_path, log_path = out.with_suffix(".state"), out.with_suffix(".jsonl")
    begun = json.dumps(about, sort_keys=True)
    if state_path.exists():
        stored = serialization.msgpack_restore(state_path.read_bytes())
        if stored.pop("about") != begun:
            raise ValueError(
                f"{state_path} was begun with other images or settings: delete it, or "
                "choose another --out"
            )
        state = serialization.from_state_dict(state, stored)
    _drop_rows(log_path, state["step"])
    reconstruct, update = (
        jax.jit(
            functools.partial(_update, optimizer, functools.partial(loss, settings)),
            donate_argnums=(0, 1),
        )
        for optimizer, loss in zip(
            optimizers, (_reconstruction, _stylization), strict=True
        )
    )
    since = time.perf_counter()
    trained, opt_state, sums = state["trained"], state["optimizer"], []

    def save(step):
        stored = {"step": step, "trained": trained, "optimizer": opt_state}
        stored = jax.device_get(serialization.to_state_dict(stored)) | {"about": begun}
        with whole_files.replacing(state_path) as partial:
            partial.write_bytes(serialization.msgpack_serialize(stored))

    for step in range(state["step"], settings.n_steps):
        contents, styles = task.crops(step + 1)
        step_rng = jax.random.fold_in(rng, step + 1)
        if step == settings.n_reconstruct > 0:  # its gradients are of another size
            opt_state = optimizers[1].init(trained)
        train = reconstruct if step < settings.n_reconstruct else update
        trained, opt_state, values = train(
            trained, opt_state, pair, vgg, step_rng, contents, styles
        )
        sums.append(values)
        done = step + 1
        if done % _LOG_EVERY == 0 or done == settings.n_steps:
            now = time.perf_counter()
            content, style = np.mean(jax.device_get(sums), 0).tolist()
            row = {"step": done, "loss/content": content, "loss/style": style}
            row["images_per_s"] = len(sums) * settings.batch_size / (now - since)
            if not math.isfinite(content + style):
                raise FloatingPointError(f"the losses are not finite at step {done}")
            sums, since = [], now
            with log_path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            on_log(row)
        if done % _SAVE_EVERY == 0:
            save(done)
        if done % max(1, settings.n_steps // 10) == 0:
            on_save(pair._replace(**trained), done)
    pair = pair._replace(**trained)
    last = [json.loads(line) for line in log_path.read_text().splitlines()]
    last = last[-max(1, len(last) // 20) :]
    reached = {
        name: float(np.mean([row[name] for row in last]))
        for name in ("loss/content", "loss/style")
    }
    stylizer_files.save_pair(out, pair, about | {"losses": reached})
    state_path.unlink(missing_ok=True)
    return pair


def _drop_rows(path: Path, step: int) -> None:
    """Leaves the rows up to a step: later ones will be written again."""
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= step]
    path.write_text("".join(f"{line}\n" for line in kept))


def _optimizer(lr: float, n_steps: int) -> optax.GradientTransformation:
    warm_up = n_steps // 50 + 1
    schedule = optax.warmup_cosine_decay_schedule(0.0, lr, warm_up, n_steps + 2)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def _update(optimizer, loss_fn, trained, opt_state, pair, vgg, rng, contents, styles):
    """Returns the trained networks, the optimizer's state and the two losses [2]."""
    contents, styles = (jnp.asarray(x, jnp.float32) / 255 for x in (contents, styles))

    def loss_of(trained):
        return loss_fn(pair._replace(**trained), vgg, rng, contents, styles)

    grads, values = jax.grad(loss_of, has_aux=True)(trained)
    updates, opt_state = optimizer.update(grads, opt_state, trained)
    return optax.apply_updates(trained, updates), opt_state, values


def _reconstruction(settings, pair, vgg, rng, contents, styles):
    """Returns the error of the pixels given back, and the same as both losses [2]."""
    del settings, vgg, rng
    images = jnp.concatenate([contents, styles])
    decoded = adain.decode(pair.decoder, adain.encode(pair.encoder, images)[-1])
    size_px = images.shape[1]
    value = jnp.square(decoded[:, :size_px, :size_px] - images).mean()
    return value, jnp.stack([value, value])


def _stylization(settings, pair, vgg, rng, contents, styles):
    """Returns the weighted sum of the two losses, and the losses [2]."""
    alphas = jnp.ones(len(contents))
    if settings.width < 1:  # half of them at 1, the others uniform below
        draws = jax.random.uniform(rng, (2, len(contents)))
        alphas = jnp.where(draws[0] < 0.5, 1.0, draws[1])
    content, style = objective.losses(pair, vgg, contents, styles, alphas)
    total = settings.content_weight * content + settings.style_weight * style
    return total, jnp.stack([content, style])
