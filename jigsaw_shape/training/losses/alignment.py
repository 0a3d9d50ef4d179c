"""Losses that make the features of all domains alike."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.training.losses.contract import (
    Batch,
    LossFn,
    Outputs,
    domain_means,
    one,
    spread,
)

# DomainBed's kernel widths.
_GAMMAS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)


def coral(config: ConfigDict) -> LossFn:
    """Returns the term of equal means and covariances.

    Sun & Saenko, Deep CORAL, ECCV 2016 Workshops, eq. 1, between every two domains, as
    DomainBed (Gulrajani & Lopez-Paz, ICLR 2021) has it: the mean over pairs of the mean
    squared difference of the features' means, plus that of the entries of their
    covariances. Departures of DomainBed's: the paper has no means, two domains, and
    divides by 4 F^2 where this divides by F^2.
    """
    del config

    def term(outputs, batch):
        x, member = outputs["features"], batch["member"]
        means, present = domain_means(x, member)
        centred = x - member @ means
        counts = member.sum(0)

        def covariance(weights, n):
            return (centred * weights[:, None]).T @ centred / jnp.maximum(n - 1, 1)

        covariances = jnp.stack(
            [covariance(member[:, d], counts[d]) for d in range(len(counts))]
        )
        # The mean over pairs of |a - b|^2 is 2 n / (n - 1) times the variance.
        n, f = present.sum(), x.shape[-1]
        apart = spread(means, present) / f + spread(covariances, present) / f**2
        return one(2 * n / jnp.maximum(n - 1, 1) * apart)

    return term


def mmd(config: ConfigDict) -> LossFn:
    """Returns the term of equal distributions: the maximum mean discrepancy.

    Gretton et al., JMLR 2012, eq. 5 (the biased estimate), squared, a mean over every
    two domains. The kernel is DomainBed's, a sum of exp(-gamma |x - y|^2) over gamma
    0.001 to 1000. MMD-AAE (Li et al., CVPR 2018, eq. 3) has it between domains of an
    autoencoder; as in DomainBed there is no autoencoder and no adversary here.
    """
    del config

    def term(outputs, batch):
        x, member = outputs["features"], batch["member"]
        square = (x * x).sum(-1)
        # A distance is a small difference of large numbers.
        product = jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST)
        distance = jnp.maximum(square[:, None] + square - 2 * product, 0)
        kernel = sum(jnp.exp(-gamma * distance) for gamma in _GAMMAS)
        rows, present = domain_means(kernel, member)
        within, _ = domain_means(rows.T, member)  # [D, D], means of pairs of domains
        own = jnp.diagonal(within)
        discrepancy = own[:, None] + own - 2 * within
        pairs = jnp.outer(present, present) * (1 - jnp.eye(len(present)))
        return one((pairs * discrepancy).sum() / jnp.maximum(pairs.sum(), 1))

    return term


def conditional_domain(config: ConfigDict) -> LossFn:
    """Returns the term of domain heads for each class: conditional DANN.

    Li et al., Deep domain generalization via conditional invariant adversarial
    networks, ECCV 2018, section 3.2: behind a reversed gradient each class has a
    classifier of the domain of its own images, and every class has the same weight,
    however many images it has. Departures: the classifiers share their hidden layers
    (`config.dann.hidden`), and the paper's second network, of features for all classes,
    is the term `domain`, which can be added. (DomainBed's CDANN has one classifier of
    the features plus an embedding of the class.)
    """
    del config

    def term(outputs, batch):
        label, counts = batch["label"], batch["for_class"]
        log_p = jax.nn.log_softmax(_of_class(outputs, label))
        values = -jnp.take_along_axis(log_p, batch["domain"][:, None], -1)[:, 0]
        of_class = ((label[:, None] == label) * counts).sum(-1)
        weights = counts / jnp.maximum(of_class, 1)
        return one((weights * values).sum() / jnp.maximum(weights.sum(), 1))

    return term


def conditional_hits(outputs: Outputs, batch: Batch) -> jax.Array:
    """Returns whether the classifier of an image's class names its domain: bool [V]."""
    return _of_class(outputs, batch["label"]).argmax(-1) == batch["domain"]


def _of_class(outputs, label):
    """Returns what the classifiers of the images' classes answer: float32 [V, D]."""
    n_classes = outputs["classification"].shape[-1]
    by_class = outputs["cdann"].reshape(len(label), n_classes, -1)
    return jnp.take_along_axis(by_class, label[:, None, None], 1)[:, 0]
