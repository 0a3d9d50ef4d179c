"""What encoders share: their stages are seen, and may be edited, by name."""

from collections.abc import Callable

import jax
from flax import linen as nn

# (stage, features) -> features of the same shape
Edit = Callable[[str, jax.Array], jax.Array]


def leave(
    encoder: nn.Module, stage: str, features: jax.Array, edit: Edit | None
) -> jax.Array:
    """Returns what an encoder's stage hands on, sown as `intermediates` under its name.

    Args:
      encoder: The module whose stage it is.
      stage: Its name.
      features: Maps [B, h, w, C], or [B, F] of a fully connected layer.
      edit: Changes the features, such as MixStyle in training; None leaves them.
    """
    if edit is not None:
        features = edit(stage, features)
    encoder.sow("intermediates", stage, features)
    return features
