"""Edges: dark lines on white where the content's lightness changes."""

import jax
import jax.numpy as jnp

from jigsaw_shape.pixels.edges import sobel

_GAIN = 2.0  # a step of half of black to white is as dark as it gets


def draw_edges(
    rngs: jax.Array, contents: jax.Array, styles: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns contents faded into their edges: float32 [B, H, W, 3] in [0, 1].

    The length of Sobel's gradient, dark on white. The strength s blends,
    `content + s (edges - content)`.

    Args:
      rngs: Typed keys [B]; nothing is drawn.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: Of the same shape; ignored.
      strengths: float32 [B] in [0, 1]: s. At 0 the contents come back bit for bit.
    """
    del rngs, styles
    edges = 1 - jnp.clip(_GAIN * sobel(contents), 0, 1)[..., None]
    strengths = strengths[:, None, None, None]
    drawn = contents + strengths * (edges - contents)
    return jnp.where(strengths > 0, drawn, contents)
