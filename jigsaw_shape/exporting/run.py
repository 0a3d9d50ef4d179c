"""What a finished run's folder holds of its encoder, opened for reading alone."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jigsaw_shape.classifiers import of_run
from jigsaw_shape.exporting.trained import Trained
from jigsaw_shape.runs import directory, fingerprint

_PATHS = (("diversify", "styles"), ("diversify", "stylizer"), ("model", "init"))
_NAMED = ("torchvision:", "pretrained:", "timm:", "hub:")  # weights, by no path


@dataclasses.dataclass(frozen=True)
class Saved:
    """A run and the weights that a rule picked of it.

    Attributes:
      trained: The weights.
      config: The run's configuration, in JSON's types.
      evaluations: Its rows of kind `eval`.
      knowledge: What the weights have seen (`directory.knowledge`).
      step: Of the weights.
    """

    trained: Trained
    config: dict[str, Any]
    evaluations: list[dict]
    knowledge: dict[str, Any]
    step: int

    def facts(self) -> dict[str, Any]:
        """Returns where the weights are from, in JSON's types."""
        return {
            **self.knowledge,
            "preset": self.config["preset"],
            "seed": self.config["seed"],
            "init": public(self.config)["model"]["init"],
            "step": self.step,
        }


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration without the places of a machine.

    Of a path that says what weights or styles were used, its last name is left:
    `.../best.pth`. What is no path, such as `pack` or `torchvision:NAME`, stays.
    """
    shown = {
        key: dict(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key != "workdir"
    }
    shown["data"] = {k: v for k, v in shown["data"].items() if not k.endswith("_dir")}
    for section, key in _PATHS:
        value = shown.get(section, {}).get(key, "")
        if "/" in value and not value.startswith(_NAMED):
            shown[section][key] = f".../{Path(value).name}"
    return shown


def open_run(workdir: Path, selection: str, input_px: int = 0) -> Saved:
    """Returns a run's weights; nothing in its folder is touched.

    Args:
      workdir: The run's.
      selection: A rule of `rows.RULES`.
      input_px: The side of the squares that are handed in; 0: that of the images the
        run kept, so that what is exported sees what the run's evaluation saw.

    Raises:
      ValueError: It is no run, has no evaluation yet, or lacks that checkpoint.
      OSError: A file cannot be read.
    """
    if input_px < 0:
        raise ValueError(f"--input-px is {input_px}: 1 or more; 0: as the run's images")
    run = of_run.open_run(workdir, selection)
    config, variables, model = run.config, run.variables, run.learner.model
    params = variables["params"]
    encoder = {"params": params["encoder"]}
    if variables["batch_stats"]:  # none without BatchNorm
        encoder["batch_stats"] = variables["batch_stats"]["encoder"]
    classifier = params.get("head_classification")
    trained = Trained(
        encoder=config.model.encoder,
        variables=encoder,
        classifier=classifier,
        classes=run.classes if classifier is not None else (),
        size_px=config.data.image_size,
        input_px=input_px or config.data.stored_px,
        mean=model.mean,
        std=model.std,
    )
    as_json = json.loads(fingerprint.to_json(config))
    knowledge = directory.knowledge(workdir, config, selection)
    return Saved(trained, as_json, run.evaluations, knowledge, run.chosen["step"])
