"""From a configuration to the things that a run is made of."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.diversify import feature_styles
from jigsaw_shape.models import ENCODERS, EncoderSpec, multitask
from jigsaw_shape.models.build import build_model
from jigsaw_shape.models.multitask import Multitask, reversal_at
from jigsaw_shape.models.weights.loading import Pretrained
from jigsaw_shape.pixels import mixing, puzzle, shortcuts
from jigsaw_shape.system import devices
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.head_inputs import Reread, make_reread
from jigsaw_shape.training.losses import (
    Sizes,
    Term,
    make_heads,
    make_losses,
    need_both_styles,
    need_second_style,
)
from jigsaw_shape.training.view import View, make_view


@dataclasses.dataclass(frozen=True)
class Learner:
    """What learns: nothing in it has seen an image.

    Attributes:
      model: Encoder and heads.
      permutations: int32 [K + 1, T].
      view: What the model sees of a stored image in training.
      losses: Terms by name.
      make_edit: What features pass through between stages in training, if anything.
      reversal: `reversal(progress)`, how much of a gradient heads reverse that do;
        None where none does.
      mix: `mix(rng, images)` mixes images and their labels; None where nothing does.
      reread: What heads read in place of the features; None for the features.
    """

    model: Multitask
    permutations: np.ndarray
    view: View
    losses: dict[str, Term]
    make_edit: step_lib.MakeEdit | None = None
    reversal: Callable[[jax.Array], jax.Array] | None = None
    mix: Callable[..., mixing.Mixed] | None = None
    reread: Reread | None = None

    @property
    def solves_puzzles(self) -> bool:
        """Whether a head does."""
        return "jigsaw" in self.model.heads


def make_learner(config: ConfigDict, n_classes: int, n_domains: int = 0) -> Learner:
    """Returns the model, the puzzle, the view and the losses.

    Args:
      config: The run's.
      n_classes: Of the data set.
      n_domains: Of the data set; wanted by a head that tells its sources apart.

    Raises:
      ValueError: An unknown encoder or loss.
    """
    losses = make_losses(config, n_domains)
    permutations = puzzle.permutation_set(
        config.jigsaw.grid, config.jigsaw.n_permutations, config.jigsaw.seed
    )
    heads = make_heads(config, Sizes(n_classes, permutations, n_domains))
    model = build_model(config, heads, norm_axis=devices.AXIS)
    view = make_view(
        config,
        permutations,
        both_styles=need_both_styles(config),
        second_style=need_second_style(config),
    )
    reversal = None
    if any(head.reverse for head in heads.values()):
        gamma, strongest = config.dann.gamma, config.dann.strongest
        reversal = functools.partial(reversal_at, gamma=gamma, strongest=strongest)
    edit = _make_edit(config, ENCODERS[config.model.encoder])
    mix = None
    if config.mixing.name:
        mix = functools.partial(
            mixing.MIXINGS[config.mixing.name], alpha=config.mixing.alpha
        )
    reread = make_reread(config)
    return Learner(model, permutations, view, losses, edit, reversal, mix, reread)


def _make_edit(config: ConfigDict, spec: EncoderSpec) -> step_lib.MakeEdit | None:
    named = config.mixstyle.stages
    stages = config_lib.listed(named)
    if not stages:
        return None
    if stages == ("usual",):
        stages = spec.style_stages
    allowed = [stage for stage in spec.stages if stage not in spec.flat_stages]
    if stages == ("all",):
        stages = tuple(allowed)
    if not set(stages) <= set(allowed):
        raise ValueError(
            f"--config.mixstyle.stages={named}: {config.model.encoder} has "
            f"{', '.join(allowed)}; or use usual or all"
        )
    return feature_styles.make_edit(config.mixstyle, stages)


def init_variables(
    config: ConfigDict, model: Multitask, pretrained: Pretrained | None
) -> dict:
    """Returns the variables before the first step.

    Args:
      config: The run's.
      model: Its model.
      pretrained: The encoder's weights (`initial_weights.load`), None for random ones.
        What they lack, and the heads, are random.
    """
    init_rng = jax.random.fold_in(jax.random.key(config.seed), 0)
    variables = multitask.init_variables(model, init_rng, config.data.image_size)
    if pretrained is None:
        return variables
    encoder = {kind: tree.get("encoder", {}) for kind, tree in variables.items()}
    merged = pretrained.merged(encoder)

    def begun(kind, tree):
        # Statistics of tiles begin as those of images; what is donated is not shared.
        parts = [part for part in ("encoder", "tiles") if tree.get(part)]
        return tree | {part: jax.tree.map(np.array, merged[kind]) for part in parts}

    return {kind: begun(kind, tree) for kind, tree in variables.items()}


def step_rng(config: ConfigDict) -> jax.Array:
    """Returns the key of the run's steps, apart from the initial weights'."""
    return jax.random.fold_in(jax.random.key(config.seed), 1)


def make_predict(config: ConfigDict, learner: Learner):
    """Returns the prediction of `step.make_predict` for this configuration."""
    return step_lib.make_predict(
        learner.model,
        config.data.image_size,
        config.jigsaw.grid,
        learner.permutations,
        shortcuts.at_evaluation(config.jigsaw),
    )
