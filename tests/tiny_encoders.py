"""Small forms of every encoder, and seeded weights for them, drawn by NumPy.

A weight depends on its foreign name and shape alone, so that PyTorch's model and ours
can be given the same without a file.
"""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.loading import load_pretrained
from jigsaw_shape.models.weights.renames import RENAMES, from_foreign, to_foreign

N_CLASSES = 5
_VGG = {"widths": (4, 4, 8, 8, 8), "hidden": 8}
# What is changed of an encoder so that it is quick; nothing that names depend on.
TINY = {
    "resnet50": {"depths": (1, 1, 1, 1)},
    "resnet101": {"depths": (1, 1, 1, 1)},
    "alexnet": {"hidden": 8},
    "caffenet": {"hidden": 8},
    "vgg16": _VGG,
    "vgg19": _VGG,
    "digits": {"widths": (4, 8), "hidden": 16},
    "convnext_tiny": {"depths": (1, 1, 2, 1), "widths": (8, 16, 24, 32)},
    "vit_small_16": {"width": 24, "depth": 2, "n_heads": 3, "grid": 4},
}
# Every table once, by an encoder that it is for.
NAMED = [
    (encoder, library)
    for encoder in (
        *(
            "resnet18",
            "resnet18_ibn_a",
            "resnet50",
            "alexnet",
            "caffenet",
            "vgg16",
            "vgg19",
            "digits",
        ),
        *("convnext_tiny", "vit_small_16"),
        *("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
    )
    for library in RENAMES[ENCODERS[encoder].family]
]


def tiny(encoder, **changes):
    """Returns the encoder's small form."""
    return ENCODERS[encoder].build(**TINY.get(encoder, {}), **changes)


@functools.cache
def shapes(encoder):
    """Returns the shapes of the small form's variables."""
    images = jnp.zeros((1, 64, 64, 3))
    return jax.eval_shape(
        lambda key: tiny(encoder).init(key, images, False), jax.random.key(0)
    )


@functools.cache
def n_features(encoder):
    images = jnp.zeros((1, 64, 64, 3))
    features = jax.eval_shape(
        lambda variables: tiny(encoder).apply(variables, images, False),
        shapes(encoder),
    )
    return features.shape[-1]


def seeded_state(encoder, library):
    """Returns a state dict for a library's model, classifier included."""
    variables = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes(encoder))
    classifier = {
        "kernel": np.zeros((n_features(encoder), N_CLASSES)),
        "bias": np.zeros(N_CLASSES),
    }
    state = to_foreign(ENCODERS[encoder].family, variables, classifier, library)
    return {name: _draw(name, array) for name, array in state.items()}


def seeded(encoder, library):
    """Returns the variables and the classifier that such a state dict is read as."""
    renamed = from_foreign(ENCODERS[encoder].family, seeded_state(encoder, library))
    assert renamed.extra == []
    assert renamed.library == library
    variables = {}
    for path, array in renamed.arrays.items():
        node = variables
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = array
    return variables, renamed.classifier


def _draw(name, array):
    if array.dtype == np.int64:
        return array
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rpartition(".")[2]
    if leaf == "running_var":
        values = rng.uniform(0.5, 2, array.shape)
    elif leaf in ("layer_scale", "gamma") or (leaf == "weight" and array.ndim == 1):
        values = rng.uniform(0.5, 1, array.shape)
    elif array.ndim == 1:
        values = rng.normal(0, 0.2, array.shape)
    elif leaf == "pos_embed":
        values = rng.normal(0, 0.5, array.shape)
    else:
        is_keras = leaf == "kernel"
        n_in = np.prod(array.shape[:-1] if is_keras else array.shape[1:])
        values = rng.normal(0, np.sqrt(2 / n_in), array.shape)
    return values.astype(np.float32)


def images(encoder):
    """Returns normalized noise, of odd or unequal sides where they are taken."""
    sides = {
        "caffenet": (222, 222),  # JiGen's, beyond which its code does not go
        "digits": (30, 30),
        "alexnet": (80, 104),
        "vit_small_16": (64, 96),
    }.get(encoder, (65, 78))
    rng = np.random.default_rng(zlib.crc32(encoder.encode()))
    return rng.normal(size=(2, *sides, 3)).astype(np.float32)


def write_digits(path, **changes):
    """Writes the small digits network's seeded weights; None takes an entry away."""
    state = seeded_state("digits", "jigen") | changes
    state = {name: array for name, array in state.items() if array is not None}
    np.savez(path, **state)
    return str(path)


def load_digits(init, skip=()):
    return load_pretrained(init, "digits", shapes("digits"), skip)


def check_digits(found):
    """Checks that these are the seeded weights."""
    variables, classifier = seeded("digits", "jigen")
    jax.tree.map(np.testing.assert_array_equal, found.variables, variables)
    jax.tree.map(np.testing.assert_array_equal, found.classifier, classifier)
