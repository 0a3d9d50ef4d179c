"""Edges: dark lines on white where the content's lightness changes."""

import jax
import jax.numpy as jnp
from jax import lax

from jigsaw_shape.pixels import augment

_GAIN = 2.0  # a step of half of black to white is as dark as it gets


def draw_edges(
    rngs: jax.Array, contents: jax.Array, styles: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns contents faded into their edges: float32 [B, H, W, 3] in [0, 1].

    The length of Sobel's gradient of the luminance (Duda & Hart, Pattern classification
    and scene analysis, 1973, p. 271), dark on white; at the border the outermost pixels
    repeat. The strength s blends, `content + s (edges - content)`.

    Args:
      rngs: Typed keys [B]; nothing is drawn.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: Of the same shape; ignored.
      strengths: float32 [B] in [0, 1]: s. At 0 the contents come back bit for bit.
    """
    del rngs, styles
    grey = augment.luminance(contents)[..., 0]
    padded = jnp.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    h, w = grey.shape[1:]

    def shifted(row, column):
        return lax.dynamic_slice_in_dim(
            lax.dynamic_slice_in_dim(padded, row, h, 1), column, w, 2
        )

    def slope(place):
        """Returns the smoothed difference along one axis, 1 for black beside white."""
        sides = [
            sum(weight * shifted(*place(end, i)) for i, weight in enumerate((1, 2, 1)))
            for end in (0, 2)
        ]
        return (sides[1] - sides[0]) / 4

    across, down = slope(lambda end, i: (i, end)), slope(lambda end, i: (end, i))
    square = across**2 + down**2
    length = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    edges = 1 - jnp.clip(_GAIN * length, 0, 1)[..., None]
    strengths = strengths[:, None, None, None]
    drawn = contents + strengths * (edges - contents)
    return jnp.where(strengths > 0, drawn, contents)
