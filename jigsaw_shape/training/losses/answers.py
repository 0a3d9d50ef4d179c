"""Losses of the class head's answers: to one image, or to several forms of it."""

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jigsaw_shape.training.losses.contract import LossFn


def classification(config: ConfigDict) -> LossFn:
    """Returns the term of the class head: cross-entropy with the label.

    Where `config.jigsaw.classify_shuffled` is false, shuffled images do not count
    (JiGen's `--classify_only_sane`; their paper's text, where their code counts them).
    A share `config.classification.label_smoothing` of the label is spread evenly over
    all classes (Szegedy et al., CVPR 2016, section 7). An image that is mixed with
    another (`pixels.mixing`) has both labels, by their shares.
    """
    smoothing = config.classification.label_smoothing

    def cross_entropy(logits, label):
        values = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        if smoothing:
            even = -jax.nn.log_softmax(logits).mean(-1)
            values = (1 - smoothing) * values + smoothing * even
        return values

    def term(outputs, batch):
        logits = outputs["classification"]
        values = cross_entropy(logits, batch["label"])
        if "own_share" in batch:
            others = cross_entropy(logits, batch["partner_label"])
            values = others + batch["own_share"] * (values - others)
        ordered = batch["order"] == 0
        counts = ordered | config.jigsaw.classify_shuffled
        if config.classification.natural_only:
            counts &= ~batch["styled"]
        return values, counts.astype(jnp.float32) * batch["for_class"]

    return term


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


def teacher(config: ConfigDict) -> LossFn:
    """Returns the divergence of the answers from those of an averaged teacher.

    FACT, Xu et al., CVPR 2021, eqs. 8 and 9: KL(teacher || student) of softened
    answers, the teacher's to the image with the student's to its change of style and
    the other way round; both are divided by the temperature
    `config.teacher.temperature`. No gradient goes into the teacher, whose weights
    follow the student's. Departure: the teacher uses averaged statistics of BatchNorm,
    theirs those of the batch.
    """
    temperature = config.teacher.temperature

    def term(outputs, batch):
        n = len(batch["twin"])
        log_p = jax.nn.log_softmax(outputs["classification"][: 2 * n] / temperature)
        taught = jax.nn.log_softmax(
            batch["teacher"]["classification"][: 2 * n] / temperature
        )
        taught = jnp.concatenate([taught[n:], taught[:n]])  # of the other style
        apart = (jnp.exp(taught) * (taught - log_p)).sum(-1)
        return apart[:n] + apart[n:], jnp.ones(n)

    return term


def agreement(config: ConfigDict) -> LossFn:
    """Returns the Jensen-Shannon divergence of an image's three answers.

    Hendrycks et al., AugMix, ICLR 2020, eq. 2: a third of the sum of KL(p_i || mean p)
    of the class head's answers to the image and to two changes of its style.
    """
    del config

    def term(outputs, batch):
        n = len(batch["twin"])
        log_p = jax.nn.log_softmax(outputs["classification"])
        log_p = log_p[: 3 * n].reshape(3, n, -1)
        mean = jax.scipy.special.logsumexp(log_p, 0) - jnp.log(3.0)
        values = (jnp.exp(log_p) * (log_p - mean)).sum(-1).mean(0)
        return values, jnp.ones(n)

    return term


def decoupling(config: ConfigDict) -> LossFn:
    """Returns the term of small logits: the mean over classes of their squares.

    Pezeshki et al., Gradient starvation, NeurIPS 2021, section 3.3, spectral
    decoupling: instead of the weights' decay, the logits'. As in DomainBed the weight
    `config.losses.sd` multiplies a mean over classes, where the paper has half a sum.
    """
    del config

    def term(outputs, batch):
        return (outputs["classification"] ** 2).mean(-1), batch["for_class"]

    return term
