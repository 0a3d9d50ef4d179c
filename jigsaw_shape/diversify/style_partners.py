"""Who is whose style partner: always an example of the same array (device shard)."""

import jax
import jax.numpy as jnp


def partners(rng: jax.Array, domain: jax.Array) -> jax.Array:
    """Returns for each example the index of one of another domain: int32 [B].

    Uniform over all examples of other domains, whatever their number and counts; with
    replacement, so that one example can be the partner of several. Where the array
    holds a single domain, an example is its own partner.

    Args:
      rng: One typed key; B x B numbers are drawn, so a draw depends on the whole array.
      domain: Integers [B].
    """
    b = len(domain)
    differs = domain[:, None] != domain
    # The largest of independent uniform numbers is equally likely to be any of them.
    score = jnp.where(differs, jax.random.uniform(rng, (b, b)), -1)
    chosen = jnp.argmax(score, -1).astype(jnp.int32)
    return jnp.where(differs.any(-1), chosen, jnp.arange(b, dtype=jnp.int32))
