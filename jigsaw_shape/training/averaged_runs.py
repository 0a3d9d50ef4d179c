"""Which checkpoints of runs are averaged, and their weighted mean."""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jigsaw_shape import config as config_lib
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.runs import rows, stored_weights
from jigsaw_shape.training.swad import window

CHECKPOINTS = ("selected", "all", "swad")
# Fields in which runs that are averaged together must agree.
_SAME = (
    *("data.name", "data.target", "data.sources", "data.classes", "data.split"),
    *("data.split_seed", "data.setting", "model.encoder", "model.init"),
)
_SAME_PUZZLE = ("jigsaw.grid", "jigsaw.n_permutations", "jigsaw.seed")


@dataclasses.dataclass(frozen=True)
class Part:
    """A checkpoint that takes part in an average.

    Attributes:
      run: Its run's directory.
      step: Of the checkpoint.
      weight: In the average, above 0; the weights need not sum to 1.
    """

    run: pathlib.Path
    step: int
    weight: float


def choose(runs: Sequence[pathlib.Path], which: str, selection: str) -> list[Part]:
    """Returns the checkpoints to average.

    Runs from pretrained weights may have different seeds: their encoders began alike,
    and the heads on them may differ. Random encoders of different seeds have nothing in
    common, and their mean would be meaningless.

    Args:
      runs: Directories of runs.
      which: One of `CHECKPOINTS`: that of each run which `selection` picks; those of
        all evaluations; those of SWAD's window, weighted by the steps of their segment.
      selection: `last` or `val`.

    Raises:
      ValueError: Runs that do not fit together, a run without evaluations, a checkpoint
        that is not kept.
    """
    _refuse_misfits(runs)
    parts = []
    for run in runs:
        evaluations = directory_lib.read_evaluations(run)
        if which == "selected":
            evaluations = [rows.select(evaluations, selection)]
        steps = [row["step"] for row in evaluations]
        lengths = np.diff(steps, prepend=0)
        first, last = 0, len(steps) - 1
        if which == "swad":
            first, last = _swad_window(run, evaluations)
        elif which == "selected":
            lengths = [1]
        chosen = range(first, last + 1)
        kept = set(stored_weights.steps_in(run / "checkpoints"))
        missing = [str(steps[i]) for i in chosen if steps[i] not in kept]
        if missing:
            raise ValueError(
                f"{run} has not kept the checkpoints of steps {', '.join(missing)}: "
                "train it with --config.log.keep_evaluated, or use "
                "--checkpoints selected"
            )
        weights = lengths if which == "swad" else np.ones(len(steps))
        parts += [Part(run, steps[i], float(weights[i])) for i in chosen]
    return parts


def _swad_window(run, evaluations):
    config = directory_lib.read_config(run)
    if config.averaging.name != "segments":
        raise ValueError(
            f"{run} kept no means between evaluations: --checkpoints swad is for runs "
            "with --config.averaging.name=segments, such as the preset swad"
        )
    return window([row["val/loss"] for row in evaluations])


def _refuse_misfits(runs):
    first, *others = [directory_lib.read_config(run) for run in runs]
    flat = [config_lib.flatten(config.to_dict()) for config in (first, *others)]
    digests = {directory_lib.read_images(run) for run in runs}
    puzzles = any(fields["losses.jigsaw"] > 0 for fields in flat)
    same = (*_SAME, *_SAME_PUZZLE) if puzzles else _SAME
    for run, fields in zip(runs[1:], flat[1:], strict=True):
        for key in same:
            if fields[key] != flat[0][key]:
                raise ValueError(
                    f"{run} has {key}={fields[key]!r} and {runs[0]} {flat[0][key]!r}: "
                    f"runs to be averaged must agree in {', '.join(same)}"
                )
    seeds = sorted({fields["seed"] for fields in flat})
    if flat[0]["model.init"] == "random" and len(seeds) > 1:
        raise ValueError(
            f"{', '.join(map(str, runs))} began with random weights of the seeds "
            f"{', '.join(map(str, seeds))}, which have no useful mean: average runs of "
            "one seed, or runs from the same pretrained weights (model.init)"
        )
    if len(digests) > 1:
        raise ValueError(
            f"{', '.join(map(str, runs))} were trained on different images of one data "
            "set: average runs of the same preparation"
        )


def average(parts: Iterable[Part]) -> dict[str, Any]:
    """Returns the weighted mean of checkpoints' `params` and `batch_stats`, float32.

    BatchNorm's running statistics are averaged as the weights are, as in EoA's code;
    `workshop.Workshop.remake_statistics` makes them anew, as SWAD's code does.

    Raises:
      ValueError: A checkpoint is damaged, or its heads have other shapes.
    """
    total, sum_of_weights = None, 0.0
    for part in parts:
        read = stored_weights.read_variables(part.run / "checkpoints", part.step)
        scaled = jax.tree.map(lambda x, w=part.weight: w * x.astype(np.float64), read)
        try:
            total = scaled if total is None else jax.tree.map(np.add, total, scaled)
        except ValueError as error:
            raise ValueError(
                f"{part.run}, step {part.step}, has other heads or shapes than the "
                "others: average runs of one method and one set of classes"
            ) from error
        sum_of_weights += part.weight
    return jax.tree.map(lambda x: (x / sum_of_weights).astype(np.float32), total)
