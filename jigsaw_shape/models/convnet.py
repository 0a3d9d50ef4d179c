"""A small convolutional network for 48 to 64 px images, quick on two CPU cores."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.batch_norm import RELU
from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv


class ConvNet(Encoder):
    """Stages of 3x3 convolution with stride 2, BatchNorm and ReLU; average pooling.

    Attributes:
      widths: Channels out of each stage; the last are the features.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256)

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, F]."""
        x = images
        for i, width in enumerate(self.widths, 1):
            x = Conv(width, 3, 2, dtype=self.dtype, name=f"conv{i}")(x)
            x = self.norm()(name=f"bn{i}", clip=RELU)(x, train)
            x = self.leave(f"stage{i}", x, edit)
        return x.astype(jnp.float32).mean((1, 2))
