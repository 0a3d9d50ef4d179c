"""Networks of this project, compiled to answer images on every device at once."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier, in_batches
from jigsaw_shape.models import ENCODERS, multitask
from jigsaw_shape.models.network import Network
from jigsaw_shape.pixels import resampling, shortcuts
from jigsaw_shape.system import devices


def of_network(
    network: Network,
    *,
    name: str,
    batch_size: int,
    permutations: np.ndarray | None = None,
    grid: int = 0,
    close_shortcuts: Callable[[jax.Array], jax.Array] | None = None,
    **fields: Any,
) -> Classifier:
    """Returns the classifier of a network.

    Args:
      network: See `Network`.
      name: For rows.
      batch_size: Images at a time; rounded up to a multiple of the devices.
      permutations: Of a jigsaw head; None without one.
      grid: Its tiles a side.
      close_shortcuts: Changes the tiles [B, T, h, w, 3] of shuffled images, as in its
        training (`pixels.shortcuts.at_evaluation`).
      **fields: More fields of `Classifier`.
    """
    n_devices = jax.device_count()
    batch_size = -(-batch_size // n_devices) * n_devices
    variables = devices.replicate(dict(network.variables))

    @devices.over_devices
    def answer(variables, images, orders=None):
        asked = (resampling.resize(images, network.size_px),)
        if orders is not None:
            asked = shortcuts.as_puzzles(
                *asked, grid, orders, permutations, close_shortcuts
            )
        return multitask.answer(network.module, variables, *asked)

    @functools.cache
    def stages_of(names):
        @devices.over_devices
        def compute(variables, images):
            images = resampling.resize(images, network.size_px)
            _, state = network.module.apply(
                variables, images, train=False, mutable=["intermediates"]
            )
            left = state["intermediates"]["encoder"]
            return {name: left[name][0].astype(jnp.float32) for name in names}

        return in_batches(functools.partial(compute, variables), batch_size)

    def predict_stages(images, names=None):
        known = ENCODERS[network.encoder].stages
        unknown = [stage for stage in names or () if stage not in known]
        if unknown:
            raise ValueError(
                f"there is no stage {unknown[0]!r}: {name} has {', '.join(known)}"
            )
        outputs = stages_of(tuple(known if names is None else names))(images)
        return {stage: outputs[stage] for stage in known if stage in outputs}

    return Classifier(
        name=name,
        size_px=network.size_px,
        input_px=network.input_px,
        batch_size=batch_size,
        predict=in_batches(functools.partial(answer, variables), batch_size),
        permutations=permutations,
        grid=grid,
        has_features=True,
        predict_stages=predict_stages,
        digest=network.digest(),
        network=network,
        **{"classes": network.classes, **fields},
    )
