"""Weights under the names of the library that an encoder's family comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util

from jigsaw_shape.exporting.trained import (
    Trained,
    from_facts,
    from_metadata,
    to_metadata,
)
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.rename_tables import KERAS, RENAMES
from jigsaw_shape.models.weights.renames import from_foreign, to_foreign

OWN = "jigsaw_shape"  # whose names an encoder has that no other library has
# Then arrays are called by their paths, `/` between the parts.
_OWN_CLASSIFIER = "classifier"


def library_of(encoder: str, named: str = "") -> str:
    """Returns the library whose names an encoder's weights are written under.

    Args:
      encoder: A name in `ENCODERS`.
      named: The library that the user wants; "" for the encoder's first one.

    Raises:
      ValueError: That library has no names for it; lists those that have.
    """
    family = ENCODERS[encoder].family
    tables = RENAMES.get(family, {})
    # Keras' names are for reading: no PyTorch model has them.
    known = [name for name in tables if name != KERAS] or [OWN]
    if named and named not in known:
        raise ValueError(
            f"--names is {named!r}: {encoder} has the names of {', '.join(known)}"
        )
    return named or known[0]


def write(path: Path, trained: Trained, facts: Mapping[str, Any]) -> None:
    """Writes encoder and classifier as a state dict in PyTorch's layouts.

    `load_state_dict(strict=True)` takes it in a model of as many classes. An encoder of
    this project alone is written under its own names and layouts.

    Args:
      path: The file.
      trained: What is written.
      facts: Become the file's metadata, each as JSON; `names`, if it is there, is the
        library whose names are written.
    """
    family = ENCODERS[trained.encoder].family
    library = library_of(trained.encoder, facts.get("names", ""))
    if library != OWN:
        state = to_foreign(family, trained.variables, trained.classifier, library)
    else:
        tree = dict(trained.variables)
        if trained.classifier is not None:
            tree[_OWN_CLASSIFIER] = dict(trained.classifier)
        state = traverse_util.flatten_dict(tree, sep="/")
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    path.write_bytes(safetensors.numpy.save(arrays, to_metadata(facts)))


def read(path: Path) -> Trained:
    """Returns what `write` wrote.

    Raises:
      ValueError: The file is damaged, or not one of `write`.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if "encoder" not in metadata:
        raise ValueError(
            f"{path} does not say which encoder it holds: a file of "
            "`python -m jigsaw_shape.export` does"
        )
    facts = from_metadata(metadata)
    bare = from_facts(facts, {}, None)
    family = ENCODERS[bare.encoder].family
    if family is not None:
        renamed = from_foreign(family, state)
        if renamed.extra:
            raise ValueError(f"{path} has unknown names: {', '.join(renamed.extra)}")
        variables = traverse_util.unflatten_dict(renamed.arrays)
        classifier = renamed.classifier or None
    else:
        variables = traverse_util.unflatten_dict(state, sep="/")
        classifier = variables.pop(_OWN_CLASSIFIER, None)
    return from_facts(facts, variables, classifier)
