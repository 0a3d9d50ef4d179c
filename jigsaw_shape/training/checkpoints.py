"""Checkpoints of a run: saved in the background, restored on any number of devices."""

import contextlib
import pathlib
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jigsaw_shape.runs.rows import SELECTED_BY, judged
from jigsaw_shape.system.devices import replicate
from jigsaw_shape.training.step import TrainState

_policies = ocp.training.preservation_policies


class SaveError(OSError):
    """A checkpoint cannot be written."""


class Checkpoints:
    """The checkpoints in a directory: the latest two, and the best by each rule or all.

    A context manager: leaving it, however, waits for the save that is under way.
    """

    def __init__(self, directory: pathlib.Path, *, keep_evaluated: bool = False):
        """Opens `directory`, created if absent; clears what a killed save left.

        Args:
          directory: The run's `checkpoints`.
          keep_evaluated: Whether those of all evaluations stay, not the best alone.
        """

        def rank(rule):
            # Equal measures: the earliest step, as the result table has it.
            return lambda metrics: (judged(metrics, rule), -metrics["step"])

        best = [
            _policies.BestN(
                n=None if keep_evaluated else 1,
                get_metric_fn=rank(rule),
                keep_checkpoints_without_metrics=False,
            )
            for rule in SELECTED_BY
        ]
        self._directory = directory
        self._checkpointer = ocp.training.Checkpointer(
            directory.absolute(),
            cleanup_tmp_directories=True,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(
                1
            ),
            preservation_policy=_policies.AnyPreservationPolicy(
                [_policies.LatestN(2), *best]
            ),
        )

    @property
    def latest_step(self) -> int | None:
        """The step of the latest whole checkpoint, None where there is none."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, state: TrainState, measures: dict[str, float] | None = None) -> None:
        """Starts to save `state` under its step; waits for an earlier save first.

        Args:
          state: The state after the step that names the checkpoint.
          measures: The evaluation at that step. Without it the checkpoint is kept
            only while it is among the latest two.

        Raises:
          SaveError: This or the earlier save failed, such as on a full disk.
        """
        step = int(state.step)
        metrics = None
        if measures is not None:
            names = {name for several in SELECTED_BY.values() for name in several}
            metrics = {name: measures[name] for name in names & measures.keys()}
            metrics["step"] = step
        # A copy in host memory: the next step donates the buffers, and Orbax cannot
        # save an array that every process holds.
        tree = jax.tree.map(np.array, _to_arrays(state))
        with self._saving():
            self._checkpointer.save_checkpointables_async(
                step, {"state": tree}, metrics=metrics, overwrite=True
            )

    def restore(self, template: TrainState) -> TrainState:
        """Returns the latest state that was saved, on every device.

        Args:
          template: A state of the same structure and shapes.

        Raises:
          ValueError: The checkpoint does not fit the template.
        """
        abstract = jax.tree.map(
            lambda x: np.empty(x.shape, x.dtype), _to_arrays(template)
        )
        loaded = self._checkpointer.load_checkpointables(None, {"state": abstract})
        return replicate(_from_arrays(loaded["state"]))

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        with self._saving():
            self._checkpointer.close()  # waits for the last save

    @contextlib.contextmanager
    def _saving(self):
        try:
            yield
        except Exception as error:  # tensorstore raises nearly any kind
            message = " ".join(str(error).split())
            raise SaveError(
                f"{self._directory} cannot be written: {message}"
            ) from error


def _to_arrays(state: TrainState) -> dict[str, Any]:
    fields = {name: getattr(state, name) for name in state.__dataclass_fields__}
    if not state.memory:  # as in checkpoints from before the field
        del fields["memory"]
    return fields | {"rng": jax.random.key_data(state.rng)}


def _from_arrays(tree: dict[str, Any]) -> TrainState:
    return TrainState(
        **({"memory": {}} | tree | {"rng": jax.random.wrap_key_data(tree["rng"])})
    )
