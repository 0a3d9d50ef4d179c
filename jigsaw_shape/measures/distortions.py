"""Image distortions of Geirhos et al. at their published levels, batched, on device.

Geirhos et al., "Generalisation in humans and deep neural networks", NeurIPS 2018, and
Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021 (model-vs-human), whose levels `distortions` lists.

One contract, `distort(rngs, images, level)`:

- rngs: Typed keys [B]. A result depends on its image, the image's key and the level
  alone. The draw is the same at all levels and only its strength differs, so that new
  draws do not roughen the curves.
- images: float32 [B, S, S, 3] in [0, 1].
- level: A float, perhaps traced: one compiled program serves all levels.

It returns float32 [B, S, S, 3] in [0, 1]. At the level `none` it returns the images
that the experiment calls undistorted, not rounded on the way. As published, all but
false colour work on greyscale images (`grey`), and uniform noise is added at a contrast
of 30 %.

Lengths are published in pixels of images of 224 px, and scale with S / 224 here: a
smaller image is a smaller picture of the same thing. (What was shown to people was
256 px wide, and networks saw the central 224.)
"""

import dataclasses
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.measures import eidolons

PUBLISHED_PX = 224
_LUMA = (0.2125, 0.7154, 0.0721)  # ITU-R 709, of scikit-image's rgb2gray
_MEAN_GREY = 0.4423  # of the published images: the ground of filtered ones
_NOISE_CONTRAST = 0.3
_REACHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)

EIDOLONS = {"eidolon_1": 1.0, "eidolon_2": 0.3, "eidolon_3": 0.0}  # coherence

# Cone (L, M, S) responses to red, green and blue of the published monitor, and from
# differences of them to luminance, L - M and S - luminance after Brainard (1996); mid
# grey is the ground. Numbers of the published stimuli's code.
_CONES = np.array(
    [
        [0.1619982647, 0.208049264, 0.0389347448],
        [0.0330275785, 0.2496504557, 0.0618343518],
        [0.0015524055, 0.0198861001, 0.1890224274],
    ]
)
_OPPONENTS = np.array(
    [
        [9.27590805, 9.27590805, 0.0],
        [7.86421647, -9.33587662, 0.0],
        [-3.39709047, -3.39709047, 12.16230246],
    ]
)

Distort = Callable[[jax.Array, jax.Array, jax.Array | float], jax.Array]


@dataclasses.dataclass(frozen=True)
class Distortion:
    """A distortion and where it is measured.

    Attributes:
      distort: See the module.
      levels: The published ones, from the weakest to the strongest.
      none: The level of no distortion; the first of `levels` but for the eidolons,
        whose weakest published level is a distortion.
      base: What the images are at level `none`, where another distortion has the same:
        `"grey"`, `"plain"` or `""`.
      coherence: Of an eidolon.
    """

    distort: Distort
    levels: tuple[float, ...]
    none: float
    base: str = "grey"
    coherence: float | None = None


def grey(images: jax.Array) -> jax.Array:
    """Returns the luminance of RGB in three equal channels, as scikit-image's rgb2gray.

    Args:
      images: float32 [B, H, W, 3] in [0, 1].
    """
    return _coloured(_luminance(images))


