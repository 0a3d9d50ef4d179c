"""Computing some images of a batch alone, in chunks of one size."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

_N_CHUNKS = 4  # of the images that are expected to need it: what is computed at once


def where_needed(
    function: Callable[[jax.Array], jax.Array],
    needed: jax.Array,
    images: jax.Array,
    share: float,
) -> jax.Array:
    """Returns `function(i)` for the examples i that need it, else `images[i]`.

    They are computed in chunks, as many as it takes: a stylizer costs more than the
    rest of a step, and often few images change. A chunk is a quarter of the `share`
    that is expected to, so that an eighth of that is computed in vain.
    """
    size = max(1, math.ceil(len(images) * min(share, 1.0) / _N_CHUNKS))
    order = jnp.argsort(~needed, stable=True)
    n_needed = jnp.count_nonzero(needed)

    def step(chunk, done):
        # The last chunk may reach back, over examples that come out the same again,
        # or beyond those that are needed.
        i = jax.lax.dynamic_slice_in_dim(order, chunk * size, size)
        return done.at[i].set(
            jnp.where(needed[i][:, None, None, None], function(i), done[i])
        )

    return jax.lax.fori_loop(0, -(-n_needed // size), step, images)
