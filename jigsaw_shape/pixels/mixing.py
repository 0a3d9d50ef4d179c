"""Two images made into one, and how much of each is in it: Mixup and CutMix.

Both map `(rng, images, alpha)` to images float32 [V, S, S, 3] in [0, 1], the partner of
each, int32 [V], by a random shuffle, and the share of itself in each, float32 [V]. The
images are those of one device, and so are the partners.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Mixed = tuple[jax.Array, jax.Array, jax.Array]


def mixup(rng: jax.Array, images: jax.Array, alpha: float) -> Mixed:
    """Returns `l own + (1 - l) partner`, l from Beta(alpha, alpha) for each image.

    Zhang et al., mixup, ICLR 2018, eq. 1. (The authors' code draws one l a batch.)

    Args:
      rng: One typed key.
      images: float32 [V, S, S, 3] in [0, 1].
      alpha: Above 0.
    """
    partner, share = _draw(rng, len(images), alpha)
    weight = share[:, None, None, None]
    return weight * images + (1 - weight) * images[partner], partner, share


def cutmix(rng: jax.Array, images: jax.Array, alpha: float) -> Mixed:
    """Returns images with a box of their partner in them.

    Yun et al., CutMix, ICCV 2019, eqs. 1 and 2: a share 1 - l of the area, l from
    Beta(alpha, alpha) for each image, around a uniform centre; what would be outside is
    cut off, and the share counts the pixels that are left. (The authors' code draws one
    l and one box a batch.)

    Args:
      rng: One typed key.
      images: float32 [V, S, S, 3] in [0, 1].
      alpha: Above 0.
    """
    draw_rng, centre_rng = jax.random.split(rng)
    v, h, w, _ = images.shape
    partner, share = _draw(draw_rng, v, alpha)
    sides = jnp.sqrt(1 - share)[:, None] * jnp.array([h, w])
    centre = jax.random.uniform(centre_rng, (v, 2)) * jnp.array([h, w])
    first, last = jnp.round(centre - sides / 2), jnp.round(centre + sides / 2)

    def inside(axis, n):
        at = jnp.arange(n)
        return (at >= first[:, axis, None]) & (at < last[:, axis, None])

    box = inside(0, h)[:, :, None] & inside(1, w)[:, None, :]
    mixed = jnp.where(box[..., None], images[partner], images)
    return mixed, partner, 1 - box.mean((1, 2))


def _draw(rng, n, alpha):
    partner_rng, share_rng = jax.random.split(rng)
    partner = jax.random.permutation(partner_rng, n)
    return partner, jax.random.beta(share_rng, alpha, alpha, (n,))


MIXINGS: dict[str, Callable[[jax.Array, jax.Array, float], Mixed]] = {
    "mixup": mixup,
    "cutmix": cutmix,
}
