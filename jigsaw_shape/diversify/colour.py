"""Colour statistics: the palette and contrast of the style on the content."""

import math

import jax
import jax.numpy as jnp

# Lightness, yellow-blue, red-green, of RGB: orthonormal rows.
_AXES = (
    (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3)),
    (1 / math.sqrt(6), 1 / math.sqrt(6), -2 / math.sqrt(6)),
    (1 / math.sqrt(2), -1 / math.sqrt(2), 0.0),
)
_MAX_GAIN = 4.0
_LEAST_STD = 1e-3  # a quarter of the step of 8-bit images


def match_colour(
    rngs: jax.Array, contents: jax.Array, styles: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns contents with the styles' colour statistics: float32 [B, H, W, 3].

    Reinhard et al., "Color Transfer between Images", IEEE Computer Graphics and
    Applications 21(5), 2001: along each of three decorrelated axes the content is
    shifted and scaled to the style's mean and standard deviation.

    Departures: the axes are the paper's (Ruderman's lightness, yellow-blue and
    red-green), but of RGB as it is, not of the logarithm of LMS: that is unbounded at
    black, so that a drawing's black lines alone would decide its statistics. A gain is
    at most 4: beyond, it amplifies what is no signal, such as the colour noise of a
    compressed grey drawing or of a white tile. The strength s blends, `content +
    s (matched - content)`, and the result is clipped to [0, 1].

    Args:
      rngs: Typed keys [B]; nothing is drawn.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: float32 [B, H, W, 3] in [0, 1].
      strengths: float32 [B] in [0, 1]: s. At 0 the contents come back bit for bit.
    """
    del rngs
    strengths = strengths[:, None, None]
    # One plane [B, H, W] at a time: five times as fast on CPUs as products with 3 x 3
    # matrices at 84 px, and exact float32 on every device.
    planes = []
    for weights in _AXES:
        content, style = _combine(weights, contents), _combine(weights, styles)
        content_mean, content_std = _moments(content)
        style_mean, style_std = _moments(style)
        gain = jnp.minimum(style_std / content_std, _MAX_GAIN)
        matched = style_mean + gain * (content - content_mean)
        planes.append(content + strengths * (matched - content))
    blended = jnp.stack(planes, -1)
    columns = zip(*_AXES, strict=True)  # an orthonormal matrix's inverse
    images = jnp.stack([_combine(weights, blended) for weights in columns], -1)
    return jnp.where(strengths[..., None] > 0, jnp.clip(images, 0, 1), contents)


def _combine(weights, images) -> jax.Array:
    """Returns the weighted sum [B, H, W] of the channels of images [B, H, W, 3]."""
    return sum(weight * images[..., c] for c, weight in enumerate(weights))


def _moments(plane) -> tuple[jax.Array, jax.Array]:
    """Returns mean and standard deviation (no less than 1e-3): [B, 1, 1] each."""
    deviation = plane.std((1, 2), keepdims=True)
    return plane.mean((1, 2), keepdims=True), jnp.maximum(deviation, _LEAST_STD)
