"""Rename tables: each reads in both directions, and nothing is lost on the way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.renames import RENAMES, from_foreign, to_foreign

NAMED = [
    (encoder, library)
    for encoder, spec in ENCODERS.items()
    if spec.family
    for library in RENAMES[spec.family]
]


@functools.cache
def _shapes(encoder):
    module = ENCODERS[encoder].build()
    images = jnp.zeros((1, 64, 64, 3))
    return jax.eval_shape(
        lambda key: module.init(key, images, False), jax.random.key(0)
    )


def _numbered(shapes):
    """Returns arrays of few bytes, of other values each; only their order is real."""

    def fill(path, shape):
        digest = sum(map(ord, jax.tree_util.keystr(path))) % 97
        first = np.arange(shape.shape[0], dtype=np.float32) + digest
        first = first.reshape(-1, *[1] * (len(shape.shape) - 1))
        return np.broadcast_to(first, shape.shape)

    return jax.tree_util.tree_map_with_path(fill, shapes)


@pytest.mark.parametrize(("encoder", "library"), NAMED)
def test_there_and_back_is_the_same(encoder, library):
    family, variables = ENCODERS[encoder].family, _numbered(_shapes(encoder))
    classifier = {"kernel": np.ones((3, 2), np.float32), "bias": np.zeros(2)}
    state = to_foreign(family, variables, classifier, library)
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    n_norms = sum(name.endswith("running_var") for name in state)
    n_variables = len(jax.tree.leaves(variables))
    assert len(counters) == n_norms
    assert len(state) == n_variables + 2 + n_norms
    back = from_foreign(family, state)
    assert back.library == library
    assert back.extra == []
    assert back.classifier.keys() == classifier.keys()
    flat = dict(jax.tree_util.tree_leaves_with_path(variables))
    assert len(back.arrays) == len(flat)
    for path, array in flat.items():
        found = back.arrays[tuple(key.key for key in path)]
        np.testing.assert_array_equal(found, array, strict=True)
    again = to_foreign(family, variables, None, library)
    assert len(again) == len(state) - 2
