"""The weights that a run starts from: random, foreign, or those of another run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from jigsaw_shape.config import listed
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.build import pixels
from jigsaw_shape.models.weights import loading
from jigsaw_shape.models.weights.locate import RANDOM
from jigsaw_shape.runs import directory, rows, stored_weights

_USUAL_RULE = "val"


def load(config: ConfigDict) -> loading.Pretrained | None:
    """Returns the weights that `config.model.init` names, None for random ones.

    Args:
      config: The run's.

    Raises:
      ValueError: An unknown encoder; or the weights cannot be found, do not fit it, or
        know the target: a run, or a file of one, that was trained on it, or selected
        by it, or began with such weights.
      OSError: A file cannot be read.
    """
    model, pretrained = config.model, None
    pixels(config)  # refuses an unknown encoder
    skip = listed(model.init_skip)
    folder, rule = _as_run(model.init)
    if folder is not None:
        pretrained = _of_run(config, folder, rule, skip)
    elif model.init != RANDOM:
        pretrained = loading.load_pretrained(model.init, model.encoder, skip=skip)
        _refuse_target(config, pretrained.facts)
    return pretrained


def with_pixels(
    config: ConfigDict, pretrained: loading.Pretrained | None
) -> ConfigDict:
    """Returns the configuration that a run stores: it says what pixels it feeds.

    A copy of `config`. Where the weights expect other pixels than the encoder usually
    does, its `model.mean` and `model.std` are theirs, unless `config` sets them.
    """
    config = config.copy_and_resolve_references()
    if pretrained is not None and pretrained.mean is not None:
        expected = {"mean": pretrained.mean, "std": pretrained.std}
        if tuple(expected.values()) != pixels(config):
            for name, value in expected.items():
                config.model[name] = tuple(config.model[name]) or value
    return config


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run that others start from: its settings, and the step that a rule picked."""

    config: ConfigDict
    step: int


def _as_run(init: str) -> tuple[Path | None, str]:
    """Returns the folder of the run that `init` names, if it does, and the rule."""
    folder, at, rule = init.rpartition("@")
    if not at or rule not in rows.RULES:
        folder, rule = init, _USUAL_RULE
    path = Path(folder)
    is_run = (path / "config.json").is_file() and (path / "checkpoints").is_dir()
    return (path, rule) if is_run else (None, rule)


def _of_run(
    config: ConfigDict, folder: Path, rule: str, skip: tuple[str, ...]
) -> loading.Pretrained:
    init, encoder = config.model.init, config.model.encoder
    run = _open(init, folder, rule)
    theirs = run.config.model.encoder
    if theirs != encoder:
        raise ValueError(
            f"config.model.init={init!r} is of {theirs!r}, not of config.model.encoder="
            f"{encoder!r}: change one of them"
        )
    facts = directory.knowledge(folder, run.config, rule)
    _refuse_target(config, facts)
    variables = stored_weights.read_variables(folder / "checkpoints", run.step)
    arrays = {}
    for kind, tree in variables.items():
        flat = traverse_util.flatten_dict(tree.get("encoder", {}), sep="/")
        arrays |= {f"{kind}/{name}": array for name, array in flat.items()}
    head = variables["params"].get("head_classification", {})
    arrays |= {f"classifier/{name}": array for name, array in head.items()}
    expected = tuple(
        loading.triple(
            run.config.model[name] or getattr(ENCODERS[encoder], name),
            f"{name} of {folder}",
        )
        for name in ("mean", "std")
    )
    fitted = loading.fit(init, encoder, loading.own(arrays), expected, skip=skip)
    return dataclasses.replace(fitted, facts=facts)


def _open(init: str, folder: Path, rule: str) -> _Run:
    try:
        config = directory.read_config(folder)
        evaluations = directory.read_evaluations(folder)
    except ValueError as error:
        raise ValueError(f"config.model.init={init!r}: {error}") from error
    return _Run(config, int(rows.select(evaluations, rule)["step"]))


def knowledge(pretrained: loading.Pretrained | None) -> dict[str, Any]:
    """Returns what a run is to remember that its first weights knew; often nothing.

    Those of `directory.knowledge`, of weights that are a run's or exported from one.
    """
    facts = {} if pretrained is None else pretrained.facts
    return {key: facts[key] for key in directory.KNOWLEDGE if key in facts}


def _refuse_target(
    config: ConfigDict, facts: Mapping[str, Any], relation: str = "was"
) -> None:
    """Refuses weights that know the target, or began with such ones.

    Args:
      config: The run's that starts from them.
      facts: What they know, see `directory.knowledge`.
      relation: Between the weights that were named and these.
    """
    if facts.get("after"):
        _refuse_target(config, facts["after"], "began with weights that were")
    ours = config.data
    if facts.get("dataset") != ours.name or "target" not in facts:
        return
    sources = listed(facts.get("sources", ""))
    theirs = facts["target"]
    if theirs != ours.target and (not sources or ours.target in sources):
        raise ValueError(
            f"config.model.init={config.model.init!r} {relation} trained on "
            f"{ours.target}, which is config.data.target: choose a run that held it out"
        )
    if theirs == ours.target and facts.get("selection") == "oracle":
        raise ValueError(
            f"config.model.init={config.model.init!r} {relation} selected by accuracy "
            f"on {ours.target}, which is config.data.target: choose val or last"
        )
