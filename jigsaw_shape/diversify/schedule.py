"""When, how strongly and in whose style images are diversified.

Asadi et al. (arXiv 1909.08245) weigh exploration (often, strongly, in foreign styles,
tile by tile) against exploitation (rarely, weakly, in one style for the whole image).
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape.diversify import bind, named
from jigsaw_shape.diversify.adain import Pair
from jigsaw_shape.diversify.chunks import where_needed
from jigsaw_shape.diversify.style_partners import partners
from jigsaw_shape.pixels import puzzle


class Styling(NamedTuple):
    """What diversifying needs besides the batch.

    Attributes:
      styles: uint8 [M, S, S, 3], external styles; None without.
      pair: A stylizer's networks; None without.
    """

    styles: jax.Array | None = None
    pair: Pair | None = None


# (progress, shard_rng, rngs [B], images, orders [B], domain [B], styling) -> images
Schedule = Callable[..., jax.Array]


def make_schedule(
    settings: ConfigDict,
    grid: int,
    changes: Sequence[Callable[..., jax.Array]] | None = None,
    *,
    bias_whole_image: float = 0.0,
) -> Schedule:
    """Returns what diversifies a device's part of a batch.

    `schedule(progress, shard_rng, rngs, images, orders, domain, styling)` maps float32
    [B, S, S, 3] in [0, 1] to the same. `progress`, float32 [], is the share of the run
    that is over; every number of the settings may change with it (`moved`).

    An ordered image is diversified with probability `p_ordered`, a shuffled one with
    `p_shuffled`, at a strength uniform between `weakest` and `strongest`, by one of the
    diversifiers that `name` lists. With probability `external` its style is one of
    `styling.styles`, else an image of another source domain in the same part of the
    batch (`style_partners`); all choices are equally likely. In a share `per_tile` of
    the diversified shuffled images each tile has its own style: the tile at the same
    place of the style image, or, with `enlarge_tiles`, the whole style on the tile
    enlarged to the image's size and shrunk again, as in the paper's code. With
    `mix_tiles` each of these tiles draws its own diversifier, or none, so that tiles of
    one object are of several kinds (Pang et al., Solving mixed-modal jigsaw puzzle for
    fine-grained sketch-based image retrieval, CVPR 2020).

    An image's own key in `rngs` decides everything but its partners, which depend on
    `shard_rng`, one key a device. Images that stay as they are cost nothing.

    Args:
      settings: `config.diversify`.
      grid: Tiles per side.
      changes: What changes the images, instead of the diversifiers that the settings
        name.
      bias_whole_image: Share of the images that stay whole; decides the speed alone.

    Raises:
      ValueError: There is no diversifier of that name.
    """
    names = named(settings.name)
    has_tiles = any(settings.per_tile)
    share_tiled = (1 - bias_whole_image) * max(settings.p_shuffled)
    share_tiled *= max(settings.per_tile)
    share_whole = bias_whole_image * max(settings.p_ordered)
    share_whole += (1 - bias_whole_image) * max(settings.p_shuffled)

    def schedule(progress, shard_rng, rngs, images, orders, domain, styling):
        each_change = changes or [bind(name, styling.pair) for name in names]

        def now(field):
            return moved(settings[field], progress)

        keys = jax.vmap(lambda rng: jax.random.split(rng, 4))(rngs)
        draws = jax.vmap(lambda rng: jax.random.uniform(rng, (3,)))(keys[:, 0])
        p = jnp.where(orders == 0, now("p_ordered"), now("p_shuffled"))
        p = jnp.where(progress <= settings.until, p, 0)
        low, high = now("weakest"), now("strongest")
        strengths = jnp.where(draws[:, 0] < p, low + draws[:, 1] * (high - low), 0)
        tiled = (orders > 0) & (draws[:, 2] < now("per_tile"))
        whole_rng, tile_rng = jax.random.split(shard_rng)
        change_rngs = jax.vmap(jax.random.fold_in, (0, None))(keys[:, 0], 1)
        which = jax.vmap(lambda rng: jax.random.randint(rng, (), 0, len(each_change)))(
            change_rngs
        )

        whole = jnp.where(tiled, 0, strengths)
        chosen = _choose(keys[:, 3], partners(whole_rng, domain), now, styling)

        def stylize(change, i):
            styles = _gather(chosen[i], images, styling)
            return change(keys[i, 1], images[i], styles, whole[i])

        changed = _each_by_one(each_change, which, stylize, whole, images, share_whole)
        if not has_tiles:
            return changed

        tiles = puzzle.cut_tiles(changed, grid)
        b, n_tiles = tiles.shape[:2]
        flat = tiles.reshape(b * n_tiles, *tiles.shape[2:])
        tile_rngs = jax.random.split(tile_rng, n_tiles)
        others = jax.vmap(lambda rng: partners(rng, domain))(tile_rngs).T.reshape(-1)
        tile_keys = jax.vmap(lambda rng: jax.random.split(rng, (n_tiles, 2)))(
            keys[:, 2]
        ).reshape(-1, 2)
        of_tiles = _choose(tile_keys[:, 0], others, now, styling)
        each = jnp.repeat(jnp.where(tiled, strengths, 0), n_tiles)

        def stylize_tiles(change, i):
            contents, styles = flat[i], _gather(of_tiles[i], images, styling)
            if settings.enlarge_tiles:
                contents = _resize(contents, styles.shape)
            else:
                place = jnp.arange(len(i)), i % n_tiles
                styles = puzzle.cut_tiles(styles, grid)[place]
            stylized = change(tile_keys[i, 1], contents, styles, each[i])
            return _resize(stylized, (len(i), *flat.shape[1:]))

        which = jnp.repeat(which, n_tiles)
        if settings.mix_tiles:  # the last number stands for none
            which_rngs = jax.vmap(jax.random.fold_in, (0, None))(tile_keys[:, 0], 1)
            which = jax.vmap(
                lambda rng: jax.random.randint(rng, (), 0, len(each_change) + 1)
            )(which_rngs)
        flat = _each_by_one(each_change, which, stylize_tiles, each, flat, share_tiled)
        return puzzle.join_tiles(flat.reshape(tiles.shape))

    return schedule


def moved(values: Sequence[float], progress: jax.Array) -> jax.Array:
    """Returns a setting's value at a time of the run.

    Args:
      values: One number, which stays; or two, at the start and at the end of the run,
        between which it moves linearly.
      progress: float32 [], 0 at the first step and 1 at the last.
    """
    first, last = values[0], values[-1]
    return first + progress * (last - first)


def _choose(rngs, others, now, styling: Styling) -> jax.Array:
    """Returns each example's style: its index in the batch, or -1 - that in styles."""
    if styling.styles is None:
        return others
    draws = jax.vmap(lambda rng: jax.random.uniform(rng, (2,)))(rngs)
    index = jnp.floor(draws[:, 1] * len(styling.styles)).astype(jnp.int32)
    return jnp.where(draws[:, 0] < now("external"), -1 - index, others)


def _gather(chosen, images, styling: Styling) -> jax.Array:
    """Returns the images that `_choose` means: float32 [b, S, S, 3]."""
    partner = images[jnp.maximum(chosen, 0)]
    if styling.styles is None:
        return partner
    external = styling.styles[jnp.maximum(-1 - chosen, 0)].astype(jnp.float32) / 255
    return jnp.where(chosen[:, None, None, None] < 0, external, partner)


def _resize(images, shape) -> jax.Array:
    if images.shape == tuple(shape):
        return images
    return jax.image.resize(images, shape, "bilinear", antialias=True)


def _each_by_one(changes, which, stylize, strengths, images, share: float) -> jax.Array:
    """Returns images, each changed by the one of `changes` that `which` names."""
    for number, change in enumerate(changes):
        images = where_needed(
            functools.partial(stylize, change),
            (strengths > 0) & (which == number),
            images,
            share / len(changes),
        )
    return images
