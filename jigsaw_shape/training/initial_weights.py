"""The weights that a run starts from: random, foreign, or those of another run."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flax import traverse_util
from ml_collections import ConfigDict

from jigsaw_shape.config import listed
from jigsaw_shape.models.build import pixels
from jigsaw_shape.models.weights import loading
from jigsaw_shape.models.weights.locate import RANDOM
from jigsaw_shape.runs import directory, rows, stored_weights
from jigsaw_shape.runs.file_names import CONFIG
from jigsaw_shape.system import buckets

_USUAL_RULE = "val"


def load(config: ConfigDict) -> loading.Pretrained | None:
    """Returns the weights that `config.model.init` names, None for random ones.

    Raises:
      ValueError: An unknown encoder; or weights that cannot be found, do not fit it, or
        know the target: trained on it, selected by it, or begun with such weights.
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


def _as_run(init: str) -> tuple[Path | None, str]:
    """Returns the folder of the run that `init` names, if it does, and the rule."""
    folder, at, rule = init.rpartition("@")
    if not at or rule not in rows.RULES:
        folder, rule = init, _USUAL_RULE
    path = Path(buckets.here(folder))
    is_run = (path / CONFIG).is_file() and (path / "checkpoints").is_dir()
    return (path, rule) if is_run else (None, rule)


def _of_run(
    config: ConfigDict, folder: Path, rule: str, skip: tuple[str, ...]
) -> loading.Pretrained:
    init, encoder = config.model.init, config.model.encoder
    try:
        stored = directory.read_config(folder)
        evaluations = directory.read_evaluations(folder)
    except ValueError as error:
        raise ValueError(f"config.model.init={init!r}: {error}") from error
    if stored.model.encoder != encoder:
        raise ValueError(
            f"config.model.init={init!r} has weights of {stored.model.encoder!r}, "
            f"not of config.model.encoder={encoder!r}: change one of them"
        )
    facts = directory.knowledge(folder, stored, rule)
    _refuse_target(config, facts)
    step = int(rows.select(evaluations, rule)["step"])
    variables = stored_weights.read_variables(folder / "checkpoints", step)
    arrays = {}
    for kind, tree in variables.items():
        flat = traverse_util.flatten_dict(tree.get("encoder", {}), sep="/")
        arrays |= {f"{kind}/{name}": array for name, array in flat.items()}
    head = variables["params"].get("head_classification", {})
    arrays |= {f"classifier/{name}": array for name, array in head.items()}
    expected = tuple(
        loading.triple(value, f"{name} of {folder}")
        for name, value in zip(("mean", "std"), pixels(stored), strict=True)
    )
    fitted = loading.fit(init, encoder, loading.own(arrays), expected, skip=skip)
    return dataclasses.replace(fitted, facts=facts)


def knowledge(pretrained: loading.Pretrained | None) -> dict[str, Any]:
    """Returns what a run's first weights have seen, for its `run.json`.

    `directory.knowledge` of weights that are another run's or exported from one, else
    {}.
    """
    facts = {} if pretrained is None else pretrained.facts
    return {key: facts[key] for key in directory.KNOWLEDGE if key in facts}


def _refuse_target(
    config: ConfigDict, facts: Mapping[str, Any], relation: str = "was"
) -> None:
    """Refuses weights that have seen the target, or that began with such weights.

    Args:
      config: Of the run that starts from them.
      facts: What they have seen, see `directory.knowledge`.
      relation: Of the weights that `config.model.init` names to these.
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
    adapted = facts.get("setting") == "adaptation"
    if theirs == ours.target and adapted and ours.setting != "adaptation":
        raise ValueError(
            f"config.model.init={config.model.init!r} {relation} trained on "
            f"{ours.target} without labels, which is config.data.target: choose a run "
            "that held it out, or set config.data.setting=adaptation"
        )
    if theirs == ours.target and facts.get("selection") == "oracle":
        raise ValueError(
            f"config.model.init={config.model.init!r} {relation} selected by accuracy "
            f"on {ours.target}, which is config.data.target: choose val or last"
        )
