"""Loss terms, and the heads that they need: one line in `LOSSES` each.

`contract` says what a loss is given and what it returns.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jigsaw_shape.models.multitask import Head, edges_head, jigsaw_head
from jigsaw_shape.system.devices import AXIS
from jigsaw_shape.training.losses import (
    alignment,
    answers,
    distillation,
    edge_map,
    risks,
    style_head,
)
from jigsaw_shape.training.losses.contract import Batch, LossFn, Outputs


def jigsaw(config: ConfigDict) -> LossFn:
    """Returns the term of the jigsaw head: cross-entropy with the order (JiGen, eq. 1).

    Every image counts, an unshuffled one as order 0; or, where puzzles come beside the
    images, every puzzle. With `config.jigsaw.answer` positions it is the cross-entropy
    with the tile at each place, a mean over places.
    """

    def order_term(outputs, batch):
        values = optax.softmax_cross_entropy_with_integer_labels(
            outputs["jigsaw"], batch["puzzle_order"]
        )
        return values, batch["puzzle_counts"]

    def positions_term(outputs, batch):
        log_p = outputs["jigsaw_positions"]
        truth = batch["puzzle_permutation"][..., None]
        right = jnp.take_along_axis(log_p, truth, -1)
        return -right[..., 0].mean(-1), batch["puzzle_counts"]

    return positions_term if config.jigsaw.answer == "positions" else order_term


def jigsaw_hits(config: ConfigDict, outputs: Outputs, batch: Batch) -> jax.Array:
    """Returns whether each puzzle is solved: bool [V].

    The order is named; or each place's most probable tile is the right one.
    """
    if config.jigsaw.answer == "positions":
        placed = outputs["jigsaw_positions"].argmax(-1)
        return (placed == batch["puzzle_permutation"]).all(-1)
    return outputs["jigsaw"].argmax(-1) == batch["puzzle_order"]


def domain(config: ConfigDict) -> LossFn:
    """Returns the term of the domain head: cross-entropy with the domain.

    Ganin et al., JMLR 2016, eq. 9: the classifier learns to tell domains apart, and the
    encoder, behind a reversed gradient, to hide them. Domains are the sources, or
    natural (0) and diversified (1) images (Brochu, arXiv 1907.12892).
    """

    def term(outputs, batch):
        values = optax.softmax_cross_entropy_with_integer_labels(
            outputs["domain"], domain_labels(config, batch)
        )
        return values, jnp.ones_like(values)

    return term


def domain_labels(config: ConfigDict, batch: Batch) -> jax.Array:
    """Returns which domain each image is of, for the domain head: int32 [V]."""
    if config.dann.domains == "style":
        return batch["styled"].astype(jnp.int32)
    return batch["domain"]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the heads have to tell apart.

    Attributes:
      classes: Of the data set.
      permutations: int32 [K + 1, T].
      domains: Of the data set, the target among them: its images are in no batch.
    """

    classes: int
    permutations: np.ndarray
    domains: int


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss by name, and the head of that name if it has one of its own.

    Attributes:
      make: `make(config)` returns the loss.
      head: `head(config, sizes)` returns the head; None where there is none.
      hits: `hits(config, outputs, batch)` returns whether the head is right: bool [V].
      by_order: Whether the head's accuracy is counted apart for ordered images and for
        shuffled ones.
      both_styles: Whether it compares each image with its form before its style
        changed; then the batch holds both, see `view.Seen`.
      second_style: Whether it compares them with a second change of style too.
      of_domains: Whether it compares domains, see `contract`; it needs two sources.
      memory: `memory(n_domains, params)` returns what the loss knows before the first
        step, arrays. Such a loss is given its memory as a third argument and returns
        the next one as a third result. None where it needs none.
      weight_at: `weight_at(config, weight, progress)` returns its weight at a time of
        the run; None for a weight that stays.
      teacher: `teacher(config)` returns what the weights of its teacher, whose outputs
        are the batch's `teacher`, keep a step, as `Term.momentum`; None without one.
    """

    make: Callable[[ConfigDict], LossFn]
    head: Callable[[ConfigDict, Sizes], Head] | None = None
    hits: Callable[[ConfigDict, Outputs, Batch], jax.Array] | None = None
    by_order: bool = False
    both_styles: bool = False
    second_style: bool = False
    of_domains: bool = False
    memory: Callable[[int, Any], Any] | None = None
    weight_at: Callable[[ConfigDict, float, jax.Array], jax.Array] | None = None
    teacher: Callable[[ConfigDict], float] | None = None


@dataclasses.dataclass(frozen=True)
class Term:
    """A loss of a run.

    Attributes:
      weight: `weight(progress)`, float32 [], at a time of the run.
      loss: Its values and what counts of them.
      hits: Whether the head of its name is right; None where it has no head.
      by_order: See `Loss`.
      memory: `memory(params)` returns its first memory; None where it needs none.
      momentum: What a teacher keeps of its weights a step, at most; 1: they stay those
        that the run began with. None where it needs none.
    """

    weight: Callable[[jax.Array], jax.Array | float]
    loss: LossFn
    hits: Callable[[Outputs, Batch], jax.Array] | None
    by_order: bool
    memory: Callable[[Any], Any] | None = None
    momentum: float | None = None


def _domain_head(config: ConfigDict, sizes: Sizes) -> Head:
    n_domains = 2 if config.dann.domains == "style" else sizes.domains
    return Head(n_domains, hidden=tuple(config.dann.hidden), reverse=True)


def _late(config: ConfigDict, weight: float, progress: jax.Array) -> jax.Array:
    """Returns a weight that `config.invariance` holds back at first."""
    before = min(weight, config.invariance.early_weight)
    return jnp.where(progress < config.invariance.start, before, weight)


def _ramped(config: ConfigDict, weight: float, progress: jax.Array) -> jax.Array:
    """Returns a weight that rises over `config.teacher.ramp` of the run.

    exp(-5 (1 - t)^2), t from 0 to 1 (Laine & Aila, ICLR 2017), as in FACT's code.
    """
    t = jnp.clip(progress / max(config.teacher.ramp, 1e-9), 0, 1)
    return weight * jnp.exp(-5 * (1 - t) ** 2)


def _of_risks(loss: Callable[..., LossFn]) -> Callable[[ConfigDict], LossFn]:
    return lambda config: loss(config, answers.classification(config))


LOSSES: dict[str, Loss] = {
    "classification": Loss(
        answers.classification,
        head=lambda config, sizes: Head(
            sizes.classes, detached=config.classification.detached
        ),
        hits=lambda config, outputs, batch: (
            outputs["classification"].argmax(-1) == batch["label"]
        ),
    ),
    "jigsaw": Loss(
        jigsaw,
        head=lambda config, sizes: jigsaw_head(config.jigsaw, sizes.permutations),
        hits=jigsaw_hits,
        by_order=True,
    ),
    "domain": Loss(
        domain,
        head=_domain_head,
        hits=lambda config, outputs, batch: (
            outputs["domain"].argmax(-1) == domain_labels(config, batch)
        ),
    ),
    "consistency": Loss(answers.consistency, both_styles=True),
    "teacher": Loss(
        answers.teacher,
        both_styles=True,
        weight_at=_ramped,
        teacher=lambda config: config.teacher.momentum,
    ),
    "distillation": Loss(distillation.distillation, teacher=lambda config: 1.0),
    "jsd": Loss(answers.agreement, both_styles=True, second_style=True),
    "coral": Loss(alignment.coral, of_domains=True),
    "mmd": Loss(alignment.mmd, of_domains=True),
    "cdann": Loss(
        alignment.conditional_domain,
        head=lambda config, sizes: Head(
            sizes.classes * sizes.domains,
            hidden=tuple(config.dann.hidden),
            reverse=True,
        ),
        hits=lambda config, outputs, batch: alignment.conditional_hits(outputs, batch),
        of_domains=True,
    ),
    "vrex": Loss(_of_risks(risks.vrex), of_domains=True, weight_at=_late),
    "irm": Loss(_of_risks(risks.irm), of_domains=True, weight_at=_late),
    "groupdro": Loss(
        _of_risks(risks.group_dro), of_domains=True, memory=risks.group_weights
    ),
    "fishr": Loss(
        _of_risks(risks.fishr),
        of_domains=True,
        weight_at=_late,
        memory=risks.gradient_variances,
    ),
    "sd": Loss(answers.decoupling),
    "edges": Loss(
        edge_map.edge_map,
        head=lambda config, sizes: edges_head(config.edges),
    ),
    "style": Loss(
        style_head.style,
        head=lambda config, sizes: Head(sizes.classes),
        hits=lambda config, outputs, batch: (
            outputs["style"].argmax(-1) == batch["label"]
        ),
    ),
}


def make_losses(config: ConfigDict, n_domains: int = 0) -> dict[str, Term]:
    """Returns the terms of weight above 0, by name.

    Args:
      config: The run's.
      n_domains: Of the data set; wanted by losses that compare domains.

    Raises:
      ValueError: `config.losses` names a term that does not exist.
    """
    unknown = [name for name in config.losses if name not in LOSSES]
    if unknown:
        raise ValueError(
            f"config.losses has no {', '.join(unknown)}: use {', '.join(LOSSES)}"
        )

    def make(name, weight):
        loss = LOSSES[name]
        hits = loss.hits and functools.partial(loss.hits, config)
        memory = loss.memory and functools.partial(loss.memory, n_domains)
        made = loss.make(config)
        if loss.of_domains:
            made = _over_devices(made, name, n_domains)

        def weight_at(progress):
            if loss.weight_at is None:
                return weight
            return loss.weight_at(config, weight, progress)

        momentum = loss.teacher(config) if loss.teacher else None
        return Term(weight_at, made, hits, loss.by_order, memory, momentum)

    return {
        name: make(name, weight) for name, weight in config.losses.items() if weight > 0
    }


def _over_devices(loss: LossFn, name: str, n_domains: int) -> LossFn:
    """Returns a loss of domains that is given the part of one device.

    Every device computes the same of everything: a gather of features and scores is
    small beside an encoder, and what follows is the plain formula of a whole batch.
    """
    read = ("features", "classification", name)

    def term(outputs, batch, *memory):
        outputs = {key: value for key, value in outputs.items() if key in read}
        of_device = ("twin", "natural", "stored")
        batch = {key: value for key, value in batch.items() if key not in of_device}
        outputs, batch = jax.lax.all_gather((outputs, batch), AXIS, tiled=True)
        member = jax.nn.one_hot(batch["domain"], n_domains)
        batch["member"] = member * batch["for_class"][:, None]
        return loss(outputs, batch, *memory)

    return term


def need_two_sources(config: ConfigDict) -> list[str]:
    """Returns the names of the terms of weight above 0 that compare sources."""
    of_domains = [name for name, loss in LOSSES.items() if loss.of_domains]
    if config.dann.domains == "source":
        of_domains.append("domain")
    return [name for name in of_domains if config.losses.get(name, 0) > 0]


def need_both_styles(config: ConfigDict) -> bool:
    """Returns whether a term of weight above 0 needs each image in both styles."""
    return any(
        LOSSES[name].both_styles for name, weight in config.losses.items() if weight > 0
    )


def need_second_style(config: ConfigDict) -> bool:
    """Returns whether a term of weight above 0 needs each image in a second style."""
    return any(
        LOSSES[name].second_style
        for name, weight in config.losses.items()
        if weight > 0
    )


def make_heads(config: ConfigDict, sizes: Sizes) -> dict[str, Head]:
    """Returns the heads of the terms of weight above 0, by their names."""
    return {
        name: LOSSES[name].head(config, sizes)
        for name, weight in config.losses.items()
        if weight > 0 and LOSSES[name].head is not None
    }
