"""What the network sees of a stored image in training."""

from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape import augment, jigsaw

# (step_rng, slots int32 [B], uint8 [B, H, W, 3]) -> (float32 [B, S, S, 3], int32 [B])
View = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def make_view(config: ConfigDict, permutations: np.ndarray) -> View:
    """Returns the training view: crop, flip, jitter, cut, per-tile grey, shuffle.

    `view(step_rng, slots, images)` maps uint8 [B, H, W, 3] to images float32
    [B, S, S, 3] in [0, 1] and orders int32 [B]. `slots` are the images' positions in
    the whole batch: an image's randomness comes from the step's key and its slot, so
    it is the same on one device and on many.
    """
    settings = config.augment
    grid = config.jigsaw.grid

    def view(step_rng, slots, images):
        image_rng, batch_rng = jax.random.split(step_rng)
        fold = jax.vmap(jax.random.fold_in, (None, 0))
        rngs = jax.vmap(lambda rng: jax.random.split(rng, 4))(fold(image_rng, slots))
        crop_rngs, jitter_rngs, grey_rngs, order_rngs = (rngs[:, i] for i in range(4))
        images = augment.random_resized_crop_flip(
            crop_rngs,
            images,
            size_px=config.data.image_size,
            scale=settings.crop_scale,
            ratio=settings.crop_ratio,
            flip=settings.flip,
        )
        images = augment.color_jitter(
            jitter_rngs,
            batch_rng,
            images,
            brightness=settings.brightness,
            contrast=settings.contrast,
            saturation=settings.saturation,
            hue=settings.hue,
        )
        tiles = jigsaw.cut_tiles(images, grid)
        tiles = augment.random_grayscale(grey_rngs, tiles, settings.tile_grayscale)
        orders = jigsaw.sample_orders(
            order_rngs, len(permutations), config.jigsaw.bias_whole_image
        )
        tiles = jigsaw.shuffle_tiles(tiles, orders, permutations)
        return jigsaw.join_tiles(tiles), orders

    return view
