"""Orbax checkpoints of the encoder alone, to start other JAX programs from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp


def write(path: Path, variables: Mapping[str, Any]) -> None:
    """Writes an encoder's `params` and `batch_stats` as a folder of Orbax.

    Args:
      path: The folder, which does not exist yet.
      variables: Trees of arrays.
    """
    ocp.save(path.absolute(), jax.tree.map(np.asarray, dict(variables)))


def read(path: Path) -> dict[str, Any]:
    """Returns what `write` wrote, as NumPy arrays.

    Raises:
      ValueError: The folder holds no such checkpoint.
    """
    try:
        loaded = ocp.load(path.absolute())
    except Exception as error:  # tensorstore raises nearly any kind
        message = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read: {message}") from error
    return jax.tree.map(np.asarray, dict(loaded))
