"""What all encoders are: fields, BatchNorm, and stages that are seen by name."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.batch_norm import BatchNorm
from jigsaw_shape.models.layers import Dtype

# (stage, features) -> features of the same shape
Edit = Callable[[str, jax.Array], jax.Array]


class Encoder(nn.Module, kw_only=True):
    """Base of the encoders.

    `module.apply(variables, images, train, edit)` maps normalized images float32
    [B, H, W, 3] to features float32 [B, F], and passes what each stage returns through
    `leave`. An encoder with dropout takes a key `dropout` in training.

    Attributes:
      dtype: What is computed in; parameters are float32.
      norm_axis: The devices' axis over which BatchNorm's statistics are synchronized
        in training, None for none.
      freeze_norm: BatchNorm uses its running statistics in training too.
      norm_momentum: What BatchNorm keeps of its running statistics a step.
    """

    dtype: Dtype = jnp.float32
    norm_axis: str | None = None
    freeze_norm: bool = False
    norm_momentum: float = 0.9

    @nn.nowrap
    def norm(self, epsilon: float = 1e-5) -> Callable[..., BatchNorm]:
        """Returns what builds a BatchNorm of this encoder: `norm(name="bn1")`."""
        return functools.partial(
            BatchNorm,
            epsilon=epsilon,
            momentum=self.norm_momentum,
            axis_name=self.norm_axis,
            freeze=self.freeze_norm,
            dtype=self.dtype,
        )

    @nn.nowrap
    def leave(self, stage: str, features: jax.Array, edit: Edit | None) -> jax.Array:
        """Returns what a stage hands on, sown as `intermediates` under its name.

        Args:
          stage: Its name.
          features: Maps [B, h, w, C], or [B, F] of a fully connected layer.
          edit: Changes the features, such as MixStyle in training; None leaves them.
        """
        if edit is not None:
            features = edit(stage, features)
        self.sow("intermediates", stage, features)
        return features
