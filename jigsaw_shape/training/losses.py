"""Loss terms: one function and one line in `LOSSES` each.

A term maps the model's outputs and the batch to per-example values and a mask, both
float32 [B]. The step sums both over every device before it divides, so that the value
of a term is the mean over the examples that count, wherever they are.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

Outputs = Mapping[str, jax.Array]
LossTerm = Callable[[Outputs, Mapping[str, jax.Array]], tuple[jax.Array, jax.Array]]


def classification(config: ConfigDict) -> LossTerm:
    """Returns the term of the class head: cross-entropy with the label.

    Where `config.jigsaw.classify_shuffled` is false, shuffled images do not count
    (JiGen's `--classify_only_sane`; their paper's text, where their code counts them).
    """

    def term(outputs, batch):
        values = optax.softmax_cross_entropy_with_integer_labels(
            outputs["classification"], batch["label"]
        )
        ordered = batch["order"] == 0
        counts = ordered | config.jigsaw.classify_shuffled
        return values, counts.astype(jnp.float32)

    return term


def jigsaw(config: ConfigDict) -> LossTerm:
    """Returns the term of the jigsaw head: cross-entropy with the order (JiGen, eq. 1).

    Every image counts; an unshuffled one has order 0.
    """
    del config

    def term(outputs, batch):
        values = optax.softmax_cross_entropy_with_integer_labels(
            outputs["jigsaw"], batch["order"]
        )
        return values, jnp.ones_like(values)

    return term


LOSSES: dict[str, Callable[[ConfigDict], LossTerm]] = {
    "classification": classification,
    "jigsaw": jigsaw,
}


def make_losses(config: ConfigDict) -> dict[str, tuple[float, LossTerm]]:
    """Returns `{name: (weight, term)}` for the terms of weight above 0.

    Raises:
      ValueError: `config.losses` names a term that does not exist.
    """
    unknown = [name for name in config.losses if name not in LOSSES]
    if unknown:
        raise ValueError(
            f"config.losses has {', '.join(unknown)}: known are {', '.join(LOSSES)}"
        )
    return {
        name: (weight, LOSSES[name](config))
        for name, weight in config.losses.items()
        if weight > 0
    }
