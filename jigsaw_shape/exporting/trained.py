"""What is exported: an encoder, its classifier, and what a user has to know of them."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.multitask import Multitask
from jigsaw_shape.pixels import augment

_HEAD = "head_classification"
INPUTS = {"uint8": np.uint8, "float": np.float32}


@dataclasses.dataclass(frozen=True)
class Trained:
    """An encoder with its variables, and its classifier where it has one.

    Attributes:
      encoder: A name in `ENCODERS`.
      variables: `params` and `batch_stats` of the encoder, NumPy arrays.
      classifier: `{"kernel": [F, n], "bias": [n]}`; None without.
      classes: Names of the n; empty without a classifier.
      size_px: The side of the squares that the network sees.
      input_px: The side of the squares that are handed in; they are resized to
        `size_px` as in training's evaluation.
      mean: Subtracted from RGB in [0, 1], a channel.
      std: The difference is divided by it, a channel.
    """

    encoder: str
    variables: Mapping[str, Any]
    classifier: Mapping[str, np.ndarray] | None
    classes: tuple[str, ...]
    size_px: int
    input_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """H, W, C of an image."""
        return (self.input_px, self.input_px, 3)

    def facts(self) -> dict[str, Any]:
        """Returns all but the arrays, in JSON's types: what a reader needs."""
        return {
            "encoder": self.encoder,
            "image_size": self.size_px,
            "input_px": self.input_px,
            "mean": list(self.mean),
            "std": list(self.std),
            "classes": list(self.classes),
        }

    def apply(self, tree: Mapping[str, Any], images: jax.Array) -> dict[str, jax.Array]:
        """Returns `features` [B, F] and, with a classifier, `logits` [B, n], float32.

        Args:
          tree: See `tree`; an argument of its own, so that programs may take it as one.
          images: [B, input_px, input_px, 3], RGB: uint8, or float32 in [0, 1].
        """
        images = augment.resize(images, self.size_px)
        outputs = self._module().apply(tree, images, train=False)
        renamed = {"features": outputs["features"]}
        if self.classifier is not None:
            renamed["logits"] = outputs["classification"]
        return renamed

    def tree(self) -> dict[str, Any]:
        """Returns the variables of encoder and classifier together."""
        params = {"encoder": self.variables["params"]}
        if self.classifier is not None:
            params[_HEAD] = dict(self.classifier)
        stats = self.variables.get("batch_stats")
        return {"params": params} | (
            {"batch_stats": {"encoder": stats}} if stats else {}
        )

    def function(self, images: jax.Array) -> dict[str, jax.Array]:
        """Returns what `apply` does of these variables, as constants of the program."""
        return self.apply(self.tree(), images)

    def _module(self) -> Multitask:
        heads = {} if self.classifier is None else {"classification": len(self.classes)}
        encoder = ENCODERS[self.encoder].build(dtype=jnp.float32)
        return Multitask(encoder, heads, self.mean, self.std)


def from_facts(
    facts: Mapping[str, Any],
    variables: Mapping[str, Any],
    classifier: Mapping[str, np.ndarray] | None,
) -> Trained:
    """Returns the inverse of `Trained.facts`, with the arrays.

    Raises:
      ValueError: The facts are not those of an export, or of an unknown encoder.
    """
    try:
        trained = Trained(
            encoder=facts["encoder"],
            variables=variables,
            classifier=classifier,
            classes=tuple(facts["classes"]),
            size_px=int(facts["image_size"]),
            input_px=int(facts["input_px"]),
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an export's facts: {error}") from error
    if trained.encoder not in ENCODERS:
        raise ValueError(
            f"unknown encoder {trained.encoder!r}, known: {', '.join(ENCODERS)}"
        )
    return trained


def to_metadata(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns facts as strings, which is all that some formats keep: JSON each."""
    return {name: json.dumps(value) for name, value in facts.items()}


def from_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Returns the inverse of `to_metadata`; what is no JSON stays as it is."""
    facts = {}
    for name, text in metadata.items():
        try:
            facts[name] = json.loads(text)
        except json.JSONDecodeError:  # of another program
            facts[name] = text
    return facts
