"""What heads read in training in place of the features: RSC and SagNet.

A `Reread` maps (rng, params, outputs, batch) of one device to the outputs, with scores
made anew. The heads that it makes them of are linear.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.system.devices import AXIS

_EPSILON = 1e-5  # under the root of the variance, as released

Reread = Callable[..., dict[str, jax.Array]]


def make_reread(config: ConfigDict) -> Reread | None:
    """Returns what changes the heads' inputs; None where nothing does."""
    if config.rsc.features > 0:
        return _challenge(config.rsc)
    if config.losses.style > 0:
        return _separate
    return None


def _challenge(settings: ConfigDict) -> Reread:
    """Returns RSC: the class head without the features that its answer rests on most.

    Huang et al., Self-challenging improves cross-domain generalization, ECCV 2020,
    section 3, in DomainBed's version: the share `features` of an image's features whose
    gradient of the true class's score is largest is set to 0 (eqs. 1 to 3), in the
    share `images` of the images of the batch whose true class loses most probability by
    that (section 3.3). The head is linear, so that the gradient is a column of its
    kernel and no second pass is needed. (The paper's code mutes channels or places of
    the last map, by a draw, and more images as the run goes on.)
    """

    def reread(rng, params, outputs, batch):
        del rng
        head, x = params["head_classification"], outputs["features"]
        label = batch["label"][:, None]
        fixed, kernel = jax.lax.stop_gradient((x, head["kernel"]))
        gradient = kernel.T[batch["label"]]
        least = jnp.quantile(gradient, 1 - settings.features, axis=-1, keepdims=True)
        kept = gradient < least

        def probability(features):
            p = jax.nn.softmax(features @ kernel + jax.lax.stop_gradient(head["bias"]))
            return jnp.take_along_axis(p, label, -1)[:, 0]

        lost = probability(fixed) - probability(fixed * kept)
        everywhere = jax.lax.all_gather(lost, AXIS, tiled=True)
        is_spared = lost < jnp.quantile(everywhere, 1 - settings.images)
        muted = x * (kept | is_spared[:, None])
        return {**outputs, "classification": _scores(head, muted)}

    return reread


def _separate(rng, params, outputs, batch):
    """Returns outputs of SagNet: content without style, style without content.

    Nam et al., Reducing domain gap by reducing style bias, CVPR 2021, section 3, in
    DomainBed's version on pooled features. `classification` reads features whose mean
    and variance over the channels are mixed with those of another image (eq. 3);
    `style` those of another image under the own mean and variance (eq. 5), with no
    gradient into the encoder; `style_answer` the same with no gradient into the head.
    """
    del batch
    x = outputs["features"]
    weight_rng, partner_rng, content_rng = jax.random.split(rng, 3)
    weight = jax.random.uniform(weight_rng, (len(x), 1))
    partner = jax.random.permutation(partner_rng, len(x))
    mean = x.mean(-1, keepdims=True)
    variance = x.var(-1, keepdims=True, ddof=1)
    content = (x - mean) / jnp.sqrt(variance + _EPSILON)

    def mix(values):
        return weight * values + (1 - weight) * values[partner]

    restyled = content * jnp.sqrt(mix(variance) + _EPSILON) + mix(mean)
    other = jax.lax.stop_gradient(content[jax.random.permutation(content_rng, len(x))])
    styled = other * jnp.sqrt(variance + _EPSILON) + mean
    style_head = params["head_style"]
    return {
        **outputs,
        "classification": _scores(params["head_classification"], restyled),
        "style": _scores(style_head, jax.lax.stop_gradient(styled)),
        "style_answer": _scores(jax.lax.stop_gradient(style_head), styled),
    }


def _scores(head, features):
    return features @ head["kernel"] + head["bias"]
