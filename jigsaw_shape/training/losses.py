"""Loss terms, and the heads that they need: one line in `LOSSES` each.

A loss maps the model's outputs and the batch to values and a mask, float32 of one shape
[n], usually one an example. The step sums both over every device before it divides, so
that the value of a term is the mean over what counts, wherever it is. The batch holds
`label`, `domain` and `order`, int32 [V], `permutation`, int32 [V, T], `styled`, bool
[V], and `for_class` and `for_puzzle`, float32 [V], for the V images that
`training.view` makes of it; `puzzle_order`, `puzzle_permutation` and `puzzle_counts` of
what the jigsaw head is asked (`view.Seen.asked`); and `twin`, int32 [B], where the
first B of them have a natural twin, the next B.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jigsaw_shape.models.multitask import Head, jigsaw_head

Outputs = Mapping[str, jax.Array]
Batch = Mapping[str, jax.Array]
LossFn = Callable[[Outputs, Batch], tuple[jax.Array, jax.Array]]


def classification(config: ConfigDict) -> LossFn:
    """Returns the term of the class head: cross-entropy with the label.

    Where `config.jigsaw.classify_shuffled` is false, shuffled images do not count
    (JiGen's `--classify_only_sane`; their paper's text, where their code counts them).
    A share `config.classification.label_smoothing` of the label is spread evenly over
    all classes (Szegedy et al., CVPR 2016, section 7).
    """
    smoothing = config.classification.label_smoothing

    def term(outputs, batch):
        logits = outputs["classification"]
        values = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        if smoothing:
            even = -jax.nn.log_softmax(logits).mean(-1)
            values = (1 - smoothing) * values + smoothing * even
        ordered = batch["order"] == 0
        counts = ordered | config.jigsaw.classify_shuffled
        return values, counts.astype(jnp.float32) * batch["for_class"]

    return term


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


def consistency(config: ConfigDict) -> LossFn:
    """Returns half the symmetric KL divergence between an image's two answers.

    (KL(p || q) + KL(q || p)) / 2 of the class head's answers p to a diversified image
    and q to its natural twin, both with gradient; a pair counts where the two differ.
    FACT (Xu et al., CVPR 2021, section 3.3) has it between student and teacher, with
    softened answers; here one network gives both, at temperature 1.
    """
    del config

    def term(outputs, batch):
        n = len(batch["twin"])
        log_p = jax.nn.log_softmax(outputs["classification"])
        first, second = log_p[:n], log_p[n : 2 * n]
        values = ((jnp.exp(first) - jnp.exp(second)) * (first - second)).sum(-1) / 2
        return values, batch["styled"][:n].astype(jnp.float32)

    return term


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
    """

    make: Callable[[ConfigDict], LossFn]
    head: Callable[[ConfigDict, Sizes], Head] | None = None
    hits: Callable[[ConfigDict, Outputs, Batch], jax.Array] | None = None
    by_order: bool = False
    both_styles: bool = False


@dataclasses.dataclass(frozen=True)
class Term:
    """A loss of a run.

    Attributes:
      weight: Above 0.
      loss: Its values and what counts of them.
      hits: Whether the head of its name is right; None where it has no head.
      by_order: See `Loss`.
    """

    weight: float
    loss: LossFn
    hits: Callable[[Outputs, Batch], jax.Array] | None
    by_order: bool


def _domain_head(config: ConfigDict, sizes: Sizes) -> Head:
    n_domains = 2 if config.dann.domains == "style" else sizes.domains
    return Head(n_domains, hidden=tuple(config.dann.hidden), reverse=True)


LOSSES: dict[str, Loss] = {
    "classification": Loss(
        classification,
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
    "consistency": Loss(consistency, both_styles=True),
}


def make_losses(config: ConfigDict) -> dict[str, Term]:
    """Returns the terms of weight above 0, by name.

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
        return Term(weight, loss.make(config), hits, loss.by_order)

    return {
        name: make(name, weight) for name, weight in config.losses.items() if weight > 0
    }


def need_both_styles(config: ConfigDict) -> bool:
    """Returns whether a term of weight above 0 needs each image in both styles."""
    return any(
        LOSSES[name].both_styles for name, weight in config.losses.items() if weight > 0
    )


def make_heads(config: ConfigDict, sizes: Sizes) -> dict[str, Head]:
    """Returns the heads of the terms of weight above 0, by their names."""
    return {
        name: LOSSES[name].head(config, sizes)
        for name, weight in config.losses.items()
        if weight > 0 and LOSSES[name].head is not None
    }
