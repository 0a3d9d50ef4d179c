"""Two tones: dark shapes on white, as in silhouettes, stencils and pictograms."""

import jax
import jax.numpy as jnp

from jigsaw_shape.pixels import augment

_THRESHOLDS = 0.3, 0.95  # light colours turn white below, dark above
_RAMP = 0.1  # from black to white, so that outlines stay smooth


def draw_two_tone(
    rngs: jax.Array, contents: jax.Array, styles: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns contents faded into black and white: float32 [B, H, W, 3] in [0, 1].

    Mooney's two-tone images ("Age in the development of closure ability in children",
    Canadian Journal of Psychology 11(4), 1957) by a random threshold: what lies below
    it turns black, what lies above it white, with a ramp of a tenth of the range
    between. It is applied to a grey whose shares of red, green and blue are drawn
    uniformly from all that sum to 1, so that yellow on white is now kept and now lost.
    The strength s blends, `(1 - s) content + s two tones`.

    Args:
      rngs: Typed keys [B]; shares and threshold, uniform in (0.3, 0.95), are drawn.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: Of the same shape; ignored.
      strengths: float32 [B] in [0, 1]: s. At 0 the contents come back bit for bit.
    """
    del styles

    def draw(rng):
        shares, threshold = jax.random.split(rng)
        shares = jax.random.exponential(shares, (3,))
        return shares / shares.sum(), jax.random.uniform(
            threshold, minval=_THRESHOLDS[0], maxval=_THRESHOLDS[1]
        )

    shares, thresholds = jax.vmap(draw)(rngs)
    grey = augment.grey(contents, shares[:, None, None])
    tones = jnp.clip((grey - thresholds[:, None, None, None]) / _RAMP + 0.5, 0, 1)
    strengths = strengths[:, None, None, None]
    drawn = (1 - strengths) * contents + strengths * tones
    return jnp.where(strengths > 0, drawn, contents)
