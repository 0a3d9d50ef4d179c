"""Weights under the names of the library that an encoder's family comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from flax import traverse_util

from jigsaw_shape.exporting.format import (
    Format,
    Options,
    Reference,
    array_difference,
    to_metadata,
)
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.network import Network, from_facts
from jigsaw_shape.models.weights import loading
from jigsaw_shape.models.weights.locate import Flags
from jigsaw_shape.models.weights.rename_tables import KERAS, RENAMES
from jigsaw_shape.models.weights.renames import to_foreign
from jigsaw_shape.models.weights.weight_files import read_weight_file

OWN = "jigsaw_shape"  # whose names an encoder has that no other library has
# Then arrays are called by their paths, `/` between the parts.
_OWN_CLASSIFIER = "classifier"
NAME, _SUFFIX = "model.safetensors", ".safetensors"


def library_of(encoder: str, named: str = "") -> str:
    """Returns the library whose names an encoder's weights are written under.

    Args:
      encoder: A name in `ENCODERS`.
      named: The library that the user wants; "" for the encoder's first one.

    Raises:
      ValueError: That library has no names for it; lists those that have.
    """
    tables = RENAMES.get(ENCODERS[encoder].family, {})
    # Keras' names are for reading: no PyTorch model has them.
    known = [name for name in tables if name != KERAS] or [OWN]
    if named and named not in known:
        raise ValueError(
            f"--names is {named!r}: {encoder} has the names of {', '.join(known)}"
        )
    return named or known[0]


def write(
    path: Path, network: Network, facts: Mapping[str, Any], options: Options
) -> None:
    """Writes encoder and classifier as a state dict in PyTorch's layouts.

    `load_state_dict(strict=True)` takes it in a model of as many classes. An encoder of
    this project alone is written under its own names and layouts.

    Args:
      path: The file.
      network: What is written.
      facts: Become the file's metadata, each as JSON.
      options: Its `names` is the library whose names are written.
    """
    library = library_of(network.encoder, options.names)
    if library != OWN:
        family = ENCODERS[network.encoder].family
        state = to_foreign(
            family, network.encoder_variables, network.classifier, library
        )
    else:
        tree = network.encoder_variables
        if network.classifier is not None:
            tree[_OWN_CLASSIFIER] = dict(network.classifier)
        state = traverse_util.flatten_dict(tree, sep="/")
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    path.write_bytes(safetensors.numpy.save(arrays, to_metadata(facts)))


def read(path: Path) -> Network:
    """Returns what `write` wrote.

    Raises:
      ValueError: The file is damaged, or not one of `write`.
    """
    file = read_weight_file(path)
    if "encoder" not in file.facts:
        raise ValueError(
            f"{path} does not say which encoder it holds: only files of "
            "`python -m jigsaw_shape.export` do. Name it with --encoder"
        )
    encoder = file.facts["encoder"]
    from_facts(file.facts, {}, None)  # refuses what they lack
    flags = Flags("file", "encoder", "")
    arrays = loading.renamed(file, encoder)
    found = loading.fit(str(path), encoder, arrays, flags=flags)
    return from_facts(file.facts, found.variables, found.classifier)


def _difference(path: Path, reference: Reference) -> float:
    return array_difference(read(path).variables, reference.network.variables)


FORMAT = Format(lambda options: [NAME], write, _difference, read, _SUFFIX)
