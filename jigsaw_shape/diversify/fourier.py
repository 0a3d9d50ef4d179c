"""Amplitude mixing: the style's spectrum under the content's phase."""

import jax
import jax.numpy as jnp
import numpy as np

# The amplitude below which a coefficient is a rounding error, in units of sqrt(H W): in
# these, float32 transforms of flat images err by up to 1.4e-5 (measured, 20 to 227 px),
# and the rounding of 8-bit images alone makes 1.1e-3.
_NO_PHASE = 1e-4


def mix_amplitude(
    rngs: jax.Array,
    contents: jax.Array,
    styles: jax.Array,
    strengths: jax.Array,
    *,
    beta: float = 0.5,
) -> jax.Array:
    """Returns contents with part of the styles' amplitudes: float32 [B, H, W, 3].

    Xu et al., "A Fourier-based Framework for Domain Generalization" (FACT), CVPR 2021,
    equations 3 and 4: per colour channel, the amplitude becomes `(1 - l) A(content) +
    l A(style)`, the phase stays, and the result is clipped to [0, 1], as in the
    released code. FACT draws l uniform in (0, eta), eta = 1 for PACS: here
    `strengths` are the l themselves.

    With `beta` below 0.5 only low frequencies are mixed: those of at most `beta * H`
    cycles down and `beta * W` across, the window of Yang & Soatto, "FDA", CVPR 2020
    (who replace the amplitude there: l = 1, beta 0.01 to 0.09). FACT's code has the
    window's share of the spectrum instead, `ratio`, about `(2 * beta)**2`.

    Departure: a coefficient that vanishes in the content has no phase to keep, and
    stays as it is; so a flat tile stays flat and only takes the style's mean. (FACT's
    code gives it the style's amplitude with the phase of a rounding error.)

    Args:
      rngs: Typed keys [B]; nothing is drawn.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: float32 [B, H, W, 3] in [0, 1].
      strengths: float32 [B] in [0, 1]: l. At 0 the contents come back bit for bit.
      beta: In [0, 0.5]; 0.5, the whole spectrum, is FACT's default.
    """
    del rngs
    _, h, w, _ = contents.shape
    strengths = strengths[:, None, None, None]
    content = jnp.fft.rfft2(contents.transpose(0, 3, 1, 2))
    amplitude = jnp.abs(content)
    style_amplitude = jnp.abs(jnp.fft.rfft2(styles.transpose(0, 3, 1, 2)))

    has_phase = amplitude > _NO_PHASE * np.sqrt(h * w)
    mean = np.zeros((h, w // 2 + 1), np.float32)
    mean[0, 0] = 1  # of phase 0 in every image, even a black one
    phase = jnp.where(has_phase, content / jnp.where(has_phase, amplitude, 1), mean)
    change = jnp.where(_window(h, w, beta), style_amplitude - amplitude, 0)
    mixed = content + strengths * change * phase
    images = jnp.fft.irfft2(mixed, s=(h, w)).transpose(0, 2, 3, 1)
    return jnp.where(strengths > 0, jnp.clip(images, 0, 1), contents)


def _window(h: int, w: int, beta: float) -> np.ndarray:
    """Returns which of `rfft2`'s coefficients are mixed: bool [H, W // 2 + 1]."""
    down, across = np.fft.fftfreq(h), np.fft.rfftfreq(w)  # in cycles a pixel
    return (np.abs(down)[:, None] <= beta) & (across <= beta)
