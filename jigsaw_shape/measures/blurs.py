"""Blurs of ImageNet-C: out of focus, through glass, moved, zoomed.

Images are float32 [S, S, 3] (`trail` takes any number of channels), one at a time;
lengths are in pixels of an image of P px, see `published_px`, and scale with S / P.
Outside of an image its border goes on, but for `smooth`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jax.scipy.signal import fftconvolve

from jigsaw_shape.measures.distortions import PUBLISHED_PX, gaussian_matrix

# The most that settings may ask for.
MOST_FOCUS = 11  # px: the widest disk and its edge
MOST_SHUFFLES = 3
MOST_TRAIL = 41  # samples
SMALL_PX = 64  # smaller images have CIFAR-10-C's settings, for 32 px


def published_px(side: int) -> int:
    """Returns the side from which lengths scale to images of `side` px.

    224; of small images 32, or their own: the few pixels of CIFAR-10-C's lengths would
    be none in digits of 28 px.
    """
    return PUBLISHED_PX if side >= SMALL_PX else min(side, 32)


def _scale(image):
    return image.shape[0] / published_px(image.shape[0])


def sample(
    image: jax.Array, rows: jax.Array, columns: jax.Array, outside: str = "nearest"
) -> jax.Array:
    """Returns an image at places between its pixels, bilinearly: [..., C].

    Args:
      image: float32 [H, W, C].
      rows: float32 [...]; 0 is the first row's middle.
      columns: The same of columns.
      outside: A mode of `map_coordinates`.
    """

    def of_channel(channel):
        return map_coordinates(channel, (rows, columns), order=1, mode=outside)

    return jax.vmap(of_channel, -1, -1)(image)


def places(side: int) -> tuple[jax.Array, jax.Array]:
    """Returns the rows and the columns of a square's pixels: float32 [S, S] each."""
    return tuple(
        jnp.meshgrid(*[jnp.arange(side, dtype=jnp.float32)] * 2, indexing="ij")
    )


def smooth(image: jax.Array, std: jax.Array) -> jax.Array:
    """Returns an image blurred by a Gaussian of `std` of its own pixels.

    What is outside counts for nothing.
    """
    matrix = gaussian_matrix(image.shape[0], std)
    matrix /= matrix.sum(1, keepdims=True)
    return jnp.einsum(
        "ih,hwc,jw->ijc", matrix, image, matrix, precision=jax.lax.Precision.HIGHEST
    )


def defocus(image: jax.Array, radius: jax.Array) -> jax.Array:
    """Returns an image blurred by a disk of so many pixels' radius.

    Departure: pixels on the disk's edge count in part, as much as is in it; published,
    a disk of whole pixels is blurred a little, and the image is mirrored outside.
    """
    scale = _scale(image)
    reach = int(np.ceil(MOST_FOCUS * scale))
    offsets = jnp.arange(-reach, reach + 1)
    distance = jnp.hypot(offsets[:, None], offsets[None, :])
    disk = jnp.clip(radius * scale + 0.5 - distance, 0, 1)
    padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    kernel = disk / disk.sum()
    return jax.vmap(lambda x: fftconvolve(x, kernel, mode="valid"), -1, -1)(padded)


def glass(rng, image: jax.Array, settings: jax.Array) -> jax.Array:
    """Returns an image seen through frosted glass.

    Blurred, its pixels taken from nearby, and blurred again. Departures: all are taken
    at once, and at the border too; published, one after the other in place, so that
    what was taken may be taken again. At other sizes than the published ones places lie
    between pixels.

    Args:
      rng: One typed key.
      image: See the module.
      settings: [3]: the blur's standard deviation, how far a pixel moves along each
        axis, how often.
    """
    std, reach, n_times = settings
    scale = _scale(image)
    rows, columns = places(image.shape[0])

    def shuffle(i, image):
        unit = jax.random.uniform(jax.random.fold_in(rng, i), (2, *rows.shape))
        down, right = jnp.floor(unit * 2 * reach - reach) * scale
        moved = sample(image, rows + down, columns + right)
        return jnp.where(i < n_times, moved, image)

    blurred = smooth(image, std * scale)
    return smooth(jax.lax.fori_loop(0, MOST_SHUFFLES, shuffle, blurred), std * scale)


def trail(
    image: jax.Array, radius: jax.Array, std: jax.Array, degrees: jax.Array
) -> jax.Array:
    """Returns an image that moved while it was taken.

    Each pixel is a mean of `2 radius + 1` samples on a line to one side, weighted by
    half a Gaussian, as ImageMagick's motion blur has it. (There they are the pixels
    nearest to the line, here between pixels.)

    Args:
      image: float32 [S, S, C].
      radius: Of the line.
      std: Of the Gaussian, in samples.
      degrees: Of the line, from the right.
    """
    scale = _scale(image)
    rows, columns = places(image.shape[0])
    angle = jnp.deg2rad(degrees)
    n = jnp.arange(MOST_TRAIL)
    weights = jnp.where(n <= 2 * radius, jnp.exp(-jnp.square(n / std) / 2), 0)
    weights /= weights.sum()

    def add(i, total):
        down, right = i * scale * jnp.sin(angle), i * scale * jnp.cos(angle)
        return total + weights[i] * sample(image, rows + down, columns + right)

    return jax.lax.fori_loop(0, MOST_TRAIL, add, jnp.zeros_like(image))


def enlarge(image: jax.Array, factor: jax.Array) -> jax.Array:
    """Returns the middle of an image [S, S, C], so many times as large.

    (Published, of a whole number of pixels, whose outer ones stay the outer ones.)
    """
    rows, columns = places(image.shape[0])
    middle = (image.shape[0] - 1) / 2
    return sample(
        image, (rows - middle) / factor + middle, (columns - middle) / factor + middle
    )


def zoom(image: jax.Array, settings: jax.Array) -> jax.Array:
    """Returns the mean of an image and itself, ever larger.

    Args:
      image: See the module.
      settings: [2]: what each of the enlargements adds to the factor, and how many
        there are; the first one's factor is 1.
    """
    step, n_zooms = settings

    def add(i, total):
        return total + enlarge(image, 1 + i * step)

    return jax.lax.fori_loop(0, jnp.int32(n_zooms), add, image) / (n_zooms + 1)
