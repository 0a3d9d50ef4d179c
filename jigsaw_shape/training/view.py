"""What the network sees of a stored image in training."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.diversify.schedule import make_schedule
from jigsaw_shape.pixels import augment, puzzle

# A compiler may round the same image differently in two places.
_ROUNDING = 1e-5


class Seen(NamedTuple):
    """What the network sees of B stored images: V = B images, or V = 2 B of them.

    Attributes:
      images: float32 [V, S, S, 3] in [0, 1]. Where V = 2 B, image i + B is image i
        without its change of style: the same crop, colours, tiles and order.
      orders: int32 [V], 0 for unshuffled.
      styled: bool [V], whether its style was changed.
    """

    images: jax.Array
    orders: jax.Array
    styled: jax.Array


# (step_rng, progress, slots int32 [B], uint8 [B, H, W, 3], domain int32 [B], styling)
# -> Seen
View = Callable[..., Seen]


def make_view(
    config: ConfigDict, permutations: np.ndarray, *, both_styles: bool = False
) -> View:
    """Returns the training view: crop, flip, jitter, style, cut, grey, shuffle.

    `view(step_rng, progress, slots, images, domain, styling)` maps uint8 [B, H, W, 3]
    to what is `Seen` of them: each image once, or, with `both_styles`, in its changed
    style and in its own. `slots` are the images' positions in the whole
    batch: an image's randomness comes from the step's key and its slot, so it is the
    same on one device and on many. Only its style partners, which are on its own
    device, differ with the number of devices.
    `progress`, float32 [], is the share of the run that is over; `styling` is a
    `diversify.schedule.Styling`.

    Raises:
      ValueError: There is no such diversifier.
    """
    grid = config.jigsaw.grid
    diversify = None
    if config.diversify.name:
        diversify = make_schedule(
            config.diversify, grid, bias_whole_image=config.jigsaw.bias_whole_image
        )

    def view(step_rng, progress, slots, images, domain, styling):
        image_rng, batch_rng, style_rng = jax.random.split(step_rng, 3)
        fold = jax.vmap(jax.random.fold_in, (None, 0))
        rngs = jax.vmap(lambda rng: jax.random.split(rng, 5))(fold(image_rng, slots))
        crop_rngs, jitter_rngs, grey_rngs, order_rngs, style_rngs = rngs.T
        images = augment.random_resized_crop_flip(
            crop_rngs,
            images,
            size_px=config.data.image_size,
            scale=config.augment.crop_scale,
            ratio=config.augment.crop_ratio,
            flip=config.augment.flip,
        )
        images = augment.color_jitter(
            jitter_rngs,
            batch_rng,
            images,
            brightness=config.augment.brightness,
            contrast=config.augment.contrast,
            saturation=config.augment.saturation,
            hue=config.augment.hue,
        )
        orders = puzzle.sample_orders(
            order_rngs, len(permutations), config.jigsaw.bias_whole_image
        )
        styled = jnp.zeros(len(images), bool)
        natural = images
        if diversify is not None:
            shard_rng = jax.random.fold_in(style_rng, slots[0])
            images = diversify(
                progress, shard_rng, style_rngs, images, orders, domain, styling
            )
            styled = jnp.abs(images - natural).max((1, 2, 3)) > _ROUNDING

        def as_puzzle(images):
            tiles = puzzle.cut_tiles(images, grid)
            tiles = augment.random_grayscale(
                grey_rngs, tiles, config.augment.tile_grayscale
            )
            tiles = puzzle.shuffle_tiles(tiles, orders, permutations)
            return puzzle.join_tiles(tiles)

        if not both_styles:
            return Seen(as_puzzle(images), orders, styled)
        return Seen(
            jnp.concatenate([as_puzzle(images), as_puzzle(natural)]),
            jnp.concatenate([orders, orders]),
            jnp.concatenate([styled, jnp.zeros_like(styled)]),
        )

    return view
