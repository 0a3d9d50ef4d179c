"""What the network sees of a stored image in training."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.diversify.schedule import make_schedule, moved
from jigsaw_shape.pixels import augment, puzzle, shortcuts

# A compiler may round the same image differently in two places.
_ROUNDING = 1e-5


class Seen(NamedTuple):
    """What the network sees of B stored images: V of them, B at least.

    First the B images; then, with `both_styles`, the same without their change of
    style: the same crop, colours, tiles and order; with `second_style`, the same under
    another change of style; then the puzzles beside them.

    Attributes:
      images: float32 [V, S, S, 3] in [0, 1].
      orders: int32 [V], 0 for unshuffled.
      styled: bool [V], whether its style was changed.
      permutations: int32 [V, T], the original tile at each place.
      stored: int32 [V], which of the B stored images it is.
      for_class: float32 [V], 0 for puzzles that come beside the images, else 1.
      for_puzzle: float32 [V], 1 for all, or for the puzzles that come beside.
      natural: float32 [B, S, S, 3], the B images in order and in their own style.
      tiles: float32 [P, T, h, w, 3], in their original order, of the P puzzles whose
        tiles are encoded apart; then no image is shuffled. None without.
      tile_permutations: int32 [P, O, T], the O orders that each is asked about.
      asked: What the jigsaw head is asked: `puzzle_order`, int32 [Q],
        `puzzle_permutation`, int32 [Q, T], and `puzzle_counts`, float32 [Q]. Q is V, or
        P * O.
    """

    images: jax.Array
    orders: jax.Array
    styled: jax.Array
    permutations: jax.Array
    stored: jax.Array
    for_class: jax.Array
    for_puzzle: jax.Array
    natural: jax.Array | None = None
    tiles: jax.Array | None = None
    tile_permutations: jax.Array | None = None
    asked: Mapping[str, jax.Array] = {}


# (step_rng, progress, slots int32 [B], uint8 [B, H, W, 3], domain int32 [B], styling)
# -> Seen
View = Callable[..., Seen]


def make_view(
    config: ConfigDict,
    permutations: np.ndarray,
    *,
    both_styles: bool = False,
    second_style: bool = False,
) -> View:
    """Returns the training view: crop, flip, jitter, style, cut, grey, shuffle.

    `view(step_rng, progress, slots, images, domain, styling)` maps uint8 [B, H, W, 3]
    to what is `Seen` of them. `slots` are the images' positions in the whole batch: an
    image's randomness comes from the step's key and its slot, so it is the same on one
    device and on many. Only its style partners, which are on its own device, differ
    with the number of devices. (So does which images come as puzzles beside, where that
    is a share of them whose inverse is no whole number.)
    `progress`, float32 [], is the share of the run that is over; `styling` is a
    `diversify.schedule.Styling`.

    Args:
      config: The run's.
      permutations: int32 [K + 1, T].
      both_styles: Whether images are seen with and without their change of style.
      second_style: Whether, after both, they are seen with another change of it too.

    Raises:
      ValueError: There is no such diversifier.
    """
    jigsaw = config.jigsaw
    beside = jigsaw.view == "beside"
    bias = 1.0 if beside else jigsaw.bias_whole_image
    style_images = _make_styler(config, bias)
    style_puzzles = _make_styler(config, 0.0) if beside else None

    n_orders, n_tiles = len(permutations), jigsaw.grid**2

    def cut(images, orders, rngs, progress):
        """Returns the tiles of images, closed where they are to be shuffled."""
        grey_rngs, _, gap_rngs = rngs
        tiles = puzzle.cut_tiles(images, jigsaw.grid)
        tiles = augment.random_grayscale(
            grey_rngs, tiles, config.augment.tile_grayscale
        )
        closed = tiles
        if any(jigsaw.gap):
            closed = shortcuts.crop_tiles(closed, moved(jigsaw.gap, progress), gap_rngs)
        if jigsaw.normalize_tiles:
            closed = shortcuts.normalize_tiles(closed)
        if closed is not tiles:
            tiles = jnp.where(orders[:, None, None, None, None] > 0, closed, tiles)
        return tiles

    def chosen(orders, rngs):
        """Returns the permutation of each image: int32 [B, T]."""
        rows = jnp.asarray(permutations)[orders]
        if jigsaw.all_permutations:
            drawn = puzzle.sample_permutations(rngs, n_tiles)
            rows = jnp.where(orders[:, None] > 0, drawn, rows)
        return rows

    def draw(rngs, progress, bias):
        """Returns orders, of as many as are open by now: int32 [B]."""
        n = n_orders
        if tuple(jigsaw.orders) != (1.0,):
            share = moved(jigsaw.orders, progress) * (n_orders - 1)
            n = 1 + jnp.maximum(jnp.round(share), 1).astype(jnp.int32)
        return puzzle.sample_orders(rngs, n, bias)

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
        natural = augment.color_jitter(
            jitter_rngs,
            batch_rng,
            images,
            brightness=config.augment.brightness,
            contrast=config.augment.contrast,
            saturation=config.augment.saturation,
            hue=config.augment.hue,
        )
        shard_rng = jax.random.fold_in(style_rng, slots[0])
        more = jax.vmap(jax.random.fold_in, (0, None))  # keys beside those five
        tile_rngs = grey_rngs, more(order_rngs, 1), more(order_rngs, 2)
        n = len(natural)

        def see(images, orders, styled, tile_rngs, stored, is_beside):
            tiles = cut(images, orders, tile_rngs, progress)
            rows = chosen(orders, tile_rngs[1])
            shown = puzzle.join_tiles(puzzle.permute_tiles(tiles, rows))
            ones = jnp.ones(len(shown))
            for_class = 1 - ones if is_beside else ones
            for_puzzle = ones if is_beside or not beside else 1 - ones
            return Seen(shown, orders, styled, rows, stored, for_class, for_puzzle)

        whole_bias = bias
        if tuple(jigsaw.shuffled) != (1.0,):
            whole_bias = 1 - (1 - bias) * moved(jigsaw.shuffled, progress)
        orders = draw(order_rngs, progress, whole_bias)
        images, styled = style_images(
            progress, shard_rng, style_rngs, natural, orders, domain, styling
        )
        everyone = jnp.arange(n)
        seen = [see(images, orders, styled, tile_rngs, everyone, False)]
        if both_styles:
            plain = jnp.zeros(n, bool)
            seen.append(see(natural, orders, plain, tile_rngs, everyone, False))
        if second_style:
            images, styled = style_images(
                progress,
                jax.random.fold_in(shard_rng, 2),
                more(style_rngs, 2),
                natural,
                orders,
                domain,
                styling,
            )
            seen.append(see(images, orders, styled, tile_rngs, everyone, False))
        if beside:
            share = 1 - jigsaw.bias_whole_image
            stored = jnp.asarray(np.arange(round(share * n)) / share, jnp.int32)
            order_rngs = more(order_rngs, 3)[stored]
            orders = jnp.ones(len(stored), jnp.int32)  # shuffled, whichever it will be
            if jigsaw.encode == "image":
                orders = draw(order_rngs, progress, 0.0)
            images, styled = style_puzzles(
                progress,
                jax.random.fold_in(shard_rng, 1),
                more(style_rngs, 1)[stored],
                natural[stored],
                orders,
                domain[stored],
                styling,
            )
            tile_rngs = [more(rngs, 4)[stored] for rngs in tile_rngs]
            counts = jnp.ones(len(stored))
            if tuple(jigsaw.shuffled) != (1.0,):
                draws = jax.vmap(jax.random.uniform)(more(order_rngs, 2))
                counts = jnp.float32(draws < moved(jigsaw.shuffled, progress))
            if jigsaw.encode == "tiles":
                tiles = cut(images, orders, tile_rngs, progress)
                seen = joined(seen)._replace(natural=natural)
                return ask_often(seen, tiles, order_rngs, counts, progress)
            puzzles = see(images, orders, styled, tile_rngs, stored, True)
            seen.append(puzzles._replace(for_puzzle=counts))
        seen = joined(seen)
        asked = {
            "puzzle_order": seen.orders,
            "puzzle_permutation": seen.permutations,
            "puzzle_counts": seen.for_puzzle,
        }
        return seen._replace(asked=asked, natural=natural)

    def ask_often(seen, tiles, rngs, counts, progress):
        """Returns `seen` with tiles, each image's asked about in several orders."""
        n_each = jigsaw.orders_per_image
        rngs = jax.vmap(lambda rng: jax.random.split(rng, n_each))(rngs).reshape(-1)
        orders = draw(rngs, progress, 0.0)
        rows = chosen(orders, jax.vmap(jax.random.fold_in, (0, None))(rngs, 1))
        return seen._replace(
            tiles=tiles,
            tile_permutations=rows.reshape(len(tiles), n_each, n_tiles),
            asked={
                "puzzle_order": orders,
                "puzzle_permutation": rows,
                "puzzle_counts": jnp.repeat(counts, n_each),
            },
        )

    def joined(seen):
        if len(seen) == 1:
            return seen[0]
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *seen)

    return view


def _make_styler(config: ConfigDict, bias_whole_image: float):
    """Returns what changes images' styles and says whose were changed.

    `(progress, shard_rng, rngs, images, orders, domain, styling)` -> images, bool [B].
    """
    if not config.diversify.name:
        return lambda _, __, ___, images, *____: (images, jnp.zeros(len(images), bool))
    diversify = make_schedule(
        config.diversify, config.jigsaw.grid, bias_whole_image=bias_whole_image
    )

    def style(progress, shard_rng, rngs, images, orders, domain, styling):
        changed = diversify(progress, shard_rng, rngs, images, orders, domain, styling)
        return changed, jnp.abs(changed - images).max((1, 2, 3)) > _ROUNDING

    return style
