"""How long a run is, and what each of its steps is told of that: a few numbers.

They are arguments of the compiled step, not constants in it, so that runs of different
lengths, such as those of a benchmark's targets, share one program.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.training import averaging
from jigsaw_shape.training import optimizer as optimizer_lib


@dataclasses.dataclass(frozen=True)
class RunLength:
    """How long a run is, in steps.

    Attributes:
      n_steps: Batches in all; `config.optim.accumulate` of them make an update.
      steps_per_epoch: Whole batches in a pass over the sources; the rest is dropped.
      evaluate_at: Steps after which the model is evaluated; the last one among them.
    """

    n_steps: int
    steps_per_epoch: int
    evaluate_at: frozenset[int]


def run_length(config: ConfigDict, n_train: int) -> RunLength:
    """Returns the run's length for `n_train` source images.

    Raises:
      ValueError: The sources do not fill one batch, the run not one update, or SWA has
        nothing to average.
    """
    per_epoch = n_train // config.data.batch_size
    if per_epoch == 0:
        raise ValueError(
            f"--config.data.batch_size={config.data.batch_size} is more than the "
            f"{n_train} training images of the sources: lower it"
        )
    if config.steps:
        n_steps = config.steps
        evaluate_at = {round(n_steps * i / 10) for i in range(1, 11)} - {0}
    else:
        n_steps = config.epochs * per_epoch
        every = config.eval.every_epochs * per_epoch
        evaluate_at = set(range(every, n_steps, every)) | {n_steps}
    if config.optim.accumulate > n_steps:
        raise ValueError(
            f"--config.optim.accumulate={config.optim.accumulate} is more than the "
            f"{n_steps} batches of the run, which would make no update: lower it"
        )
    averaging.check_length(config, n_steps, per_epoch)
    return RunLength(n_steps, per_epoch, frozenset(evaluate_at))


class Now(NamedTuple):
    """The numbers of one step, float32 []; of a run's n steps, float32 [n].

    Attributes:
      progress: 0 at the first step, 1 at the last.
      learning_rate: Of the update that the step is part of.
      encoder_moves: 1, or 0 where the heads train alone.
      average_rate: How far the average moves to the weights; 1 where there is none.
    """

    progress: np.ndarray = np.float32(0)
    learning_rate: np.ndarray = np.float32(0)
    encoder_moves: np.ndarray = np.float32(1)
    average_rate: np.ndarray = np.float32(1)

    def at(self, step: int) -> "Now":
        """Returns the numbers of a step, 0 for the first, of those of a run."""
        return Now(*(numbers[step] for numbers in self))


def make_timetable(config: ConfigDict, length: RunLength) -> Now:
    """Returns the numbers of all steps of a run."""
    steps = np.arange(length.n_steps)
    accumulate = config.optim.accumulate
    updates = steps // accumulate
    n_held = round(config.optim.heads_first * length.n_steps / accumulate)
    schedule = optimizer_lib.learning_rate(config, length.n_steps)
    rates = schedule(jnp.asarray(updates * accumulate)) * jnp.ones(length.n_steps)
    numbers = Now(
        progress=steps / max(length.n_steps - 1, 1),
        learning_rate=rates,
        encoder_moves=updates >= n_held,
        average_rate=averaging.rates(
            config, length.n_steps, length.steps_per_epoch, length.evaluate_at
        ),
    )
    return Now(*(np.asarray(x, np.float32) for x in numbers))
