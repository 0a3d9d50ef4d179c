"""SagNet's losses: a head that classifies by style, and features that defeat it."""

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jigsaw_shape.training.losses.contract import LossFn


def style(config: ConfigDict) -> LossFn:
    """Returns the terms of the style head and of its adversary.

    Nam et al., CVPR 2021: cross-entropy of the style-biased head (eq. 6), which trains
    the head alone, and `config.sagnet.adversary` times the cross-entropy of its answer
    with equal classes (eq. 7), which trains the encoder alone. Departures, as in
    DomainBed: they are minimized in one step, in the paper one after the other, and the
    adversary trains the whole encoder, in their code the BatchNorm parameters before
    the style stage.
    """

    def term(outputs, batch):
        of_head = optax.softmax_cross_entropy_with_integer_labels(
            outputs["style"], batch["label"]
        )
        even = -jax.nn.log_softmax(outputs["style_answer"]).mean(-1)
        values = of_head + config.sagnet.adversary * even
        return values, batch["for_class"] * jnp.ones_like(values)

    return term
