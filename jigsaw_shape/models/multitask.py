"""One encoder, several heads."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.stages import Edit


class Multitask(nn.Module):
    """A shared encoder under linear heads.

    Attributes:
      encoder: Maps normalized float32 [B, H, W, 3] to pooled features [B, F].
      heads: Classes of each head by name, such as `{"classification": 7}`.
      mean: Subtracted from RGB in [0, 1]; it belongs to the encoder's weights.
      std: The difference is divided by it.
    """

    encoder: nn.Module
    heads: Mapping[str, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool, edit: Edit | None = None
    ) -> dict[str, jax.Array]:
        """Returns `features` [B, F] and each head's logits [B, n], all float32.

        Args:
          images: float32 [B, H, W, 3], RGB in [0, 1].
          train: Whether BatchNorm uses and updates the batch's statistics.
          edit: Changes a stage's features, used in training, such as MixStyle's:
            `edit(stage, features)` for each of the encoder's stages (`stages.leave`).
        """
        normalized = (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)
        features = self.encoder(normalized, train, edit)
        outputs = {"features": features}
        for name, n_classes in self.heads.items():
            outputs[name] = nn.Dense(n_classes, name=f"head_{name}")(features)
        return outputs
