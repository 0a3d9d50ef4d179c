"""Orbax checkpoints of the encoder alone, to start other JAX programs from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jigsaw_shape.exporting.format import (
    FACTS,
    Format,
    Options,
    Reference,
    array_difference,
)
from jigsaw_shape.models.network import Network, from_facts

_NAME = "orbax"


def write(
    path: Path, network: Network, facts: Mapping[str, Any], options: Options
) -> None:
    """Writes an encoder's `params` and `batch_stats` as a folder of Orbax."""
    del facts, options
    ocp.save(path.absolute(), jax.tree.map(np.asarray, network.encoder_variables))


def load(path: Path) -> dict[str, Any]:
    """Returns the variables that `write` wrote, as NumPy arrays.

    Raises:
      ValueError: The folder holds no such checkpoint.
    """
    try:
        loaded = ocp.load(path.absolute())
    except Exception as error:  # tensorstore raises nearly any kind
        message = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read: {message}") from error
    return jax.tree.map(np.asarray, dict(loaded))


def read(path: Path) -> Network:
    """Returns the encoder, which the export's facts beside the folder describe.

    Raises:
      ValueError: The folder holds no such checkpoint, or nothing says what it is.
    """
    beside = path.parent / FACTS
    if not beside.is_file():
        raise ValueError(f"{path} needs {FACTS} beside it, which says what it holds")
    return from_facts(json.loads(beside.read_text()), load(path), None)


def _difference(path: Path, reference: Reference) -> float:
    return array_difference(load(path), reference.network.encoder_variables)


FORMAT = Format(lambda options: [_NAME], write, _difference, read, suffix="")
