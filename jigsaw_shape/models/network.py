"""A network with its weights: what a run, an export and published weights all hold."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.models import ENCODERS, Triple, encoder_spec
from jigsaw_shape.models.multitask import Multitask

HEAD = "head_classification"


@dataclasses.dataclass(frozen=True)
class Network:
    """An encoder and its heads with their variables.

    Attributes:
      encoder: A name in `ENCODERS`.
      module: Encoder and heads; its `mean` and `std` normalize RGB in [0, 1].
      variables: `params` and, with BatchNorm, `batch_stats` of the module, NumPy.
      classes: What the head `classification` tells apart; empty without that head.
      size_px: The side of the squares that the network sees.
      input_px: The side of the squares that are handed in; they are resized to
        `size_px` as in training's evaluation.
    """

    encoder: str
    module: Multitask
    variables: Mapping[str, Any]
    classes: tuple[str, ...]
    size_px: int
    input_px: int

    @property
    def encoder_variables(self) -> dict[str, Any]:
        """The variables of the encoder alone."""
        return {kind: tree["encoder"] for kind, tree in self.variables.items() if tree}

    @property
    def classifier(self) -> Mapping[str, np.ndarray] | None:
        """`{"kernel": [F, n], "bias": [n]}` of the class head; None without one."""
        return self.variables["params"].get(HEAD)

    def facts(self) -> dict[str, Any]:
        """Returns all but the arrays, in JSON's types: what a reader needs."""
        return {
            "encoder": self.encoder,
            "image_size": self.size_px,
            "input_px": self.input_px,
            "mean": list(self.module.mean),
            "std": list(self.module.std),
            "classes": list(self.classes),
        }

    def digest(self) -> str:
        """Returns what tells the encoder's weights from others'."""
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(self.encoder_variables):
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()[:16]


def make_network(
    encoder: str,
    variables: Mapping[str, Any],
    classifier: Mapping[str, np.ndarray] | None,
    *,
    classes: tuple[str, ...],
    size_px: int,
    input_px: int,
    mean: Triple,
    std: Triple,
) -> Network:
    """Returns an encoder with its class head, if it has one, computed in float32.

    Args:
      encoder: A name in `ENCODERS`.
      variables: `params` and `batch_stats` of the encoder.
      classifier: `{"kernel": [F, n], "bias": [n]}`, or None.
      classes: See `Network`; so are `size_px` and `input_px`.
      size_px: See there.
      input_px: See there.
      mean: Subtracted from RGB in [0, 1], a channel.
      std: The difference is divided by it, a channel.
    """
    tree = {
        kind: {"encoder": of_kind} for kind, of_kind in variables.items() if of_kind
    }
    heads = {}
    if classifier is not None:
        tree["params"] |= {HEAD: dict(classifier)}
        heads = {"classification": len(classifier["bias"])}
    module = Multitask(ENCODERS[encoder].build(dtype=jnp.float32), heads, mean, std)
    return Network(encoder, module, tree, classes, size_px, input_px)


def from_facts(
    facts: Mapping[str, Any],
    variables: Mapping[str, Any],
    classifier: Mapping[str, np.ndarray] | None,
) -> Network:
    """Returns a network of the facts of `Network.facts` and the arrays.

    Raises:
      ValueError: The facts are not those of an export, or of an unknown encoder.
    """
    try:
        encoder = facts["encoder"]
        fields = {
            "classes": tuple(facts["classes"]) if classifier is not None else (),
            "size_px": int(facts["image_size"]),
            "input_px": int(facts["input_px"]),
            "mean": tuple(facts["mean"]),
            "std": tuple(facts["std"]),
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the facts of an export: {error}") from error
    encoder_spec(encoder, "the encoder of this export")
    return make_network(encoder, variables, classifier, **fields)
