"""From a configuration to its network: encoder and heads, without a training view."""

import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.models import EncoderSpec, Triple, encoder_spec
from jigsaw_shape.models.multitask import Head, Multitask


def build_model(
    config: ConfigDict, heads: Mapping[str, Head], *, norm_axis: str | None = None
) -> Multitask:
    """Returns the network that a configuration describes.

    Args:
      config: A run's.
      heads: By name; those of a stored run are `stored_heads`.
      norm_axis: The axis over which BatchNorm is synchronized in training.

    Raises:
      ValueError: An unknown encoder.
    """
    mean, std = pixels(config)
    encoder = _spec(config).build(
        dtype=jnp.dtype(config.model.dtype),
        norm_axis=norm_axis,
        freeze_norm=config.model.freeze_norm,
    )
    return Multitask(encoder=encoder, heads=heads, mean=mean, std=std)


def pixels(config: ConfigDict) -> tuple[Triple, Triple]:
    """Returns the mean and the standard deviation by which RGB is normalized.

    Raises:
      ValueError: An unknown encoder.
    """
    spec = _spec(config)
    return tuple(config.model.mean) or spec.mean, tuple(config.model.std) or spec.std


def _spec(config: ConfigDict) -> EncoderSpec:
    return encoder_spec(config.model.encoder, "config.model.encoder")


def stored_heads(params: Mapping[str, Any]) -> dict[str, Head]:
    """Returns the heads whose weights a checkpoint holds.

    The weights say how wide each is; what a head does to gradients is not stored and
    does not matter for predicting.

    Args:
      params: Of a `Multitask`.
    """
    heads = {}
    for key, tree in params.items():
        name = key.removeprefix("head_")
        if name == key or re.search(r"_hidden\d+$", name):
            continue
        layers = sorted(
            (int(other.rpartition("_hidden")[2]), len(params[other]["bias"]))
            for other in params
            if re.fullmatch(rf"{re.escape(key)}_hidden\d+", other)
        )
        hidden = tuple(width for _, width in layers)
        heads[name] = Head(len(tree["bias"]), hidden)
    return heads
