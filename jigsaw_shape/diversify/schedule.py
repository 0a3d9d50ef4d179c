"""When, how strongly and in whose style images are diversified.

Asadi et al. (arXiv 1909.08245) name the trade-off: exploration (often, strongly, in
foreign styles, each tile in its own) against exploitation (rarely, weakly, in one).
Here it is one function of `config.diversify`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jigsaw_shape import jigsaw
from jigsaw_shape.diversify import DIVERSIFIERS
from jigsaw_shape.diversify.pairing import partners

# (shard_rng, rngs [B], images, orders [B], domain [B]) -> images
Schedule = Callable[..., jax.Array]


def make_schedule(settings: ConfigDict, grid: int) -> Schedule:
    """Returns what diversifies a device's part of a batch.

    `schedule(shard_rng, rngs, images, orders, domain)` maps float32 [B, S, S, 3] in
    [0, 1] to the same. An image is diversified with probability `p_ordered` or
    `p_shuffled`, after its order, at a strength uniform in `strength`. Styles are other
    images of the same part of the batch, from other source domains (`pairing`): a
    target image is in no batch, so it cannot be a style. Of the shuffled images that
    are diversified a share `per_tile` has a partner of its own for each tile, the tile
    in the same place.

    Whether, how strongly and by which random numbers an image changes depends on its
    own key in `rngs`; its partners depend on `shard_rng`, one key a device.

    Args:
      settings: `config.diversify`.
      grid: Tiles per side.

    Raises:
      ValueError: There is no diversifier of that name.
    """
    if settings.name not in DIVERSIFIERS:
        raise ValueError(
            f"config.diversify.name is {settings.name!r}: {', '.join(DIVERSIFIERS)}, "
            "or empty for none"
        )
    diversify = DIVERSIFIERS[settings.name]
    low, high = settings.strength

    def schedule(shard_rng, rngs, images, orders, domain):
        keys = jax.vmap(lambda rng: jax.random.split(rng, 3))(rngs)
        draws = jax.vmap(lambda rng: jax.random.uniform(rng, (3,)))(keys[:, 0])
        p = jnp.where(orders == 0, settings.p_ordered, settings.p_shuffled)
        strengths = jnp.where(draws[:, 0] < p, low + draws[:, 1] * (high - low), 0)
        tiled = (orders > 0) & (draws[:, 2] < settings.per_tile)
        whole_rng, tile_rng = jax.random.split(shard_rng)
        styles = images[partners(whole_rng, domain)]
        whole = diversify(keys[:, 1], images, styles, jnp.where(tiled, 0, strengths))
        if settings.per_tile == 0:
            return whole

        tiles = jigsaw.cut_tiles(whole, grid)
        b, n_tiles = tiles.shape[:2]
        tile_rngs = jax.random.split(tile_rng, n_tiles)
        others = jax.vmap(lambda rng: partners(rng, domain))(tile_rngs).T  # [B, T]
        stylist = jigsaw.cut_tiles(images, grid)
        tile_styles = stylist[others, jnp.arange(n_tiles)]
        tile_keys = jax.vmap(lambda rng: jax.random.split(rng, n_tiles))(keys[:, 2])
        flat = diversify(
            tile_keys.reshape(-1),
            tiles.reshape(b * n_tiles, *tiles.shape[2:]),
            tile_styles.reshape(b * n_tiles, *tiles.shape[2:]),
            jnp.repeat(jnp.where(tiled, strengths, 0), n_tiles),
        )
        return jigsaw.join_tiles(flat.reshape(tiles.shape))

    return schedule
