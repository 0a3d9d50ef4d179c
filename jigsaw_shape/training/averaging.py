"""Averages of the weights over the steps of a run, as one number a step.

After a step the average becomes `average + rate * (weights - average)`. BatchNorm's
running statistics are averaged as the weights are.
"""

from collections.abc import Callable, Collection

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

# (step int32 [], 0 at the first) -> the rate after that step
Rate = Callable[[jax.Array], jax.Array | float]


def simple_rates(n_steps: int, start: int) -> np.ndarray:
    """Returns the rates of the mean of all weights from step `start` on.

    SMA, Arpit et al., Ensemble of averages, NeurIPS 2022, section 3.1; before `start`
    the average is the weights themselves.

    Args:
      n_steps: Of the run.
      start: The first step that counts, 0 for all.

    Returns:
      float32 [n_steps].
    """
    after = np.arange(n_steps) - start
    return (1 / np.maximum(after + 1, 1)).astype(np.float32)


def periodic_rates(n_steps: int, start: int, every: int) -> np.ndarray:
    """Returns the rates of the mean of the weights after every `every` steps.

    SWA, Izmailov et al., Averaging weights leads to wider optima, UAI 2018, algorithm
    1: the first that counts is after `every` steps from `start`. (They make BatchNorm's
    statistics anew afterwards: `python -m jigsaw_shape.average --norm-batches`.)

    Args:
      n_steps: Of the run.
      start: The step from which periods are counted.
      every: Steps in a period.

    Returns:
      float32 [n_steps]; 0 between the ends of periods.
    """
    after = np.arange(1, n_steps + 1) - start
    counts = np.maximum(after // every, 1)
    rates = np.where(after % every == 0, 1 / counts, 0)
    return np.where(after < every, 1, rates).astype(np.float32)


def segment_rates(n_steps: int, evaluate_at: Collection[int]) -> np.ndarray:
    """Returns the rates of means that begin anew after each evaluation.

    The segments of SWAD (Cha et al., NeurIPS 2021, section 3.2), each a dense mean of
    the weights since the last evaluation. `python -m jigsaw_shape.average
    --checkpoints swad` joins those of its window.

    Args:
      n_steps: Of the run.
      evaluate_at: Steps after which the run is evaluated.

    Returns:
      float32 [n_steps].
    """
    rates, length = np.empty(n_steps, np.float32), 0
    for step in range(1, n_steps + 1):
        length += 1
        rates[step - 1] = 1 / length
        if step in evaluate_at:
            length = 0
    return rates


def make_rate(
    config: ConfigDict, n_steps: int, steps_per_epoch: int, evaluate_at: Collection[int]
) -> Rate | None:
    """Returns the average that a run keeps and evaluates; None where it keeps none."""
    decay, averaging = config.optim.ema_decay, config.averaging
    if decay > 0:
        return lambda step: 1 - decay
    if not averaging.name:
        return None
    start = round(averaging.start * n_steps)
    if averaging.name == "sma":
        rates = simple_rates(n_steps, start)
    elif averaging.name == "swa":
        rates = periodic_rates(n_steps, start, averaging.every or steps_per_epoch)
    else:
        rates = segment_rates(n_steps, evaluate_at)
    table = jnp.asarray(rates)
    return lambda step: table[step]
