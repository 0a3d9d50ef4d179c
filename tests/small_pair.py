"""A stylizer so small that NumPy can follow it, with random weights."""

import numpy as np

from jigsaw_shape.diversify import stylizer_files, vgg_weights
from jigsaw_shape.diversify.adain import Pair


def _layer(rng, n_in, n_out):
    kernel = rng.normal(0, np.sqrt(2 / (9 * n_in)), (3, 3, n_in, n_out))
    return vgg_weights.layer(kernel, rng.normal(0, 0.1, n_out))


def tiny_pair(seed=0):
    """A pair of 4 x 4 stride, two layers in its second stage, images around grey."""
    rng = np.random.default_rng(seed)
    encoder = (
        (_layer(rng, 3, 4),),
        (_layer(rng, 4, 6), _layer(rng, 6, 6)),
        (_layer(rng, 6, 8),),
    )
    decoder = tuple(
        tuple(_layer(rng, *widths) for widths in stage)
        for stage in stylizer_files.mirrored(encoder)
    )
    decoder[-1][-1]["kernel"] *= 0.3
    decoder[-1][-1]["bias"] += 0.5
    return Pair(encoder, decoder)
