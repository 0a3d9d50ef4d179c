"""Weather of ImageNet-C: fog and snow.

Images are float32 [S, S, 3], one at a time. Layers are drawn for the published size,
`blurs.published_px`, and shrunk or enlarged to the image.
"""

import jax
import jax.numpy as jnp

from jigsaw_shape.measures import blurs

_GREY = (0.299, 0.587, 0.114)  # OpenCV's


def fog(rng, image: jax.Array, settings: jax.Array) -> jax.Array:
    """Returns an image behind fog, which is `plasma`, no brighter than before.

    Args:
      rng: One typed key.
      image: See the module.
      settings: [2]: how thick the fog is, and the decay of `plasma`.
    """
    thickness, decay = settings
    px = blurs.published_px(image.shape[0])
    power_of_two = 1 << (px - 1).bit_length()
    layer = plasma(rng, decay, power_of_two)[:px, :px, None]
    brightest = image.max()
    mixed = image + thickness * _to_size(layer, image.shape[0])
    return mixed * brightest / (brightest + thickness)


def plasma(rng, decay: jax.Array, side: int) -> jax.Array:
    """Returns a random height map in [0, 1]: float32 [side, side], a power of two.

    The diamond-square algorithm on a square whose opposite sides meet: the middle of
    four points is their mean and a random number, which is `decay` squared times
    smaller each time that the grid is twice as fine.
    """

    def middle(rng, sum_of_four, wibble):
        noise = jax.random.uniform(rng, sum_of_four.shape, minval=-1.0)
        return sum_of_four / 4 + wibble**2 * noise

    def around(x, axis, shift):
        return x + jnp.roll(x, shift, axis)

    corners, wibble = jnp.zeros((1, 1)), 100.0
    while len(corners) < side:
        rng, *rngs = jax.random.split(rng, 4)
        squares = around(around(corners, 0, -1), 1, -1)
        centres = middle(rngs[0], squares, wibble)
        of_rows = around(corners, 1, -1) + around(centres, 0, 1)
        of_columns = around(corners, 0, -1) + around(centres, 1, 1)
        even = jnp.stack([corners, middle(rngs[1], of_rows, wibble)], -1)
        odd = jnp.stack([middle(rngs[2], of_columns, wibble), centres], -1)
        n = 2 * len(corners)
        corners = jnp.stack([even, odd], 1).reshape(n, n)
        wibble = wibble / decay
    corners -= corners.min()
    return corners / corners.max()


def snow(rng, image: jax.Array, settings: jax.Array) -> jax.Array:
    """Returns an image in falling snow: a whitened image, and flakes that it moves.

    Args:
      rng: One typed key.
      image: See the module.
      settings: [7]: mean and standard deviation of the noise that flakes are made of,
        how much it is enlarged, what is too faint to be a flake, radius and standard
        deviation of `blurs.trail`, what is left of the image as it was.
    """
    mean, std, zoom, least, radius, blur, kept = settings
    layer_rng, angle_rng = jax.random.split(rng)
    px = blurs.published_px(image.shape[0])
    layer = mean + std * jax.random.normal(layer_rng, (px, px, 1))
    layer = blurs.enlarge(layer, zoom)
    layer = jnp.clip(jnp.where(layer < least, 0, layer), 0, 1)
    degrees = jax.random.uniform(angle_rng, minval=-135.0, maxval=-45.0)
    flakes = _to_size(blurs.trail(layer, radius, blur, degrees), image.shape[0])
    grey = (image * jnp.asarray(_GREY)).sum(-1, keepdims=True)
    white = jnp.maximum(image, grey * 1.5 + 0.5)
    return kept * image + (1 - kept) * white + flakes + jnp.rot90(flakes, 2)


def _to_size(layer: jax.Array, side: int) -> jax.Array:
    return jax.image.resize(layer, (side, side, layer.shape[-1]), "linear")
