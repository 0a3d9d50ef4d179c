"""Loss of the features, held to those that the run began with."""

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jigsaw_shape.training.losses.contract import LossFn


def distillation(config: ConfigDict) -> LossFn:
    """Returns how far features turn from those of the weights that the run began with.

    1 - cos(f0(x), f(x)), the less-forget constraint of Hou et al. (Learning a Unified
    Classifier Incrementally via Rebalancing, CVPR 2019, section 3.3), where f0 is the
    encoder before the first step, its BatchNorm with running statistics. Whole images
    in their own style count, with a label or without: what a change of style should not
    change, f0 may not know. Departure: weight and features are plain; theirs have no
    last ReLU, and a weight that grows with the number of old classes.
    """
    del config

    def term(outputs, batch):
        cosines = optax.cosine_similarity(
            outputs["features"], batch["teacher"]["features"], epsilon=1e-6
        )
        counts = (batch["order"] == 0) & ~batch["styled"]
        return 1 - cosines, counts.astype(jnp.float32)

    return term