def contrast(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns grey images at a share `level` in [0, 1] of their contrast.

    Around mid grey: `level * grey + (1 - level) / 2`.
    """
    del rngs
    y = _luminance(images)
    return _coloured(jnp.where(level == 1, y, level * y + (1 - level) / 2))


def low_pass(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns grey images blurred by a Gaussian of `level` px standard deviation.

    Cut at four standard deviations; beyond the border lies the published mean grey.
    """
    del rngs
    y = _luminance(images)
    return _coloured(jnp.where(level == 0, y, jnp.clip(_blur(y, level), 0, 1)))


def high_pass(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns what a blur by `level` px takes away from grey images, on mean grey.

    The result has the published mean before values are clipped; `inf` is undistorted.
    """
    del rngs
    y = _luminance(images)
    kept = y - _blur(y, jnp.where(jnp.isinf(level), 0.0, level))
    kept = kept + _MEAN_GREY - kept.mean((1, 2), keepdims=True)
    return _coloured(jnp.where(jnp.isinf(level), y, jnp.clip(kept, 0, 1)))


def uniform_noise(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns grey images at 30 % contrast plus noise uniform in [-level, level].

    One number a pixel, the same in the three channels.
    """
    y = contrast(rngs, images, _NOISE_CONTRAST)[..., 0]
    shape = y.shape[1:]
    unit = jax.vmap(lambda rng: jax.random.uniform(rng, shape, minval=-1.0))(rngs)
    return _coloured(jnp.clip(y + level * unit, 0, 1))


def phase_scrambling(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns grey images whose Fourier phases are shifted by up to `level` degrees.

    Uniform in [-level, level], opposite for opposite frequencies, so that the image
    stays real; amplitudes stay until values are clipped. As published, the frequencies
    of an even side that have no opposite, the Nyquist ones, keep their phases.
    """
    y = _luminance(images)
    h, w = y.shape[1:]
    negative = np.ix_(-np.arange(h) % h, -np.arange(w) % w)
    place = np.arange(h * w).reshape(h, w)
    sign = np.sign(place - place[negative]).astype(np.float32)
    if h % 2 == 0:
        sign[h // 2] = 0
    if w % 2 == 0:
        sign[:, w // 2] = 0

    def shifts(rng):
        unit = jax.random.uniform(rng, (h, w), minval=-1.0)
        return sign * jnp.where(sign > 0, unit, unit[negative])

    turned = jnp.exp(1j * jnp.deg2rad(level * jax.vmap(shifts)(rngs)))
    scrambled = jnp.fft.ifft2(jnp.fft.fft2(y) * turned).real
    return _coloured(jnp.where(level == 0, y, jnp.clip(scrambled, 0, 1)))


def equalise_power(mean: np.ndarray) -> Distort:
    """Returns the distortion that gives grey images (level 1) one amplitude spectrum.

    Their phases stay; at level 0 nothing is changed.

    Args:
      mean: float32 [S, S], of `mean_amplitude`: as published, over all the images that
        are measured.
    """

    def distort(rngs, images, level):
        del rngs
        y = _luminance(images)
        spectrum = jnp.fft.fft2(y)
        equal = jnp.fft.ifft2(mean * jnp.exp(1j * jnp.angle(spectrum))).real
        return _coloured(jnp.where(level == 0, y, jnp.clip(equal, 0, 1)))

    return distort


def mean_amplitude(batches: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the mean amplitude spectrum of grey images: float32 [S, S].

    Args:
      batches: Each float32 [b, S, S, 3] in [0, 1].
    """
    amplitudes = jax.jit(lambda x: jnp.abs(jnp.fft.fft2(_luminance(x))).sum(0))
    total, n = 0.0, 0
    for images in batches:
        total = total + np.asarray(amplitudes(images), np.float64)
        n += len(images)
    return np.float32(total / n)


def false_colour(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns images of opposite colours (level 1), or as they are (level 0).

    Red turns green and blue yellow; luminance and greys stay. The signs of both
    chromatic channels change in light that mid grey is subtracted from. Departure: the
    monitor's own measured curve from numbers to light is replaced by that of sRGB.
    """
    del rngs
    to_opponents = _OPPONENTS @ _CONES
    flip = np.linalg.inv(to_opponents) @ np.diag([1.0, -1.0, -1.0]) @ to_opponents
    light = jnp.where(
        images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055) ** 2.4
    )
    opposite = 0.5 + jnp.einsum(
        "ij,bhwj->bhwi",
        jnp.asarray(flip, jnp.float32),
        light - 0.5,
        precision=jax.lax.Precision.HIGHEST,
    )
    opposite = jnp.clip(opposite, 0, 1)
    bright = 1.055 * jnp.maximum(opposite, 0.0031308) ** (1 / 2.4) - 0.055
    numbers = jnp.where(opposite <= 0.0031308, opposite * 12.92, bright)
    return jnp.where(level == 0, images, jnp.clip(numbers, 0, 1))


def rotation(rngs: jax.Array, images: jax.Array, level) -> jax.Array:
    """Returns grey images turned left by `level` degrees: 0, 90, 180 or 270."""
    del rngs
    y = _luminance(images)
    turns = jnp.asarray(level / 90).astype(jnp.int32)
    whole = [lambda x, k=k: jnp.rot90(x, k, axes=(1, 2)) for k in range(4)]
    return _coloured(jax.lax.switch(turns, whole, y))


def eidolon(coherence: float) -> Distort:
    """Returns the distortion into eidolons of a coherence; a level is their reach."""

    def distort(rngs, images, level):
        disarrayed = eidolons_of(eidolon_parts(rngs, images), level, coherence)
        return jnp.where(level == 0, grey(images), disarrayed)

    return distort


def eidolon_parts(rngs: jax.Array, images: jax.Array) -> eidolons.Parts:
    """Returns what eidolons of all reaches and coherences are made of."""
    return eidolons.decompose(
        rngs, _luminance(images), scale=images.shape[1] / PUBLISHED_PX
    )


def eidolons_of(parts: eidolons.Parts, reach, coherence) -> jax.Array:
    """Returns eidolons in three equal channels: float32 [B, S, S, 3] in [0, 1].

    Args: See `eidolons.compose`.
    """
    scale = parts.slices.shape[-1] / PUBLISHED_PX
    return _coloured(
        eidolons.compose(parts, reach=reach, coherence=coherence, scale=scale)
    )


def distortions(amplitude: np.ndarray) -> dict[str, Distortion]:
    """Returns every distortion by name, at the published levels.

    Args:
      amplitude: `mean_amplitude` of the images that are measured.
    """
    inf = float("inf")
    table = {
        "contrast": (contrast, (1, 0.5, 0.3, 0.15, 0.1, 0.05, 0.03, 0.01)),
        "low_pass": (low_pass, (0, 1, 3, 5, 7, 10, 15, 40)),
        "high_pass": (high_pass, (inf, 3, 1.5, 1, 0.7, 0.55, 0.45, 0.4)),
        "phase_scrambling": (phase_scrambling, (0, 30, 60, 90, 120, 150, 180)),
        "rotation": (rotation, (0, 90, 180, 270)),
        "power_equalisation": (equalise_power(amplitude), (0, 1)),
    }
    found = {
        name: Distortion(distort, tuple(map(float, levels)), float(levels[0]))
        for name, (distort, levels) in table.items()
    }
    widths = (0.0, 0.03, 0.05, 0.1, 0.2, 0.35, 0.6, 0.9)
    found["uniform_noise"] = Distortion(uniform_noise, widths, 0.0, base="")
    found["false_colour"] = Distortion(false_colour, (0.0, 1.0), 0.0, base="plain")
    for name, coherence in EIDOLONS.items():
        distort = eidolon(coherence)
        found[name] = Distortion(distort, _REACHES, 0.0, coherence=coherence)
    return found


def _luminance(images: jax.Array) -> jax.Array:
    """Returns [B, H, W] of [B, H, W, 3]."""
    # Not a matrix product, which accelerators may compute in fewer bits, nor a sum over
    # the axis of channels, which takes CPUs 25 times as long.
    red, green, blue = (images[..., i] * share for i, share in enumerate(_LUMA))
    return jnp.minimum(red + green + blue, 1)


def _coloured(y: jax.Array) -> jax.Array:
    return jnp.repeat(y[..., None], 3, axis=-1)


def _blur(y: jax.Array, std) -> jax.Array:
    """Returns [B, S, S] blurred by a Gaussian, with the mean grey around it."""
    matrix = gaussian_matrix(y.shape[-1], std * (y.shape[-1] / PUBLISHED_PX))
    blurred = jnp.einsum(
        "ih,bhw,jw->bij",
        matrix,
        y - _MEAN_GREY,
        matrix,
        precision=jax.lax.Precision.HIGHEST,
    )
    return _MEAN_GREY + blurred


def gaussian_matrix(n: int, std) -> jax.Array:
    """Returns the blur along one side [n, n], whose rows sum to 1 with what is outside.

    For standard deviations of 0 to `n` pixels.
    """

    def weights(offsets):
        inside = jnp.abs(offsets) <= jnp.floor(4 * std + 0.5)
        safe = jnp.where(std > 0, std, 1)
        return jnp.where(inside, jnp.exp(-jnp.square(offsets / safe) / 2), 0)

    total = weights(jnp.arange(-4 * n - 1, 4 * n + 2)).sum()
    places = np.arange(n)
    return weights(places[:, None] - places) / total
