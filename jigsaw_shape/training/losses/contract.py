"""What a loss is given and what it returns.

A loss maps the model's outputs and the batch to values and a mask, float32 of one shape
[n], usually one an example. The step sums both over every device before it divides, so
that the value of a term is the mean over what counts, wherever it is. The batch holds
`label`, `domain` and `order`, int32 [V], `styled`, bool [V], and `for_class` and
`for_puzzle`, float32 [V], for the V images that `training.view` makes of it;
`puzzle_order`, `puzzle_permutation` and `puzzle_counts` of what the jigsaw head is
asked (`view.Seen.asked`); and `twin`, int32 [B], where the first B of them have a
natural twin, the next B. `natural`, float32 [B, S, S, 3], are
the B images in order and in their own style; `stored`, int32 [V], says which of them an
image is made of. Where images are mixed, `partner_label`, int32 [V], and `own_share`,
float32 [V], belong to the other image in each and its share. Where a loss has a
teacher, `teacher` is its outputs of the same images.

A loss of domains (`losses.Loss.of_domains`) is no mean over examples. It is given the
outputs and images of all devices together, and `member` beside them, float32 [V, D], 1
where an image with a label is of a domain. It returns one value and a mask of one 1,
the same on every device. A domain without images, as the target, is left out.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

Outputs = Mapping[str, jax.Array]
Batch = Mapping[str, jax.Array]
# Of a loss with a memory: (outputs, batch, memory) -> values, mask, memory
LossFn = Callable[..., tuple[jax.Array, ...]]


def one(value: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns what a loss returns that is one number, float32 []."""
    return value[None], jnp.ones(1)


def domain_means(values: jax.Array, member: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns means over domains, [D, ...], 0 where there is none, and which have one.

    Args:
      values: float32 [V, ...].
      member: float32 [V, D], each image's weight in each domain's mean.

    Returns:
      float32 [D, ...] and float32 [D], 1 for domains with images.
    """
    counts = member.sum(0)
    flat = member.T @ values.reshape(len(values), -1)
    means = flat / jnp.maximum(counts, 1)[:, None]
    return means.reshape(-1, *values.shape[1:]), (counts > 0).astype(jnp.float32)


def spread(values: jax.Array, present: jax.Array) -> jax.Array:
    """Returns the mean squared distance of domains' values to their mean: float32 [].

    The variance over domains, summed over the other axes.

    Args:
      values: float32 [D, ...].
      present: float32 [D], 1 for domains that count.
    """
    flat = values.reshape(len(values), -1)
    n = jnp.maximum(present.sum(), 1)
    mean = present @ flat / n
    return present @ ((flat - mean) ** 2).sum(-1) / n
