"""One encoder, several heads."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.stages import Edit


@dataclasses.dataclass(frozen=True)
class Head:
    """What stands on the features.

    Attributes:
      n_classes: Logits out.
      hidden: Widths of layers with ReLU before the last one; none for a linear head.
      reverse: Whether the encoder gets the head's gradient reversed.
    """

    n_classes: int
    hidden: tuple[int, ...] = ()
    reverse: bool = False


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
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        train: bool,
        edit: Edit | None = None,
        reversal: jax.Array | float = 0.0,
    ) -> dict[str, jax.Array]:
        """Returns `features` [B, F] and each head's logits [B, n], all float32.

        Args:
          images: float32 [B, H, W, 3], RGB in [0, 1].
          train: Whether BatchNorm uses and updates the batch's statistics.
          edit: Changes a stage's features, used in training, such as MixStyle's:
            `edit(stage, features)` for each of the encoder's stages (`stages.leave`).
          reversal: float32 [], see `reverse_gradient`, for the heads that do.
        """
        normalized = (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)
        features = self.encoder(normalized, train, edit)
        outputs = {"features": features}
        for name, head in self.heads.items():
            head = head if isinstance(head, Head) else Head(head)
            x = reverse_gradient(features, reversal) if head.reverse else features
            for i, width in enumerate(head.hidden, 1):
                x = nn.relu(nn.Dense(width, name=f"head_{name}_hidden{i}")(x))
            outputs[name] = nn.Dense(head.n_classes, name=f"head_{name}")(x)
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
