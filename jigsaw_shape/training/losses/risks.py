"""Losses of the domains' risks: each domain should be classified as well as the others.

A domain's risk is the mean of the classification term over its images.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.training.losses.contract import LossFn, domain_means, one, spread


def vrex(config: ConfigDict, classification: LossFn) -> LossFn:
    """Returns the term of equal risks: their variance over domains.

    Krueger et al., Out-of-distribution generalization via risk extrapolation, ICML
    2021, eq. 8, its weight beta `config.losses.vrex`. Departure: beside it stands the
    mean over images (`losses.classification`), in the paper the sum over domains.
    """
    del config

    def term(outputs, batch):
        risks, present, _ = _risks(classification, outputs, batch)
        return one(spread(risks, present))

    return term


def irm(config: ConfigDict, classification: LossFn) -> LossFn:
    """Returns the term of a classifier that is optimal in every domain: IRMv1.

    Arjovsky et al., Invariant risk minimization, arXiv 1907.02893, eq. IRMv1: the
    squared derivative of a domain's risk by a factor w on its logits, at w = 1, a mean
    over domains (the paper's is a sum). Of an image with logits z, answer p and label y
    the derivative is `sum_c p_c z_c - z_y`. The square of its mean is estimated without
    bias, by the products of different images: the mean over all ways in which the
    paper's appendix D splits a batch into two halves.
    """
    del config

    def term(outputs, batch):
        z = outputs["classification"]
        _, by_factor = jax.jvp(lambda z: _values(classification, z, batch), (z,), (z,))
        member = _counted(classification, outputs, batch)
        total, square = by_factor @ member, by_factor**2 @ member
        n = member.sum(0)
        penalties = (total**2 - square) / jnp.maximum(n * (n - 1), 1)
        present = (n > 1).astype(jnp.float32)
        return one(penalties @ present / jnp.maximum(present.sum(), 1))

    return term


def group_dro(config: ConfigDict, classification: LossFn) -> LossFn:
    """Returns what the risk of the worst domains has above the mean risk.

    Sagawa et al., Distributionally robust neural networks for group shifts, ICLR 2020,
    algorithm 1: a domain's weight q is multiplied by exp(eta risk) in every step, eta
    `config.invariance.eta`. The term is `sum q risk` less the mean over all images, so
    that with `losses.classification` and this one at 1 their sum is the paper's loss.
    The memory holds the logarithms of q, float32 [D]. The paper draws one domain a
    step; as in DomainBed every domain of the batch takes part.
    """
    eta = config.invariance.eta

    def term(outputs, batch, log_q):
        risks, present, mean = _risks(classification, outputs, batch)
        log_q = log_q + eta * jax.lax.stop_gradient(risks)
        log_q -= log_q.max()
        q = jax.nn.softmax(log_q, where=present > 0)
        return *one(q @ risks - mean), log_q

    return term


def group_weights(n_domains: int, params) -> jax.Array:
    """Returns the first memory of `group_dro`."""
    del params
    return jnp.zeros(n_domains)


def fishr(config: ConfigDict, classification: LossFn) -> LossFn:
    """Returns the term of equal variances of the class head's gradients.

    Rame et al., Fishr, ICML 2022, eq. 4: over a domain's images, the variance of the
    gradient of each parameter of the head; a moving average of it over steps, whose
    decay is `config.invariance.decay` (section 3.2.2); and the squared distance of each
    domain's to their mean, a mean over domains. As in the authors' code it is a mean
    over parameters, where eq. 4 has a sum, and the average is divided by 1 - decay, so
    that the decay does not change the size of the gradient. A linear head needs no
    second pass: an image's gradient is the product of its feature and of the answer
    less the label. The memory is float32 [D, F + 1, C], the averages of the kernel and,
    as its last row, the bias.
    """
    decay = config.invariance.decay

    def term(outputs, batch, memory):
        logits = outputs["classification"]
        x = jnp.pad(outputs["features"], ((0, 0), (0, 1)), constant_values=1.0)
        error = jax.grad(lambda z: _values(classification, z, batch).sum())(logits)
        member = _counted(classification, outputs, batch)
        n = jnp.maximum(member.sum(0), 1)
        present = (member.sum(0) > 0).astype(jnp.float32)

        def moment(power):
            weighted = (x**power)[:, None] * member[:, :, None]  # [V, D, F + 1]
            return jnp.einsum("vdf,vc->dfc", weighted, error**power) / n[:, None, None]

        variance = moment(2) - moment(1) ** 2
        average = decay * memory + (1 - decay) * variance
        average = jnp.where(present[:, None, None] > 0, average, memory)
        n_parameters = average[0].size
        apart = spread(average / (1 - decay), present) / n_parameters
        return *one(apart), jax.lax.stop_gradient(average)

    return term


def gradient_variances(n_domains: int, params) -> jax.Array:
    """Returns the first memory of `fishr`."""
    f, c = params["head_classification"]["kernel"].shape
    return jnp.zeros((n_domains, f + 1, c))


def _risks(classification, outputs, batch):
    """Returns risks and presence of domains, float32 [D], and the mean over images."""
    values, mask = classification(outputs, batch)
    risks, present = domain_means(values, _counted(classification, outputs, batch))
    return risks, present, (values * mask).sum() / jnp.maximum(mask.sum(), 1)


def _values(classification, logits, batch):
    """Returns each image's classification term, float32 [V], of logits [V, C]."""
    return classification({"classification": logits}, batch)[0]


def _counted(classification, outputs, batch):
    """Returns which images count in the classification term of which domain: [V, D]."""
    return batch["member"] * classification(outputs, batch)[1][:, None]
