"""What a stylizer is fitted to: the two losses of AdaIN, and what they start from.

Huang & Belongie, ICCV 2017, section 5: the decoded image must have the features that
AdaIN asked for (content loss, equation 12) and, in the first layer of each stage, the
style's means and deviations (style loss, equation 13), as a frozen VGG measures them.
"""

import math

import jax
import jax.numpy as jnp

from jigsaw_shape.diversify import adain, stylizer_files
from jigsaw_shape.diversify.adain import Pair, Stages


def normalize(vgg: Stages, images: jax.Array) -> Stages:
    """Returns the same network, scaled so that each filter's mean activation is 1.

    Gatys et al., CVPR 2016, section 2: rectified layers and maxima scale with their
    input, so that a factor taken out of one layer goes into the next and every feature
    only changes its unit. It makes the two losses comparable between networks.
    Departure: a filter that is active less than a tenth of its layer's mean is scaled
    by that tenth, or a filter that these images hardly excite would decide the losses.

    Args:
      vgg: Stages of layers.
      images: float32 [B, H, W, 3] in [0, 1], over which the mean is taken.
    """
    scale, x, stages = jnp.ones(3), images, []
    for stage, layers in enumerate(vgg):
        if stage:
            x = adain.pool(x)
        done = []
        for layer in layers:
            kernel = layer["kernel"] * scale[:, None]
            y = jax.nn.relu(adain.convolve({**layer, "kernel": kernel}, x))
            mean = y.mean((0, 1, 2))
            scale = jnp.maximum(mean, mean.mean() / 10)
            done.append({"kernel": kernel / scale, "bias": layer["bias"] / scale})
            x = y / scale
        stages.append(tuple(done))
    return tuple(stages)


def truncate(vgg: Stages, depth: int) -> Stages:
    """Returns the stages up to the first layer of stage `depth`: relu4_1 for 4."""
    return (*vgg[: depth - 1], vgg[depth - 1][:1])


def init_pair(rng: jax.Array, vgg: Stages, width: float) -> Pair:
    """Returns an untrained pair of a share of VGG's width (He et al., 2015)."""

    def channels(n):
        return n if n == 3 else max(4, round(n * width))

    def init(rng, shapes):
        stages = []
        for stage in shapes:
            layers = []
            for n_in, n_out in stage:
                rng, key = jax.random.split(rng)
                shape = (3, 3, channels(n_in), channels(n_out))
                kernel = jax.random.normal(key, shape) * math.sqrt(2 / (9 * shape[2]))
                layers.append({"kernel": kernel, "bias": jnp.zeros(shape[3])})
            stages.append(tuple(layers))
        return tuple(stages)

    encoder_rng, decoder_rng = jax.random.split(rng)
    encoder = vgg
    if width < 1:
        shapes = [[layer["kernel"].shape[2:] for layer in stage] for stage in vgg]
        encoder = init(encoder_rng, shapes)
    return Pair(encoder, init(decoder_rng, stylizer_files.mirrored(vgg)))


def losses(
    pair: Pair, vgg: Stages, contents: jax.Array, styles: jax.Array, alphas: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the content loss and the style loss, float32 [] each.

    Args:
      pair: What stylizes.
      vgg: The measure. Its last layer is where AdaIN's features are asked for.
      contents: float32 [B, S, S, 3] in [0, 1].
      styles: float32 [B, S, S, 3] in [0, 1].
      alphas: float32 [B] in [0, 1]; 1 in the paper.
    """
    alphas = alphas[:, None, None, None]

    def blend(content, style):
        return content + alphas * (style - content)

    content = adain.encode(pair.encoder, contents)[-1]
    style = adain.encode(pair.encoder, styles)[-1]
    features = blend(content, adain.exchange_statistics(content, style))
    images = adain.decode(pair.decoder, features)
    size_px = contents.shape[1]
    found = adain.encode(vgg, images[:, :size_px, :size_px])
    of_contents, of_styles = adain.encode(vgg, contents), adain.encode(vgg, styles)
    asked = adain.exchange_statistics(of_contents[-1], of_styles[-1])
    asked = jax.lax.stop_gradient(blend(of_contents[-1], asked))
    style_loss = 0.0
    for features in zip(found, of_contents, of_styles, strict=True):
        now, before, after = map(_moments, features)
        asked_moments = before + alphas[..., None] * (after - before)
        style_loss += _relative_error(now, asked_moments)
    return _relative_error(found[-1], asked), style_loss


def _moments(features: jax.Array) -> jax.Array:
    """Returns means and deviations: float32 [B, 2, 1, 1, C]."""
    return jnp.stack(adain.moments(features), 1)


def _relative_error(found: jax.Array, asked: jax.Array) -> jax.Array:
    """Returns the mean over examples of |found - asked|^2 / |asked|^2: float32 []."""
    axes = tuple(range(1, asked.ndim))
    error = jnp.square(found - asked).sum(axes)
    return (error / jnp.square(asked).sum(axes)).mean()
