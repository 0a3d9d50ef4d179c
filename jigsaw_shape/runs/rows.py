"""A run's rows, and the rules that select among them. Imports no JAX.

A row is a line of the run's `metrics.jsonl`: a flat JSON object with `kind` (`train`,
`eval` or `result`) and `step`. A rule of `RULES` picks one evaluation of a run; the
earliest of equally good ones.
"""

import json
import math
import pathlib
from collections.abc import Mapping, Sequence

from ml_collections import ConfigDict

FILE_NAME = "metrics.jsonl"
NONE = "-"  # printed where there is no value
# Selection rule -> what it picks, for the legend of a table.
RULES = {
    "last": "last step",
    "val": "best on the sources' validation images, or last where none are held out",
    "oracle": "best on the target itself, an upper bound",
}
# Rule -> the measure whose best value it picks: the first of these that a run has. One
# without a class head is judged by the puzzles that it solves, one that held out no
# image for validation by its length: `val` is `last`.
SELECTED_BY = {
    "val": ("val/accuracy", "puzzle/shuffled_accuracy"),
    "oracle": (
        "target/accuracy",
        "puzzle/target_accuracy",
        "puzzle/shuffled_accuracy",  # without a target
    ),
}


def read(run: pathlib.Path) -> list[dict]:
    """Returns the rows of a run's directory, [] before the first.

    A last line that a kill cut off is left out.

    Raises:
      ValueError: Another line is damaged; names it.
    """
    path = run / FILE_NAME
    if not path.exists():
        return []
    found = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise ValueError(
                f"{path}, line {number}: not a row of a run. The file is damaged: "
                "repair it, or delete the run's directory"
            ) from error
    return found


def select(evaluations: Sequence[Mapping], rule: str) -> Mapping:
    """Returns the evaluation row that `rule` picks.

    Args:
      evaluations: Rows of kind `eval`, in the order of their steps; at least one.
      rule: One of `RULES`.
    """
    if rule == "last":
        return evaluations[-1]
    return max(evaluations, key=lambda row: (judged(row, rule), -row["step"]))


def judged(measures: Mapping, rule: str) -> float:
    """Returns what a rule of `SELECTED_BY` compares evaluations by; more is better."""
    names = (*SELECTED_BY[rule], "step")
    return next(measures[name] for name in names if name in measures)


def class_names(measures: Mapping) -> tuple[str, ...]:
    """Returns the classes of an evaluation, in order; () of one without a target."""
    prefix = "target/class/"
    return tuple(k.removeprefix(prefix) for k in measures if k.startswith(prefix))


def dataset_name(name: str, setting: str | None) -> str:
    """Returns what a data set is called in tables, none of which holds both settings.

    Args:
      name: The data set's own.
      setting: `config.data.setting`; None of a run from before the field.
    """
    return f"{name} (adaptation)" if setting == "adaptation" else name


def identity(
    config: ConfigDict, dataset: str, sources: Sequence[str], settings: str
) -> dict:
    """Returns what tells a run from others, for its result rows.

    Args:
      config: The run's.
      dataset: Name of the data set.
      sources: Names of the source domains.
      settings: `fingerprint.digest` of the configuration that was asked for.
    """
    found = {
        "dataset": dataset_name(dataset, config.data.setting),
        "preset": config.preset,
        "encoder": config.model.encoder,
        "init": config.model.init,
        "image_size": config.data.image_size,
        "settings": settings,
        "target": config.data.target,
        "sources": list(sources),
        "split": config.data.split,
        "split_seed": config.data.split_seed,
        "seed": config.seed,
    }
    if config.data.setting == "adaptation":
        found["setting"] = "adaptation"
    return found


def results(identity: Mapping, rows: Sequence[Mapping]) -> list[dict]:
    """Returns a run's three result rows: what it was, the rule, what the rule picked.

    Args:
      identity: What tells runs apart: data set, target, split, preset, seed, ...
      rows: The run's rows of every kind.
    """
    evaluations = [row for row in rows if row["kind"] == "eval"]
    chosen = {rule: dict(select(evaluations, rule)) for rule in RULES}
    for row in chosen.values():
        del row["kind"]
    return [{**identity, "selection": rule, **row} for rule, row in chosen.items()]


def strict(value: object) -> object:
    """Returns `value` with null for what JSON has no number for: nan, infinity."""
    if isinstance(value, Mapping):
        return {name: strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def percent(share: float | None, digits: int = 1) -> str:
    """Returns a share in percent, `-` for None, nan and infinity."""
    if share is None or not math.isfinite(share):
        return NONE
    return f"{100 * share:.{digits}f}"
