"""What an evaluation found, before it is written. Imports no JAX."""

import dataclasses
from typing import Any

import numpy as np

from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import Stimuli


@dataclasses.dataclass
class Findings:
    """Everything that was found.

    Attributes:
      rows: Flat, see `scoring`.
      decisions: Of the models, to be written in the published format.
      observers: Others' decisions on the same images.
      stimuli: Each folder or data set by name.
      samples: `{data: {probe: uint8 [k, H, W, 3]}}`.
      notes: What a reader should know, such as what was left out.
      speed: Fields `data`, `n_answers`, `images_per_s`, `forward_share`, a pass each.
    """

    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    decisions: list[Decisions] = dataclasses.field(default_factory=list)
    observers: list[Decisions] = dataclasses.field(default_factory=list)
    stimuli: dict[str, Stimuli] = dataclasses.field(default_factory=dict)
    samples: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)
    speed: list[dict[str, Any]] = dataclasses.field(default_factory=list)
