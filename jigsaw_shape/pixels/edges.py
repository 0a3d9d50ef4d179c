"""Where an image's lightness changes."""

import jax
import jax.numpy as jnp
from jax import lax

from jigsaw_shape.pixels import augment


def sobel(images: jax.Array) -> jax.Array:
    """Returns the length of Sobel's gradient of the luminance: float32 [B, H, W].

    Duda & Hart, Pattern classification and scene analysis, 1973, p. 271; 1 along an
    upright or level edge of black beside white, a little more along others. At the
    border the outermost pixels repeat.

    Args:
      images: float32 [B, H, W, 3] in [0, 1].
    """
    grey = augment.luminance(images)[..., 0]
    padded = jnp.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
    h, w = grey.shape[1:]

    def shifted(row, column):
        return lax.dynamic_slice_in_dim(
            lax.dynamic_slice_in_dim(padded, row, h, 1), column, w, 2
        )

    def slope(place):
        """Returns the smoothed difference along one axis."""
        sides = [
            sum(weight * shifted(*place(end, i)) for i, weight in enumerate((1, 2, 1)))
            for end in (0, 2)
        ]
        return (sides[1] - sides[0]) / 4

    across, down = slope(lambda end, i: (i, end)), slope(lambda end, i: (end, i))
    square = across**2 + down**2
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
