"""Loss of a head that draws an image's edges."""

import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jigsaw_shape.models.pooling import average_to
from jigsaw_shape.pixels.edges import sobel
from jigsaw_shape.training.losses.contract import LossFn


def edge_map(config: ConfigDict) -> LossFn:
    """Returns the term of the edge head: how well it draws the edges of an image.

    After Cheraghalikhani et al., Structure-aware feature stylization, CVIU 2024: a
    second task that keeps structure while styles change. The head says for each of
    `config.edges.cells` x `cells` cells how strong the edges of the image in its own
    style are there, the mean length of Sobel's gradient, at most 1; the term is the
    cross-entropy of the two, a mean over cells. Images in order count, in any style,
    with a label or without. Departure: the head is one hidden layer on the last map,
    theirs a decoder that draws at the image's size.
    """
    cells = config.edges.cells

    def term(outputs, batch):
        lengths = jnp.minimum(sobel(batch["natural"]), 1)
        strengths = average_to(lengths[..., None], cells)
        drawn = strengths.reshape(len(strengths), -1)[batch["stored"]]
        values = optax.sigmoid_binary_cross_entropy(outputs["edges"], drawn).mean(-1)
        return values, (batch["order"] == 0).astype(jnp.float32)

    return term
