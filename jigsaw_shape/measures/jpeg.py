"""What JPEG does to an image, on device: coarse colours, rounded frequencies."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft

_BLOCK = 8
# Steps of the standard's annex K for quality 50: of luminance, of colours.
_LUMINANCE = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
]
_COLOUR = np.full((_BLOCK, _BLOCK), 99)
_COLOUR[:4, :4] = [
    [17, 18, 24, 47],
    [18, 21, 26, 66],
    [24, 26, 56, 99],
    [47, 66, 99, 99],
]
_TO_YCC = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ]
)
_DCT = scipy.fft.dct(np.eye(_BLOCK), axis=0, norm="ortho")


def steps_of(quality: int) -> np.ndarray:
    """Returns the steps of a quality, of luminance and of colours: float32 [2, 8, 8].

    Args:
      quality: 1 to 100, as libjpeg and Pillow count it.
    """
    percent = 5000 / quality if quality < 50 else 200 - 2 * quality
    tables = np.array([_LUMINANCE, _COLOUR])
    return np.float32(np.clip((tables * np.floor(percent) + 50) // 100, 1, 255))


def compress(image: jax.Array, steps: jax.Array) -> jax.Array:
    """Returns an image as a JPEG file of it shows it, at half the colours' resolution.

    Pillow's result but for how it rounds and how it enlarges colours again. Blocks have
    8 px, and 16 of colours, whatever the size of the image.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      steps: float32 [2, 8, 8], see `steps_of`.

    Returns:
      float32 [H, W, 3] in [0, 1].
    """
    h, w, _ = image.shape
    sides = ((0, -h % (2 * _BLOCK)), (0, -w % (2 * _BLOCK)), (0, 0))
    padded = jnp.pad(jnp.round(255 * image), sides, mode="edge")
    ycc = _mixed(padded, _TO_YCC)
    tall, wide = padded.shape[:2]
    halves = ycc[..., 1:].reshape(tall // 2, 2, wide // 2, 2, 2).mean((1, 3))
    bright = _rounded(ycc[..., :1] - 128, steps[0]) + 128
    colours = jax.image.resize(
        _rounded(halves, steps[1]), (tall, wide, 2), method="linear"
    )
    rgb = _mixed(jnp.concatenate([bright, colours], -1), np.linalg.inv(_TO_YCC))
    return jnp.clip(jnp.round(rgb[:h, :w]) / 255, 0, 1)


def _mixed(pixels, matrix):
    matrix = jnp.asarray(matrix, jnp.float32)
    return jnp.einsum(
        "hwc,dc->hwd", pixels, matrix, precision=jax.lax.Precision.HIGHEST
    )


def _rounded(channels, steps):
    """Returns channels [H, W, C] whose blocks' frequencies are multiples of `steps`."""
    h, w, c = channels.shape
    blocks = channels.reshape(h // _BLOCK, _BLOCK, w // _BLOCK, _BLOCK, c)
    turn = jnp.asarray(_DCT, jnp.float32)

    def between(equation, x):
        return jnp.einsum(equation, turn, x, turn, precision=jax.lax.Precision.HIGHEST)

    frequencies = between("ui,aibjc,vj->aubvc", blocks)
    each = steps[:, None, :, None]
    kept = jnp.round(frequencies / each) * each
    return between("ui,aubvc,vj->aibjc", kept).reshape(h, w, c)
