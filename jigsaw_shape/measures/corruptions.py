"""Corruptions of ImageNet-C at their five severities, batched, on device.

Hendrycks & Dietterich, "Benchmarking neural network robustness to common corruptions
and perturbations", ICLR 2019, table 1 and the released code, whose settings these are.
The contract is that of `measures.distortions`; a level is a severity, 0 to 5, and 0 is
the image itself.

Images of less than 64 px have the settings of the same authors' CIFAR-10-C instead, for
images of 32 px: with ImageNet-C's, blurs and squares of less than a pixel would change
nothing there, and noise too much.

Lengths scale with the image from 224 px, of small images from 32 px and never below one
pixel, as in `measures.distortions`. Noise, and JPEG's blocks, do not: they are of
single pixels and grow worse in smaller images. So figures of other sizes are no figures
of ImageNet-C or CIFAR-10-C. Frost is left out, which is six photographs that this
project does not have. What is not JPEG is not rounded to 8 bits. Departures of single
corruptions are where they are defined.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.measures import blurs, jpeg, weather
from jigsaw_shape.measures.distortions import Distort, Distortion

SEVERITIES = (1.0, 2.0, 3.0, 4.0, 5.0)

# (one key, image [S, S, 3], settings) -> [S, S, 3], which is cut to [0, 1].
Corrupt = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

_FEW = 60.0  # photons: float32 has e to the power of -60, and not of -500


def _gaussian_noise(rng, image, std):
    return image + std * jax.random.normal(rng, image.shape)


def _shot_noise(rng, image, photons):
    """Draws from Poisson's distribution: as many as are below a uniform number.

    So that the draw is the same at all severities; `jax.random.poisson` is slower too.
    Where more than 60 are expected, by the normal distribution and its skew (Cornish &
    Fisher, 1938), which is right to within one.
    """
    unit, mean = jax.random.uniform(rng, image.shape), image * photons
    few = jnp.minimum(mean, _FEW)
    largest = jnp.minimum(photons, _FEW)
    most = jnp.int32(largest + 7 * jnp.sqrt(largest) + 8)

    def count(i, state):
        probability, below, n = state
        n += unit > below
        probability *= few / (i + 1)
        return probability, below + probability, n

    none = jnp.exp(-few)
    drawn = jax.lax.fori_loop(0, most, count, (none, none, jnp.zeros_like(image)))
    z = jax.scipy.special.ndtri(jnp.maximum(unit, 1e-7))
    many = jnp.round(mean + jnp.sqrt(mean) * z + (z * z - 1) / 6)
    return jnp.where(mean > _FEW, many, drawn[2]) / photons


def _impulse_noise(rng, image, share):
    unit = jax.random.uniform(rng, image.shape)
    salted = jnp.where(unit > 1 - share / 2, 1.0, image)
    return jnp.where(unit < share / 2, 0.0, salted)


def _motion_blur(rng, image, settings):
    degrees = jax.random.uniform(rng, minval=-45.0, maxval=45.0)
    return blurs.trail(image, *settings, degrees)


def _brightness(rng, image, more):
    """Adds to the value of HSV."""
    value = image.max(-1, keepdims=True)
    brighter = jnp.minimum(value + more, 1)
    return jnp.where(value > 0, image * brighter / jnp.maximum(value, 1e-6), brighter)


def _contrast(rng, image, share):
    mean = image.mean((0, 1))
    return mean + share * (image - mean)


def _elastic(rng, image, settings):
    """Stretches by a random affine map, and moves every pixel on its own.

    Displacements are drawn for the published size. Departures: near the border they are
    means of fewer numbers, published of mirrored ones; and both moves are one
    interpolation, published one each.
    """
    alpha, std, shift = settings
    corner_rng, field_rng = jax.random.split(rng)
    px = blurs.published_px(image.shape[0])
    scale = image.shape[0] / px
    middle, third = px // 2, px // 3
    corners = jnp.array([[third, third], [third, -third], [-third, -third]]) + middle
    moved = corners + jax.random.uniform(
        corner_rng, (3, 2), minval=-shift, maxval=shift
    )
    back = jnp.linalg.solve(
        jnp.concatenate([moved, jnp.ones((3, 1))], 1), corners.astype(jnp.float32)
    )
    field = jax.random.uniform(field_rng, (px, px, 2), minval=-1.0)
    field = alpha * blurs.smooth(field, std)
    side = image.shape[0]
    places = jnp.stack(blurs.places(side), -1) / scale
    places += jax.image.resize(field, (side, side, 2), "linear", antialias=False)
    source = (places @ back[:2] + back[2]) * scale
    return blurs.sample(image, source[..., 0], source[..., 1], outside="mirror")


def _pixelate(rng, image, share):
    """Shows as many squares a side as the published size would, at most one a pixel.

    A square is the mean of the pixels whose middle is in it, as Pillow's box has it.
    """
    side = image.shape[0]
    n = jnp.minimum(jnp.floor(blurs.published_px(side) * share), side)
    middles = jnp.arange(side) + 0.5
    offsets = middles * n / side - middles[:, None]  # from each square's, in squares
    inside = jnp.float32((offsets > -0.5) & (offsets <= 0.5))
    mean = inside / jnp.maximum(inside.sum(1, keepdims=True), 1)  # none after n
    squares = jnp.einsum(
        "ih,hwc,jw->ijc", mean, image, mean, precision=jax.lax.Precision.HIGHEST
    )
    square_of = jnp.int32(middles * n / side)
    return squares[square_of][:, square_of]


def _elastic_settings():
    one = 244  # published in place of 224
    return [
        (2 * one, 0.7 * one, 0.1 * one),
        (2 * one, 0.08 * one, 0.2 * one),
        *((alpha * one, 0.01 * one, 0.02 * one) for alpha in (0.05, 0.07, 0.12)),
    ]


_TABLE: dict[str, tuple[Corrupt, list]] = {
    "gaussian_noise": (_gaussian_noise, [0.08, 0.12, 0.18, 0.26, 0.38]),
    "shot_noise": (_shot_noise, [60, 25, 12, 5, 3]),
    "impulse_noise": (_impulse_noise, [0.03, 0.06, 0.09, 0.17, 0.27]),
    "defocus_blur": (lambda rng, *given: blurs.defocus(*given), [3, 4, 6, 8, 10]),
    "glass_blur": (
        blurs.glass,
        [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
    ),
    "motion_blur": (_motion_blur, [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]),
    "zoom_blur": (
        lambda rng, *given: blurs.zoom(*given),
        [(0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11)],
    ),
    "snow": (
        weather.snow,
        [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
    ),
    "fog": (weather.fog, [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)]),
    "brightness": (_brightness, [0.1, 0.2, 0.3, 0.4, 0.5]),
    "contrast": (_contrast, [0.4, 0.3, 0.2, 0.1, 0.05]),
    "elastic_transform": (_elastic, _elastic_settings()),
    "pixelate": (_pixelate, [0.6, 0.5, 0.4, 0.3, 0.25]),
    "jpeg_compression": (
        lambda rng, *given: jpeg.compress(*given),
        [jpeg.steps_of(quality) for quality in (25, 18, 15, 10, 7)],
    ),
}

# The settings of CIFAR-10-C. Departure: of the first three disks, which are smaller
# than a pixel and blurred by a Gaussian, radii with which a pixel's neighbours count as
# much as there.
_SMALL: dict[str, list] = {
    "gaussian_noise": [0.04, 0.06, 0.08, 0.09, 0.10],
    "shot_noise": [500, 250, 100, 75, 50],
    "impulse_noise": [0.01, 0.02, 0.03, 0.05, 0.07],
    "defocus_blur": [0.544, 0.635, 0.749, 1, 1.5],
    "glass_blur": [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    "motion_blur": [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
    "zoom_blur": [(0.01, n) for n in (7, 12, 16, 21, 26)],
    "snow": [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ],
    "fog": [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
    "brightness": [0.05, 0.1, 0.15, 0.2, 0.3],
    "contrast": [0.75, 0.5, 0.4, 0.3, 0.15],
    "elastic_transform": [
        (32 * alpha, 32 * std, 32 * shift)
        for alpha, std, shift in (
            (0, 0, 0.08),
            (0.05, 0.2, 0.07),
            (0.08, 0.06, 0.06),
            (0.1, 0.04, 0.05),
            (0.1, 0.03, 0.03),
        )
    ],
    "pixelate": [0.95, 0.9, 0.85, 0.75, 0.65],
    "jpeg_compression": [jpeg.steps_of(quality) for quality in (80, 65, 58, 50, 40)],
}


def corruptions() -> dict[str, Distortion]:
    """Returns every corruption by name, in the order of the paper's table.

    Example:
      >>> corruptions()["fog"].levels
      (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    """
    return {
        name: Distortion(
            _batched(corrupt, settings, _SMALL[name]), (0.0, *SEVERITIES), 0.0, "plain"
        )
        for name, (corrupt, settings) in _TABLE.items()
    }


def _batched(corrupt: Corrupt, settings: list, small: list) -> Distort:
    def distort(rngs, images, level):
        table = np.float32(small if images.shape[1] < blurs.SMALL_PX else settings)
        chosen = jnp.asarray(table)[jnp.clip(jnp.int32(level) - 1, 0, len(table) - 1)]
        changed = jax.vmap(lambda rng, image: corrupt(rng, image, chosen))(rngs, images)
        return jnp.where(level == 0, images, jnp.clip(changed, 0, 1))

    return distort
