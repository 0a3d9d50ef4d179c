"""What a reader needs to repeat an evaluation: command, versions, data, models."""

import datetime
import platform
from collections.abc import Sequence
from typing import Any

import jax

from jigsaw_shape.suites.findings import Findings
from jigsaw_shape.suites.inputs import Opened
from jigsaw_shape.system import versions

_VERSIONS_OF = ("jigsaw_shape", "jax", "flax", "numpy", "pillow", "onnxruntime")


def collect(argv: Sequence[str], opened: Opened, findings: Findings) -> dict[str, Any]:
    """Returns the facts in JSON's types.

    Args:
      argv: The program's name and its arguments.
      opened: What was evaluated.
      findings: What was found.
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
            for name, stimuli in findings.stimuli.items()
        },
        "speed": findings.speed,
        "notes": findings.notes,
    }
