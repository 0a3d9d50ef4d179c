"""AdaIN: the style's feature statistics on the content's features, decoded.

Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance
Normalization", ICCV 2017. A `Pair` of networks in VGG's layout does it: an encoder of
3x3 convolutions in stages with a 2x2 maximum between them, up to the first layer of the
last stage (relu4_1 in VGG), and a decoder that mirrors it. Both take pixels in [0, 1];
what else an encoder expects of them is folded into its first layer. The stages' nesting
in the pair is the architecture: VGG-16, VGG-19 and slimmer ones need no other word.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jigsaw_shape.models.operations.winograd import conv3x3

EPSILON = 1e-5  # under the root of the variance

# {"kernel": float32 [3, 3, C, F], "bias": float32 [F]}
Layer = dict[str, jax.Array]
Stages = tuple[tuple[Layer, ...], ...]


class Pair(NamedTuple):
    """What stylizes: a tree of float32 arrays.

    Attributes:
      encoder: Stages of layers; the last stage holds one layer.
      decoder: The encoder's mirror image.
    """

    encoder: Stages
    decoder: Stages


def stylize(
    pair: Pair,
    rngs: jax.Array,
    contents: jax.Array,
    styles: jax.Array,
    strengths: jax.Array,
) -> jax.Array:
    """Returns contents in the styles' style: float32 [B, H, W, 3] in [0, 1].

    Section 5 of the paper; the strength is its alpha (equation 14): features are
    `content + alpha (AdaIN(content, style) - content)`.

    Departures: sides that the encoder's stride does not divide are rounded up inside
    and the result is cropped to the content's size; deviations divide by h w, as in
    equation 6, where released code divides by h w - 1.

    Args:
      pair: Encoder and decoder.
      rngs: Typed keys [B]; nothing is drawn.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: float32 [B, H', W', 3] in [0, 1], here of any size.
      strengths: float32 [B] in [0, 1]: alpha. At 0 the contents come back bit for bit.
        An image that is its own style keeps its features exactly, but is still decoded.
    """
    del rngs

    def at_once(contents, styles, strengths):
        content = encode(pair.encoder, contents)[-1]
        style = encode(pair.encoder, styles)[-1]
        return _decoded(pair, contents, content, style, strengths)

    return _one_by_one_on_cpu(at_once, contents, styles, strengths)


def restyle(
    pair: Pair, contents: jax.Array, summaries: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns what `stylize` does, of styles that are known by their `summary`.

    Args:
      pair: Encoder and decoder.
      contents: float32 [B, H, W, 3] in [0, 1].
      summaries: float32 [B, 1, 2, C].
      strengths: float32 [B] in [0, 1].
    """

    def at_once(contents, summaries, strengths):
        content = encode(pair.encoder, contents)[-1]
        return _decoded(pair, contents, content, summaries, strengths)

    return _one_by_one_on_cpu(at_once, contents, summaries, strengths)


def summary(encoder: Stages, style: jax.Array) -> jax.Array:
    """Returns two pixels with the moments of a style's features: float32 [1, 2, C].

    AdaIN sees no more of a style than these moments.

    Args:
      encoder: Stages of layers.
      style: float32 [H, W, 3] in [0, 1].
    """
    features = encode(encoder, style[None])[-1]
    mean, deviation = features.mean((1, 2)), features.std((1, 2))
    return jnp.stack([mean - deviation, mean + deviation], 1)


def _one_by_one_on_cpu(function, *batch) -> jax.Array:
    """Returns `function(*batch)`, on a CPU of one example after the other.

    The features of one image stay in a CPU's cache: twice as fast as a batch.
    """

    def one_by_one(*batch):
        return jax.lax.map(lambda one: function(*(x[None] for x in one))[0], batch)

    return jax.lax.platform_dependent(*batch, cpu=one_by_one, default=function)


def _decoded(pair: Pair, contents, content, style, strengths) -> jax.Array:
    """Returns the images of a content's features under a style's statistics."""
    _, h, w, _ = contents.shape
    strengths = strengths[:, None, None, None]
    target = exchange_statistics(content, style)
    mixed = content + strengths * (target - content)
    images = jnp.clip(decode(pair.decoder, mixed)[:, :h, :w], 0, 1)
    return jnp.where(strengths > 0, images, contents)


def encode(encoder: Stages, images: jax.Array) -> list[jax.Array]:
    """Returns the first features of each stage: relu1_1, relu2_1, ... [B, h, w, C].

    Args:
      encoder: Stages of layers.
      images: float32 [B, H, W, 3] in [0, 1]; sides of at least twice the stride.
    """
    features, x = [], images
    for stage, layers in enumerate(encoder):
        if stage:
            x = pool(x)
        for i, layer in enumerate(layers):
            x = jax.nn.relu(convolve(layer, x))
            if i == 0:
                features.append(x)
    return features


def decode(decoder: Stages, features: jax.Array) -> jax.Array:
    """Returns images [B, s h, s w, 3], about in [0, 1], of features [B, h, w, C].

    s is the encoder's stride, 8 for four stages.
    """
    x = features
    for stage, layers in enumerate(decoder):
        if stage:
            x = x.repeat(2, axis=1).repeat(2, axis=2)
        for i, layer in enumerate(layers):
            x = convolve(layer, x)
            if stage < len(decoder) - 1 or i < len(layers) - 1:
                x = jax.nn.relu(x)
    return x


def exchange_statistics(content: jax.Array, style: jax.Array) -> jax.Array:
    """Returns content under the style's mean and deviation a channel (equation 8).

    Args:
      content: float32 [B, h, w, C].
      style: float32 [B, h', w', C].
    """
    content_mean, content_deviation = moments(content)
    style_mean, style_deviation = moments(style)
    gain = style_deviation / content_deviation
    # Exactly the content where the statistics are equal.
    return content * gain + (style_mean - gain * content_mean)


def moments(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns mean and standard deviation [B, 1, 1, C] over h and w."""
    mean = features.mean((1, 2), keepdims=True)
    variance = jnp.square(features - mean).mean((1, 2), keepdims=True)
    return mean, jnp.sqrt(variance + EPSILON)


def convolve(layer: Layer, x: jax.Array) -> jax.Array:
    """Returns a 3x3 convolution of [B, H, W, C], reflected at the border: [B, H, W, F].

    The paper pads by reflection in both networks, against artifacts at the border.
    """
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    return conv3x3(x, layer["kernel"], padding=0) + layer["bias"]


def pool(x: jax.Array) -> jax.Array:
    """Returns maxima over 2x2; a last odd row or column stands for itself."""
    _, h, w, _ = x.shape
    padding = ((0, 0), (0, h % 2), (0, w % 2), (0, 0))
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), padding
    )
