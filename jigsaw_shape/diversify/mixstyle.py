"""MixStyle: feature statistics of one example mixed with another's."""

import jax
import jax.numpy as jnp

from jigsaw_shape.diversify.style_partners import partners

_EPSILON = 1e-6  # under the root of the variance, as released


def mix_style(
    rng: jax.Array,
    features: jax.Array,
    domain: jax.Array,
    *,
    p: float = 0.5,
    alpha: float = 0.1,
    mix: str = "random",
) -> jax.Array:
    """Returns features under mixed statistics: [B, h, w, C] in their own dtype.

    Zhou et al., "Domain Generalization with MixStyle", ICLR 2021: each example's
    mean and standard deviation per channel, over h and w, become `l own + (1 - l)
    partner's`, l from Beta(alpha, alpha) for each example. No gradient flows through
    the statistics. For training only: at test time leave it out.

    Departures: the standard deviation divides by h w, as the paper defines it, where
    the released code divides by h w - 1. For `"crossdomain"` the paper pairs two
    domains, half a batch each; here any number of domains in any proportion, each
    partner uniform over the examples of other domains (`partners`).

    Args:
      rng: One typed key for the array. Partners come from the array itself, so on
        several devices each shard needs a key of its own (fold the device in) and
        should hold several domains.
      features: [B, h, w, C], any float type; computed in float32.
      domain: Integers [B]; decide the partners if `mix` is `"crossdomain"`.
      p: Probability that the array is mixed at all: drawn once, for all examples
        together (the paper's is once a batch, so the same on one device).
      alpha: Of the Beta distribution, above 0.
      mix: `"random"`: partners by a random shuffle, among them oneself. Or
        `"crossdomain"`.

    Raises:
      ValueError: `mix` is neither.
    """
    apply_rng, weight_rng, partner_rng = jax.random.split(rng, 3)
    b = len(features)
    partner = choose_partners(partner_rng, domain, mix)
    own_weight = jax.random.beta(weight_rng, alpha, alpha, (b,))
    own_weight = own_weight[:, None, None, None]
    applied = jax.random.bernoulli(apply_rng, p)

    x = features.astype(jnp.float32)
    mean, deviation = statistics(jax.lax.stop_gradient(x))
    mixed_mean = _between(mean[partner], mean, own_weight)
    mixed_deviation = _between(deviation[partner], deviation, own_weight)
    # (x - mean) / deviation * mixed_deviation + mixed_mean, exact where nothing changes
    gain = jnp.where(applied, mixed_deviation / deviation, 1)
    shift = jnp.where(applied, mixed_mean - gain * mean, 0)
    return (x * gain + shift).astype(features.dtype)


def choose_partners(rng: jax.Array, domain: jax.Array, mix: str) -> jax.Array:
    """Returns the partner of each of B examples, int32 [B].

    Args:
      rng: One typed key.
      domain: Integers [B].
      mix: `"random"`: by a shuffle, among them oneself; `"crossdomain"`: of another
        domain.

    Raises:
      ValueError: `mix` is neither.
    """
    if mix == "random":
        return jax.random.permutation(rng, len(domain))
    if mix == "crossdomain":
        return partners(rng, domain)
    raise ValueError(f"mix is {mix!r}: allowed are 'random' and 'crossdomain'")


def statistics(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns mean and standard deviation of each example and channel, [B, 1, 1, C]."""
    mean = x.mean((1, 2), keepdims=True)
    return mean, jnp.sqrt(x.var((1, 2), keepdims=True) + _EPSILON)


def restyle(x, mean, deviation, new_mean, new_deviation) -> jax.Array:
    """Returns x with its statistics replaced by new ones, [B, h, w, C]."""
    return (x - mean) / deviation * new_deviation + new_mean


def _between(other, own, own_weight):
    """Returns the mixture; exactly `own` if the weight is 1 or both are equal."""
    return own + (1 - own_weight) * (other - own)
