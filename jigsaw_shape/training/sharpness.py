"""Updates by the gradient at a worse place nearby: SAM and SAGM.

Each step computes two gradients of the same batch, so it costs twice as much.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from ml_collections import ConfigDict


class Sharpness(NamedTuple):
    """How a step looks for a flat place.

    Attributes:
      move: `move(params, gradient)` returns the weights at which the second gradient is
        taken.
      join: `join(first, second)` returns the gradient of the update.
    """

    move: Callable[[Any, Any], Any]
    join: Callable[[Any, Any], Any]


def make_sharpness(optim: ConfigDict) -> Sharpness | None:
    """Returns what `optim.sharpness` names; None for nothing.

    `sam`: Foret et al., Sharpness-aware minimization, ICLR 2021, eqs. 2 and 3: the
    gradient at `params + rho g / |g|`, of the gradient g of the whole batch, over all
    devices. `sagm`: Wang et al., Sharpness-aware gradient matching, CVPR 2023, eq. 10:
    that of the loss plus the loss at `params + rho g / |g| - alpha g`, halved, as in
    their code. BatchNorm's running statistics are those of the first pass.

    Args:
      optim: `config.optim`.
    """
    if not optim.sharpness:
        return None
    alpha = optim.sharpness_alpha if optim.sharpness == "sagm" else 0.0

    def move(params, gradient):
        # A gradient of 0 stays where it is.
        norm = optax.tree.norm(gradient) + 1e-12
        far = optim.sharpness_rho / norm - alpha
        return jax.tree.map(lambda p, g: p + far * g, params, gradient)

    def join(first, second):
        if optim.sharpness == "sam":
            return second
        return jax.tree.map(lambda a, b: (a + b) / 2, first, second)

    return Sharpness(move, join)
