"""ConvNeXt, in timm's and torchvision's common architecture.

Liu et al., A ConvNet for the 2020s, CVPR 2022. Stochastic depth is left out.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv, DepthwiseConv, Dtype, layer_norm

VARIANTS = {
    "convnext_tiny": {"depths": (3, 3, 9, 3), "widths": (96, 192, 384, 768)},
}

_FIRST_GAMMA = 1e-6
_init = nn.initializers.truncated_normal(0.02)


class Block(nn.Module):
    """Residual: 7x7 depthwise, LayerNorm, an MLP of 4 times the width, a scale.

    Attributes:
      dtype: What is computed in.
    """

    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to the same shape."""
        c = x.shape[-1]
        dense = functools.partial(nn.Dense, kernel_init=_init, dtype=self.dtype)
        y = DepthwiseConv(
            7, use_bias=True, kernel_init=_init, dtype=self.dtype, name="conv_dw"
        )(x)
        y = layer_norm(self.dtype, "norm")(y)
        y = nn.gelu(dense(4 * c, name="fc1")(y), approximate=False)
        y = dense(c, name="fc2")(y)
        gamma = self.param("gamma", nn.initializers.constant(_FIRST_GAMMA), (c,))
        return x + y * gamma.astype(y.dtype)


class ConvNeXt(Encoder):
    """ConvNeXt without its classifier; the features are normalized after pooling.

    Stages are `stem` and `stage1` to `stage4`. Pixels beyond a multiple of 32, at the
    right and at the bottom, are not seen.

    Attributes:
      depths: Blocks in each of the four stages.
      widths: Channels of each.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, F].

        Training and evaluation are the same.
        """
        conv = functools.partial(
            Conv, padding=0, use_bias=True, kernel_init=_init, dtype=self.dtype
        )
        x = conv(self.widths[0], 4, 4, name="stem_conv")(images)
        x = layer_norm(self.dtype, "stem_norm")(x)
        x = self.leave("stem", x, edit)
        for stage, (depth, width) in enumerate(
            zip(self.depths, self.widths, strict=True)
        ):
            if stage > 0:
                x = layer_norm(self.dtype, f"downsample{stage}_norm")(x)
                x = conv(width, 2, 2, name=f"downsample{stage}_conv")(x)
            for i in range(depth):
                x = Block(self.dtype, name=f"blocks{stage}_{i}")(x)
            x = self.leave(f"stage{stage + 1}", x, edit)
        pooled = x.astype(jnp.float32).mean((1, 2))
        return layer_norm(jnp.float32, "head_norm")(pooled)
