"""AugMix: chains of simple operations, mixed with each other and with the image."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

_WIDTH, _DEPTH = 3, 3  # chains, and operations in the longest
_LEAST, _MOST = 0.01, 0.3  # of the level, severity 3 of 10


def augment_and_mix(
    rngs: jax.Array, contents: jax.Array, styles: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns contents mixed with three augmented forms: float32 [B, H, W, 3].

    Hendrycks et al., AugMix, ICLR 2020, algorithm 1: three chains of one to three
    operations, mixed by weights from Dirichlet(1, 1, 1), and that with the image by m
    from Beta(1, 1). The operations are theirs, at the severity 3 that they have on
    CIFAR: autocontrast, equalize, posterize, rotate, solarize, shear and translate
    along both axes. The strength s moves from the content to that. Departures: outside
    of the image its border goes on, where theirs is black, which draws edges that are
    no shape's; it is sheared from its centre, and angles and solarize's thresholds are
    not rounded down.

    Images are computed one after the other, so that each pays for its own operations
    alone; an accelerator has little to do at a time then.

    Args:
      rngs: Typed keys [B]; everything is drawn from them.
      contents: float32 [B, H, W, 3] in [0, 1].
      styles: Ignored.
      strengths: float32 [B] in [0, 1]: s. At 0 the contents come back bit for bit.
    """
    del styles

    def one(rng, content, strength):
        chain_rng, weight_rng, mix_rng = jax.random.split(rng, 3)
        weights = jax.random.exponential(weight_rng, (_WIDTH,))
        weights /= weights.sum()  # Dirichlet(1, 1, 1)
        m = jax.random.uniform(mix_rng)  # Beta(1, 1)

        def add(i, total):  # a loop, as the operations are a lot to compile
            chain = _chain(jax.random.fold_in(chain_rng, i), content)
            return total + weights[i] * chain

        chains = jax.lax.fori_loop(0, _WIDTH, add, jnp.zeros_like(content))
        mixed = m * content + (1 - m) * chains
        moved = jnp.clip(content + strength * (mixed - content), 0, 1)
        return jnp.where(strength > 0, moved, content)

    return jax.lax.map(lambda each: one(*each), (rngs, contents, strengths))


def _chain(rng, image):
    """Returns the image after one to three random operations."""
    depth = jax.random.randint(rng, (), 1, _DEPTH + 1)

    def apply(i, image):
        which_rng, level_rng, sign_rng = jax.random.split(
            jax.random.fold_in(rng, i + 1), 3
        )
        which = jax.random.randint(which_rng, (), 0, len(OPERATIONS))
        level = jax.random.uniform(level_rng, minval=_LEAST, maxval=_MOST)
        sign = jnp.where(jax.random.bernoulli(sign_rng), 1.0, -1.0)
        return jax.lax.switch(which, list(OPERATIONS.values()), image, level, sign)

    return jax.lax.fori_loop(0, depth, apply, image)


def _autocontrast(image, level, sign):
    low, high = image.min((0, 1)), image.max((0, 1))
    stretched = (image - low) / jnp.where(high > low, high - low, 1)
    return jnp.where(high > low, stretched, image)


def _equalize(image, level, sign):
    values = jnp.round(image * 255).astype(jnp.int32)

    def channel(values):
        counts = jnp.bincount(values.reshape(-1), length=256)
        step = (values.size - counts[values.max()]) // 255
        before = jnp.cumsum(counts) - counts
        table = jnp.clip((step // 2 + before) // jnp.maximum(step, 1), 0, 255)
        return jnp.where(step > 0, table[values], values)

    return jax.vmap(channel, 2, 2)(values).astype(jnp.float32) / 255


def _posterize(image, level, sign):
    step = 2.0 ** (4 + jnp.floor(4 * level))  # 4 bits are kept, or 3
    return jnp.floor(jnp.round(image * 255) / step) * step / 255


def _solarize(image, level, sign):
    return jnp.where(image >= 1 - level, 1 - image, image)


def _affine(image, matrix):
    """Returns the image whose pixel at p, from the centre, is the old one at M p."""
    h, w = image.shape[:2]
    centre = jnp.array([(h - 1) / 2, (w - 1) / 2])
    rows, columns = jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij")
    places = jnp.stack([rows, columns], -1) - centre
    places = places @ matrix[:, :2].T + matrix[:, 2] + centre
    places = places.transpose(2, 0, 1)

    def channel(values):
        return map_coordinates(values, places, 1, mode="nearest")

    return jax.vmap(channel, 2, 2)(image)


def _rotate(image, level, sign):
    angle = sign * level * jnp.pi / 6
    c, s = jnp.cos(angle), jnp.sin(angle)
    return _affine(image, jnp.array([[c, s, 0], [-s, c, 0]]))


def _shear_x(image, level, sign):
    return _affine(image, jnp.array([[1, 0, 0], [sign * level * 0.3, 1, 0]]))


def _shear_y(image, level, sign):
    return _affine(image, jnp.array([[1, sign * level * 0.3, 0], [0, 1, 0]]))


def _translate_x(image, level, sign):
    shift = jnp.floor(level * image.shape[1] / 3) * sign
    return _affine(image, jnp.array([[1, 0, 0], [0, 1, shift]]))


def _translate_y(image, level, sign):
    shift = jnp.floor(level * image.shape[0] / 3) * sign
    return _affine(image, jnp.array([[1, 0, shift], [0, 1, 0]]))


# (image [H, W, 3], level in (0, 1), sign) -> image, float32 in [0, 1]
OPERATIONS: dict[str, Callable[..., jax.Array]] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "posterize": _posterize,
    "rotate": _rotate,
    "solarize": _solarize,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
