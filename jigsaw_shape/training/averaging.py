"""Weights that a run evaluates in place of its last ones: averages of them.

After a step an average becomes `average + rate * (weights - average)`, one rate a step.
BatchNorm's running statistics are averaged as the weights are.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from ml_collections import ConfigDict

# Parts of the variables: the encoder's, and its statistics of tiles.
_ENCODER = ("encoder", "tiles")


class Average(NamedTuple):
    """What a run evaluates: an average over steps, of weights between first and now.

    Attributes:
      trained: Share of the trained weights in what is averaged; the rest is the first
        weights, see `interpolate`.
    """

    trained: float = 1.0

    def after(self, average: Any, current: Any, first: Any, rate: jax.Array) -> Any:
        """Returns the average after a step.

        An average of interpolations is the interpolation of the average.

        Args:
          average: Of the steps before, `params` and `batch_stats`.
          current: The same of the weights after this step.
          first: What `first_encoder` returned; not read where `trained` is 1.
          rate: float32 [], how far the average moves to the weights, see `rates`.
        """
        if self.trained < 1:
            current = interpolate(first, current, self.trained)
        return optax.incremental_update(current, average, rate)


def first_encoder(variables: Any) -> dict[str, Any]:
    """Returns what `interpolate` reads of the weights before the first step."""
    return {
        kind: {part: tree[part] for part in _ENCODER if part in tree}
        for kind, tree in variables.items()
    }


def interpolate(first: Any, trained: Any, share: float) -> dict[str, Any]:
    """Returns the encoder between its first and its trained weights.

    WiSE-FT, Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, eq. 1:
    `(1 - share) first + share trained`, statistics of BatchNorm included. Departure:
    the heads stay as trained, for they began with random weights, where the paper's
    class head began as the text encoder's.

    Args:
      first: `params` and `batch_stats` before the first step.
      trained: The same of the trained network.
      share: Of the trained weights, in [0, 1]; alpha in the paper.
    """

    def between(kind):
        before, after = first[kind], trained[kind]
        moved = {
            part: jax.tree.map(
                lambda a, b: (1 - share) * a + share * b, before[part], after[part]
            )
            for part in _ENCODER
            if part in after
        }
        return {**after, **moved}

    return {kind: between(kind) for kind in ("params", "batch_stats")}


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
    """Returns the rates of the mean of the weights at `start` and every period on.

    SWA, Izmailov et al., Averaging weights leads to wider optima, UAI 2018, algorithm
    1. (They make BatchNorm's statistics anew afterwards: `python -m
    jigsaw_shape.average --norm-batches`.)

    Args:
      n_steps: Of the run.
      start: The first step that counts, the end of a period; see `swa_periods`.
      every: Steps in a period.

    Returns:
      float32 [n_steps]; 0 between the ends of periods.
    """
    after = np.arange(1, n_steps + 1) - start
    counts = np.maximum(after // every, 0) + 1
    rates = np.where(after % every == 0, 1 / counts, 0)
    return np.where(after <= 0, 1, rates).astype(np.float32)


def swa_periods(
    config: ConfigDict, n_steps: int, steps_per_epoch: int
) -> tuple[int, int]:
    """Returns the first step whose weights SWA averages, and the steps in a period.

    The first is the end of a period: the first one at or after `averaging.start`, and
    never step 0, whose weights may know nothing.
    """
    every = config.averaging.every or steps_per_epoch
    start = round(config.averaging.start * n_steps)
    return max(-(-start // every), 1) * every, every


def check_length(config: ConfigDict, n_steps: int, steps_per_epoch: int) -> None:
    """Refuses a run that is too short for its average.

    Raises:
      ValueError: SWA would average fewer than two weights.
    """
    if config.averaging.name != "swa":
        return
    start, every = swa_periods(config, n_steps, steps_per_epoch)
    n_averaged = max(n_steps // every - start // every + 1, 0)
    if n_averaged < 2:
        longer = "steps" if config.steps else "epochs"
        raise ValueError(
            f"--config.averaging.start={config.averaging.start}: swa would average the "
            f"weights after {n_averaged} of {n_steps} steps, one in {every} from step "
            f"{start} on, and needs two: begin sooner, or raise "
            f"--config.{longer}={config[longer]}"
        )


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


def rates(
    config: ConfigDict, n_steps: int, steps_per_epoch: int, evaluate_at: Collection[int]
) -> np.ndarray:
    """Returns the rate after each step of a run: float32 [n_steps]."""
    averaging = config.averaging
    if averaging.name == "sma":
        return simple_rates(n_steps, round(averaging.start * n_steps))
    if averaging.name == "swa":
        return periodic_rates(n_steps, *swa_periods(config, n_steps, steps_per_epoch))
    if averaging.name == "segments":
        return segment_rates(n_steps, evaluate_at)
    return np.full(n_steps, 1 - config.optim.ema_decay, np.float32)


def make_average(config: ConfigDict) -> Average | None:
    """Returns what a run evaluates in place of its weights; None for the weights."""
    averaging = config.averaging
    if averaging.name or config.optim.ema_decay > 0 or averaging.trained < 1:
        return Average(averaging.trained)
    return None
