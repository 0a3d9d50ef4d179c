"""A run's directory opened for reading alone: its configuration, rows and weights."""

import dataclasses
import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.runs import rows, stored_weights
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import step as step_lib

_CLASS = "target/class/"  # how the measures begin that name the classes, in order


@dataclasses.dataclass(frozen=True)
class StoredRun:
    """A run and the weights that a rule picked of it.

    Attributes:
      config: Its configuration; fields it was stored without are the defaults.
      evaluations: Its rows of kind `eval`, in the order of their steps.
      selection: The rule, a key of `rows.RULES`.
      chosen: The row that it picked; its `step` is that of the weights.
      classes: Their names, in the order of the labels.
      learner: See `learner.make_learner`.
      variables: The weights to evaluate, NumPy arrays.
    """

    config: ConfigDict
    evaluations: list[dict]
    selection: str
    chosen: dict
    classes: tuple[str, ...]
    learner: learner_lib.Learner
    variables: dict[str, Any]


def open_run(directory: pathlib.Path, selection: str) -> StoredRun:
    """Returns a run's model at the checkpoint that a rule picks.

    Args:
      directory: The run's; nothing in it is touched.
      selection: A key of `rows.RULES`.

    Raises:
      ValueError: It is no run, has no evaluation yet, or no such checkpoint, or what
        is stored does not fit together.
    """
    if selection not in rows.RULES:
        raise ValueError(f"{selection!r} selects nothing: {', '.join(rows.RULES)}")
    config = directory_lib.read_config(directory)
    evaluations = directory_lib.read_evaluations(directory)
    chosen = rows.select(evaluations, selection)
    classes = tuple(
        key.removeprefix(_CLASS) for key in chosen if key.startswith(_CLASS)
    )
    try:
        variables = stored_weights.read_variables(
            directory / "checkpoints", chosen["step"]
        )
    except ValueError as error:
        raise ValueError(f"{selection}: {error}") from error
    # What a head tells apart that knows domains is stored in its size alone.
    of_domains = variables["params"].get("head_domain", {"bias": ()})
    learner = learner_lib.make_learner(config, len(classes), len(of_domains["bias"]))
    _refuse_misfits(directory, learner, config.data.image_size, variables)
    return StoredRun(
        config, evaluations, selection, chosen, classes, learner, variables
    )


def _refuse_misfits(directory, learner, size_px, variables) -> None:
    shapes = jax.eval_shape(
        lambda: step_lib.init_variables(learner.model, jax.random.key(0), size_px)
    )
    wanted, found = (
        {
            jax.tree_util.keystr(path): tuple(leaf.shape)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        }
        for tree in (dict(shapes), dict(variables))
    )
    odd = [key for key in {**wanted, **found} if wanted.get(key) != found.get(key)]
    if odd:
        raise ValueError(
            f"{directory}: its checkpoint does not fit its config.json: {odd[0]} is "
            f"{found.get(odd[0], 'missing')}, expected {wanted.get(odd[0], 'nothing')}"
        )
