"""Augmentation on the device: whole batches, one key an example.

Images enter as uint8 [B, H, W, 3] and leave as float32 [B, S, S, 3] in [0, 1]. Each
function takes one typed key an example, `rngs` [B], so that what happens to an image
does not depend on the batch or the device it travels in; the one exception is the order
of the colour operations, which `batch_rng` draws for the whole batch.
"""

import jax
import jax.numpy as jnp

from jigsaw_shape.pixels.resampling import resample, resize_weights

_CROP_ATTEMPTS = 10  # torchvision's RandomResizedCrop
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as in Pillow and torchvision


def random_resized_crop_flip(
    rngs: jax.Array,
    images: jax.Array,
    *,
    size_px: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    flip: float,
) -> jax.Array:
    """Returns random crops, resized and perhaps flipped: float32 [B, S, S, 3], [0, 1].

    The box is drawn as torchvision's RandomResizedCrop draws it: an area uniform in
    `scale`, an aspect uniform in log over `ratio`, whole pixels, ten attempts, else the
    whole image (torchvision cuts its centre to the nearest ratio allowed; for square
    images both are the whole). A flip reverses the resampling matrix, so it is free.

    Args:
      rngs: Typed keys [B].
      images: uint8 [B, H, W, 3].
      size_px: S.
      scale: Smallest and largest area of the box, as a share of the image.
      ratio: Smallest and largest width / height of the box.
      flip: Probability of a horizontal flip.
    """
    _, h, w, _ = images.shape

    def draw(rng):
        area_rng, ratio_rng, place_rng, flip_rng = jax.random.split(rng, 4)
        n = _CROP_ATTEMPTS
        area = jax.random.uniform(area_rng, (n,), minval=scale[0], maxval=scale[1])
        low, high = jnp.log(jnp.asarray(ratio))
        aspect = jnp.exp(jax.random.uniform(ratio_rng, (n,), minval=low, maxval=high))
        widths = jnp.round(jnp.sqrt(area * h * w * aspect))
        heights = jnp.round(jnp.sqrt(area * h * w / aspect))
        fits = (widths >= 1) & (widths <= w) & (heights >= 1) & (heights <= h)
        first, found = jnp.argmax(fits), jnp.any(fits)
        width = jnp.where(found, widths[first], w)
        height = jnp.where(found, heights[first], h)
        room = jnp.stack([h - height + 1, w - width + 1])
        top, left = jnp.floor(jax.random.uniform(place_rng, (2,)) * room)
        return top, height, left, width, jax.random.uniform(flip_rng) < flip

    top, height, left, width, flipped = jax.vmap(draw)(rngs)
    rows = resize_weights(top, height, h, size_px)
    columns = resize_weights(left, width, w, size_px)
    columns = jnp.where(flipped[:, None, None], columns[:, ::-1], columns)
    return resample(images, rows, columns)


def color_jitter(
    rngs: jax.Array,
    batch_rng: jax.Array,
    images: jax.Array,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
) -> jax.Array:
    """Returns images with random colours: float32 [B, H, W, 3] in [0, 1].

    torchvision's ColorJitter: three factors uniform in `[max(0, 1 - x), 1 + x]` and a
    hue shift uniform in `[-hue, hue]` turns, each clipped to [0, 1]. Departure: the
    order of the four is drawn once a batch, not once an image (on an accelerator every
    image would pay for all orders).

    Args:
      rngs: Typed keys [B], for the factors.
      batch_rng: One typed key, the same on every device, for the order.
      images: float32 [B, H, W, 3] in [0, 1].
      brightness: Half-width of the factor on black.
      contrast: Half-width of the factor on the image's mean luminance.
      saturation: Half-width of the factor on the grey image.
      hue: Largest shift in turns, at most 0.5.
    """
    if not any((brightness, contrast, saturation, hue)):
        return images

    def draw(rng):
        unit = jax.random.uniform(rng, (4,), minval=-1.0)
        widths = jnp.asarray([brightness, contrast, saturation])
        low = jnp.maximum(1 - widths, 0)
        factors = low + (unit[:3] + 1) / 2 * (1 + widths - low)
        return factors, unit[3] * hue

    factors, shift = jax.vmap(draw)(rngs)
    factors = factors[:, :, None, None, None]

    def adjust_contrast(x):
        mean = luminance(x).mean((1, 2), keepdims=True)
        return _blend(x, mean, factors[:, 1])

    operations = [
        lambda x: _blend(x, 0.0, factors[:, 0]),
        adjust_contrast,
        lambda x: _blend(x, luminance(x), factors[:, 2]),
        lambda x: shift_hue(x, shift[:, None, None]),
    ]
    sequence = jax.random.permutation(batch_rng, len(operations))
    for position in range(len(operations)):
        images = jax.lax.switch(sequence[position], operations, images)
    return images


def luminance(images: jax.Array) -> jax.Array:
    """Returns the grey image [..., 1] of RGB [..., 3] (ITU-R 601)."""
    return grey(images, jnp.asarray(_LUMA))


def grey(images: jax.Array, shares: jax.Array) -> jax.Array:
    """Returns the grey image [..., 1] of RGB [..., 3], given each channel's share.

    Args:
      images: float32 [..., 3].
      shares: float32 [3], or broadcast against the images.
    """
    # A sum over the axis of channels takes CPUs 25 times as long.
    red, green, blue = jnp.split(images * shares, 3, axis=-1)
    return red + green + blue


def _blend(images, other, factor):
    return jnp.clip(other + factor * (images - other), 0, 1)


def shift_hue(images: jax.Array, shift: jax.Array) -> jax.Array:
    """Returns images with their HSV hue turned by `shift`; value, saturation stay.

    Args:
      images: float32 [..., 3] in [0, 1].
      shift: float32, broadcast against the images without their channel; in turns.
    """
    value = images.max(-1)
    chroma = value - images.min(-1)
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    safe = jnp.where(chroma > 0, chroma, 1)
    sector = jnp.where(
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    sector = sector + 6 * shift

    def channel(offset):
        k = (offset + sector) % 6
        return value - chroma * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return jnp.stack([channel(5), channel(3), channel(1)], -1)


def random_grayscale(rngs: jax.Array, tiles: jax.Array, p: float) -> jax.Array:
    """Returns tiles, each turned grey with probability `p` on its own.

    Args:
      rngs: Typed keys [B]; one number a tile is drawn from each.
      tiles: float32 [B, T, h, w, 3] in [0, 1].
      p: In [0, 1]; at 0 the tiles come back as they are.
    """
    if p == 0:
        return tiles
    n_tiles = tiles.shape[1]
    turned = jax.vmap(lambda rng: jax.random.uniform(rng, (n_tiles,)) < p)(rngs)
    return jnp.where(turned[:, :, None, None, None], luminance(tiles), tiles)
