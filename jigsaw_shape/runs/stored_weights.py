"""The weights of a run's checkpoints, read without writing anything."""

import pathlib
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp


def steps_in(directory: pathlib.Path) -> list[int]:
    """Returns the steps of the whole checkpoints in a directory, sorted."""
    return sorted(
        int(entry.name)
        for entry in (directory.iterdir() if directory.is_dir() else ())
        if entry.name.isdigit() and (entry / "state").is_dir()
    )


def read_variables(directory: pathlib.Path, step: int) -> dict[str, Any]:
    """Returns the weights to evaluate of a checkpoint.

    The run may be training elsewhere: nothing in its directory is touched, while
    `training.checkpoints.Checkpoints` clears what a killed save left.

    Args:
      directory: A run's `checkpoints`.
      step: Of the checkpoint.

    Returns:
      `params` and `batch_stats`, NumPy arrays; the moving averages where they are kept.

    Raises:
      ValueError: There is no whole checkpoint of that step, and then it lists those
        there are; or it is damaged.
    """
    there = steps_in(directory)
    if step not in there:
        steps = ", ".join(map(str, there)) or "none"
        raise ValueError(
            f"{directory} has no checkpoint of step {step}: there are {steps}"
        )
    folder = directory.absolute() / str(step)
    try:
        state = ocp.load_checkpointables(folder)["state"]
    except Exception as error:  # tensorstore raises nearly any kind
        message = " ".join(str(error).split())
        raise ValueError(f"{folder} cannot be read: {message}") from error
    weights = state.get("ema") or state
    chosen = {kind: weights.get(kind) or {} for kind in ("params", "batch_stats")}
    return jax.tree.map(np.asarray, chosen)
