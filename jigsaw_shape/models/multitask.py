"""One encoder, several heads."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from jigsaw_shape.models import Triple, assignment
from jigsaw_shape.models.encoder import Edit
from jigsaw_shape.models.pooling import average_to


@dataclasses.dataclass(frozen=True)
class Head:
    """The layers of one task on the encoder's features.

    Attributes:
      n_classes: Scores out.
      hidden: Widths of layers with ReLU before the last one; none for a linear head.
      reverse: Whether the encoder gets the head's gradient reversed.
      detached: Whether the encoder gets no gradient from it.
      grid: Above 0, it reads the encoder's last map, averaged to `grid` x `grid` cells
        that are concatenated, instead of the pooled features.
      permutations: If any, the head's T * T scores say which tile stands at each of T
        places, and these K + 1 permutations are scored from them.
    """

    n_classes: int
    hidden: tuple[int, ...] = ()
    reverse: bool = False
    detached: bool = False
    grid: int = 0
    permutations: tuple[tuple[int, ...], ...] = ()


def jigsaw_head(jigsaw: ConfigDict, permutations: np.ndarray) -> Head:
    """Returns the head that solves the puzzle.

    Pooled and linear it is JiGen's (Carlucci et al., CVPR 2019). Spatial it keeps where
    things are: the last map's cells stand for the places of the tiles.

    Args:
      jigsaw: `config.jigsaw`.
      permutations: int32 [K + 1, T].
    """
    spatial = jigsaw.head == "spatial"
    hidden = (jigsaw.hidden,) if spatial and jigsaw.hidden else ()
    grid = jigsaw.grid if spatial else 0
    if jigsaw.answer == "order":
        return Head(len(permutations), hidden, grid=grid)
    rows = tuple(tuple(map(int, row)) for row in permutations)
    return Head(len(rows[0]) ** 2, hidden, grid=grid, permutations=rows)


class Multitask(nn.Module):
    """A shared encoder under several heads.

    Attributes:
      encoder: Maps normalized float32 [B, H, W, 3] to pooled features [B, F].
      heads: Each head by name; a number stands for a linear head of so many classes,
        such as `{"classification": 7}`.
      mean: Subtracted from RGB in [0, 1]; it belongs to the encoder's weights.
      std: The difference is divided by it.
    """

    encoder: nn.Module
    heads: Mapping[str, int | Head]
    mean: Triple
    std: Triple

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        train: bool,
        edit: Edit | None = None,
        reversal: jax.Array | float = 0.0,
    ) -> dict[str, jax.Array]:
        """Returns `features` [B, F] and each head's logits [B, n], all float32.

        A head `NAME` that places tiles also returns `NAME_positions`, float32
        [B, T, T]: the log probability that place t shows the original tile u.

        Args:
          images: float32 [B, H, W, 3], RGB in [0, 1].
          train: Whether BatchNorm uses and updates the batch's statistics.
          edit: Changes a stage's features, used in training, such as MixStyle's:
            `edit(stage, features)` for each of the encoder's stages (`Encoder.leave`).
          reversal: float32 [], see `reverse_gradient`, for the heads that do.
        """
        normalized = (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)
        last_map = None

        def keep_map(stage, x):
            nonlocal last_map
            x = x if edit is None else edit(stage, x)
            if x.ndim == 4:  # stages may end with rows [B, F]
                last_map = x.astype(jnp.float32)
            return x

        heads = {
            name: head if isinstance(head, Head) else Head(head)
            for name, head in self.heads.items()
        }
        if any(head.grid for head in heads.values()):
            features = self.encoder(normalized, train, keep_map)
        else:
            features = self.encoder(normalized, train, edit)
        outputs = {"features": features}
        for name, head in heads.items():
            x = features
            if head.grid:
                x = average_to(last_map, head.grid).reshape(len(images), -1)
            if head.detached:
                x = jax.lax.stop_gradient(x)
            if head.reverse:
                x = reverse_gradient(x, reversal)
            for i, width in enumerate(head.hidden, 1):
                x = nn.relu(nn.Dense(width, name=f"head_{name}_hidden{i}")(x))
            outputs[name] = nn.Dense(head.n_classes, name=f"head_{name}")(x)
            if head.permutations:
                n_tiles = len(head.permutations[0])
                scores = outputs[name].reshape(-1, n_tiles, n_tiles)
                positions = assignment.sinkhorn(scores)
                outputs[f"{name}_positions"] = positions
                outputs[name] = assignment.order_scores(positions, head.permutations)
        return outputs


@jax.custom_vjp
def reverse_gradient(x: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Returns `x`; the gradient that comes back is multiplied by `-factor`.

    The gradient reversal layer of Ganin et al., JMLR 2016, section 4.2, eqs. 14, 15.

    Args:
      x: Any array.
      factor: float32 [], lambda; it has no gradient.
    """
    del factor
    return x


def _forward(x, factor):
    return x, factor


def _backward(factor, gradient):
    return -factor * gradient, jnp.zeros_like(factor)


reverse_gradient.defvjp(_forward, _backward)


def reversal_at(progress: jax.Array, gamma: float, strongest: float) -> jax.Array:
    """Returns lambda at a time of the run: Ganin et al., JMLR 2016, section 5.2.2.

    2 / (1 + exp(-gamma p)) - 1, times `strongest`: from 0 smoothly up, so that the
    domain classifier's first guesses do not disturb the features.

    Args:
      progress: float32 [], p, 0 at the first step and 1 at the last.
      gamma: How fast; 10 in the paper.
      strongest: 1 in the paper.
    """
    return strongest * (2 / (1 + jnp.exp(-gamma * progress)) - 1)
