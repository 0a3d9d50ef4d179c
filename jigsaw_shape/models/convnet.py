"""A small convolutional network for 48 to 64 px images, quick on two CPU cores."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.layers import BatchNorm, Conv, Dtype
from jigsaw_shape.models.stages import Edit, leave


class ConvNet(nn.Module):
    """Stages of 3x3 convolution with stride 2, BatchNorm and ReLU; average pooling.

    Attributes:
      widths: Channels out of each stage; the last are the features.
      dtype: What is computed in.
      norm_axis: pmap axis that synchronizes BatchNorm, None for none.
      freeze_norm: Use the running statistics in training too.
      norm_momentum: What BatchNorm keeps of its running statistics a step.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)
    dtype: Dtype = jnp.float32
    norm_axis: str | None = None
    freeze_norm: bool = False
    norm_momentum: float = 0.9

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, F]."""
        x = images
        for i, width in enumerate(self.widths, 1):
            x = Conv(width, 3, 2, dtype=self.dtype, name=f"conv{i}")(x)
            x = BatchNorm(
                momentum=self.norm_momentum,
                axis_name=self.norm_axis,
                freeze=self.freeze_norm,
                dtype=self.dtype,
                name=f"bn{i}",
            )(x, train)
            x = nn.relu(x)
            x = leave(self, f"stage{i}", x, edit)
        return x.astype(jnp.float32).mean((1, 2))
