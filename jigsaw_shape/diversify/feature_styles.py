"""Styles changed in features: what stands between an encoder's stages in training.

All share `mixstyle.mix_style`'s contract, `change(rng, features, domain, p, alpha,
mix)`: features [B, h, w, C] of one device in, the same shape and dtype out. One key
decides the array; with probability `p`, drawn once for it, it is changed at all, in
every example. For training only: at test time leave it out.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.diversify.mixstyle import (
    choose_partners,
    mix_style,
    restyle,
    statistics,
)


def match_distribution(
    rng: jax.Array,
    features: jax.Array,
    domain: jax.Array,
    *,
    p: float = 0.5,
    alpha: float = 0.1,
    mix: str = "random",
) -> jax.Array:
    """Returns features with mixed distributions: [B, h, w, C] in their own dtype.

    EFDMix, Zhang et al., Exact feature distribution matching, CVPR 2022, eq. 9: where
    MixStyle mixes mean and standard deviation, each value here becomes `l own + (1 - l)
    partner's value of the same rank`, in every channel; l from Beta(alpha, alpha) for
    each example. The gradient goes to the own value entirely, as if nothing had been
    mixed, and times 1 - l to the partner's.

    Args:
      rng: One typed key for the array.
      features: [B, h, w, C]; computed in float32.
      domain: Integers [B]; decide the partners if `mix` is `"crossdomain"`.
      p: Probability that the array is mixed at all.
      alpha: Of the Beta distribution, above 0.
      mix: `"random"` or `"crossdomain"`, as in `mix_style`.
    """
    apply_rng, weight_rng, partner_rng = jax.random.split(rng, 3)
    b, h, w, c = features.shape
    partner = choose_partners(partner_rng, domain, mix)
    own_weight = jax.random.beta(weight_rng, alpha, alpha, (b, 1, 1))
    x = features.astype(jnp.float32).reshape(b, h * w, c)
    # One sort, which is slow on CPUs: of the values, and of where they stood.
    order = jnp.broadcast_to(jnp.arange(h * w)[:, None], x.shape)
    ordered, order = jax.lax.sort((x, order), dimension=1, num_keys=1)
    matched = jnp.put_along_axis(x, order, ordered[partner], 1, inplace=False)
    change = (1 - own_weight) * (matched - jax.lax.stop_gradient(x))
    mixed = x + jnp.where(jax.random.bernoulli(apply_rng, p), change, 0)
    return mixed.reshape(features.shape).astype(features.dtype)


def perturb_statistics(
    rng: jax.Array,
    features: jax.Array,
    domain: jax.Array,
    *,
    p: float = 0.5,
    alpha: float = 1.0,
    mix: str = "random",
) -> jax.Array:
    """Returns features with noise on their statistics: [B, h, w, C] in their own dtype.

    DSU, Li et al., Uncertainty modeling for out-of-distribution generalization, ICLR
    2022, eqs. 3 to 6: mean and standard deviation of each example and channel get
    Gaussian noise, whose standard deviation is that of the statistic over the batch
    (here the device's part of it). The gradient goes through the statistics too. The
    deviation over places is divided by h w, in their code by h w - 1.

    Args:
      rng: One typed key for the array.
      features: [B, h, w, C]; computed in float32.
      domain: Ignored.
      p: Probability that the array is changed at all.
      alpha: What the noise is multiplied by, 1 in the paper.
      mix: Ignored.
    """
    del domain, mix
    apply_rng, mean_rng, deviation_rng = jax.random.split(rng, 3)
    x = features.astype(jnp.float32)
    mean, deviation = statistics(x)

    def noisy(rng, values):
        over_batch = jnp.sqrt(values.var(0, ddof=min(len(x) - 1, 1)) + 1e-6)
        return values + alpha * over_batch * jax.random.normal(rng, values.shape)

    changed = restyle(
        x, mean, deviation, noisy(mean_rng, mean), noisy(deviation_rng, deviation)
    )
    applied = jax.random.bernoulli(apply_rng, p)
    return jnp.where(applied, changed, x).astype(features.dtype)


def swap_statistics(
    rng: jax.Array,
    features: jax.Array,
    domain: jax.Array,
    *,
    p: float = 0.01,
    alpha: float = 0.0,
    mix: str = "random",
) -> jax.Array:
    """Returns features under another example's statistics, in their own dtype.

    pAdaIN, Nuriel et al., Permuted AdaIN, CVPR 2021, section 3: with the small
    probability p, each example of the array takes the mean and standard deviation of
    its partner entirely. No gradient flows through the partner's. (Statistics are
    MixStyle's: divided by h w, epsilon 1e-6; in their code h w - 1 and 1e-5.)

    Args:
      rng: One typed key for the array.
      features: [B, h, w, C]; computed in float32.
      domain: Integers [B]; decide the partners if `mix` is `"crossdomain"`.
      p: Probability that the array is changed at all.
      alpha: Ignored.
      mix: `"random"` or `"crossdomain"`, as in `mix_style`.
    """
    del alpha
    apply_rng, partner_rng = jax.random.split(rng)
    partner = choose_partners(partner_rng, domain, mix)
    x = features.astype(jnp.float32)
    mean, deviation = statistics(x)
    others = jax.lax.stop_gradient((mean[partner], deviation[partner]))
    changed = restyle(x, mean, deviation, *others)
    applied = jax.random.bernoulli(apply_rng, p)
    return jnp.where(applied, changed, x).astype(features.dtype)


FEATURE_STYLES: dict[str, Callable[..., jax.Array]] = {
    "mixstyle": mix_style,
    "efdmix": match_distribution,
    "dsu": perturb_statistics,
    "padain": swap_statistics,
}


def make_edit(settings: ConfigDict, stages: Sequence[str]):
    """Returns `make_edit(rng, domain)`, which changes features after some stages.

    What that returns, `edit(stage, features)`, is called by the encoder. Every stage
    draws for itself, as each MixStyle layer does in the paper.

    Args:
      settings: `config.mixstyle`.
      stages: Names of the stages.
    """
    change = FEATURE_STYLES[settings.name]

    def make(rng, domain):
        def edit(stage, features):
            if stage not in stages:
                return features
            return change(
                jax.random.fold_in(rng, stages.index(stage)),
                features,
                domain,
                p=settings.p,
                alpha=settings.alpha,
                mix=settings.mix,
            )

        return edit

    return make
