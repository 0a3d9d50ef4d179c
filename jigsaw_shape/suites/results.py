"""What an evaluation found, and with which command, models and images."""

import dataclasses
import datetime
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.system import versions

_VERSIONS_OF = ("jigsaw_shape", "jax", "flax", "numpy", "pillow", "onnxruntime")


@dataclasses.dataclass
class Results:
    """Everything that was found.

    Attributes:
      rows: Flat, see `suite.Suite`.
      decisions: Of the models, to be written in the published format.
      observers: Others' decisions on the same images.
      stimuli: Each folder or data set by name.
      samples: `{data: {probe: uint8 [k, H, W, 3]}}`, for the page.
      kept: What suites keep for their sections (`Suite.keep`), by suite and data.
      notes: What a reader should know, such as what was left out.
      speed: Fields `data`, `n_answers`, `images_per_s`, `forward_share`, a pass each.
    """

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    decisions: list[Decisions] = dataclasses.field(default_factory=list)
    observers: list[Decisions] = dataclasses.field(default_factory=list)
    stimuli: dict[str, Stimuli] = dataclasses.field(default_factory=dict)
    samples: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    kept: dict[tuple[str, str], Mapping[str, Any]] = dataclasses.field(
        default_factory=dict
    )
    notes: list[str] = dataclasses.field(default_factory=list)
    speed: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def circumstances(
    argv: Sequence[str], opened: Opened, results: Results
) -> dict[str, Any]:
    """Returns what a reader needs to repeat an evaluation, in JSON's types.

    Args:
      argv: The program's name and its arguments.
      opened: What was evaluated.
      results: What was found.
    """
    devices = jax.devices()
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": ["python", "-m", "jigsaw_shape.evaluate", *argv[1:]],
        "versions": {
            "python": platform.python_version(),
            **versions.installed(*_VERSIONS_OF),
        },
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "models": {
            model.name: {**model.about, "classes": list(model.classes)}
            for model in opened.models
        }
        | {
            name: {"weights": "a file of predictions"}
            for name in (*(one.observer for one in opened.predicted), *opened.features)
        },
        "data": {
            name: {
                "experiment": stimuli.experiment,
                "n_images": len(stimuli.images),
                "side_px": stimuli.side_px,
                "digest": stimuli.digest,
                "made_by": stimuli.made_by,
            }
            for name, stimuli in results.stimuli.items()
        },
        "speed": results.speed,
        "notes": results.notes,
    }
