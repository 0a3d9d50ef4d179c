"""Rename tables: each reads in both directions, and nothing is lost on the way."""

import numpy as np
import pytest
from flax import traverse_util
from tiny_encoders import N_CLASSES, NAMED, seeded_state

from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.renames import from_foreign, to_foreign


@pytest.mark.parametrize(("encoder", "library"), NAMED)
def test_there_and_back_is_the_same(encoder, library):
    family, state = ENCODERS[encoder].family, seeded_state(encoder, library)
    renamed = from_foreign(family, state)
    assert (renamed.library, renamed.extra) == (library, [])
    assert renamed.classifier["kernel"].shape[1:] == (N_CLASSES,)
    variables = traverse_util.unflatten_dict(renamed.arrays)
    back = to_foreign(family, variables, renamed.classifier, library)
    assert back.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(back[name], array, strict=True)
    without = to_foreign(family, variables, None, library)
    assert len(without) == len(state) - 2


def test_an_array_that_is_not_of_numbers_with_fractions_is_refused():
    state = seeded_state("digits", "jigen")
    state["features.0.weight"] = state["features.0.weight"].astype(np.int8)
    with pytest.raises(ValueError, match=r"features\.0\.weight is of int8: float16"):
        from_foreign("digits", state)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_precisions_become_float32(dtype):
    state = seeded_state("digits", "jigen")
    cast = {name: array.astype(dtype) for name, array in state.items()}
    for path, array in from_foreign("digits", cast).arrays.items():
        expected = from_foreign("digits", state).arrays[path]
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-3)


def test_what_has_no_name_is_refused_and_what_is_unknown_is_listed():
    state = seeded_state("digits", "jigen")
    renamed = from_foreign("digits", state | {"jigsaw.weight": np.zeros((3, 3))})
    assert renamed.extra == ["jigsaw.weight"]
    strange = {"params": {"conv9": {"kernel": np.zeros((1, 1, 1, 1))}}}
    with pytest.raises(ValueError, match="lack params/conv9/kernel"):
        to_foreign("digits", strange)
    with pytest.raises(ValueError, match="no names of 'convnet' are known: resnet"):
        to_foreign("convnet", {})
    with pytest.raises(ValueError, match="digits has the names of jigen, not timm"):
        to_foreign("digits", {}, library="timm")
