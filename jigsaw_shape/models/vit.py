"""Vision transformer, timm's architecture.

Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, in the size S of Steiner
et al., How to train your ViT, TMLR 2022. Dropout and stochastic depth are left out.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv, Dtype, layer_norm

VARIANTS = {
    "vit_small_16": {"patch_px": 16, "width": 384, "depth": 12, "n_heads": 6},
}

_init = nn.initializers.truncated_normal(0.02)


class Block(nn.Module):
    """Attention between tokens, then an MLP of 4 times the width; each residual.

    Attributes:
      n_heads: Attention's heads, which divide the width.
      dtype: What is computed in.
    """

    n_heads: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps tokens [B, N, C] to the same shape."""
        b, n, c = x.shape
        dense = functools.partial(nn.Dense, kernel_init=_init, dtype=self.dtype)
        qkv = dense(3 * c, name="qkv")(layer_norm(self.dtype, "norm1")(x))
        q, k, v = jnp.moveaxis(qkv.reshape(b, n, 3, self.n_heads, -1), 2, 0)
        y = jax.nn.dot_product_attention(q, k, v).reshape(b, n, c)
        x = x + dense(c, name="proj")(y)
        y = dense(4 * c, name="fc1")(layer_norm(self.dtype, "norm2")(x))
        return x + dense(c, name="fc2")(nn.gelu(y, approximate=False))


class ViT(Encoder):
    """Vision transformer without its classifier; the class token's are the features.

    Stages are `stem`, the embedded patches, and `block1`, ...: each returns the patches
    [B, H / patch_px, W / patch_px, width]; the class token is not among them and not
    edited. The positions are those of `grid` x `grid` patches, resampled to
    the image's where they differ, as timm's `dynamic_img_size` does.

    Attributes:
      patch_px: Side of a patch; images' sides are multiples of it.
      width: Channels of a token.
      depth: Blocks.
      n_heads: Attention's heads.
      grid: Patches a side that the positions are learned for: 224 px.
    """

    patch_px: int
    width: int
    depth: int
    n_heads: int
    grid: int = 14

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, width].

        Training and evaluation are the same.

        Raises:
          ValueError: The images' sides are no multiples of `patch_px`.
        """
        if images.shape[1] % self.patch_px or images.shape[2] % self.patch_px:
            least = images.shape[2] // self.patch_px * self.patch_px
            raise ValueError(
                f"config.data.image_size is {images.shape[2]}, which patches of "
                f"{self.patch_px} px do not divide: use a multiple, such as "
                f"{least or self.patch_px} or {least + self.patch_px}"
            )
        patches = Conv(
            self.width,
            self.patch_px,
            self.patch_px,
            padding=0,
            use_bias=True,
            kernel_init=nn.initializers.lecun_normal(),
            dtype=self.dtype,
            name="patch_embed",
        )(images)
        b, h, w, c = patches.shape
        token = self.param("cls_token", nn.initializers.normal(1e-6), (1, 1, c))
        positions = self.param("pos_embed", _init, (1, 1 + self.grid**2, c))
        maps = positions[:, 1:].reshape(1, self.grid, self.grid, c)
        if (h, w) != (self.grid, self.grid):
            maps = jax.image.resize(maps, (1, h, w, c), "cubic")
        token = jnp.tile(token + positions[:, :1], (b, 1, 1)).astype(self.dtype)
        patches = self.leave("stem", patches + maps.astype(self.dtype), edit)
        for i in range(1, self.depth + 1):
            x = jnp.concatenate([token, patches.reshape(b, h * w, c)], 1)
            x = Block(self.n_heads, self.dtype, name=f"blocks_{i - 1}")(x)
            token, patches = x[:, :1], x[:, 1:].reshape(b, h, w, c)
            patches = self.leave(f"block{i}", patches, edit)
        return layer_norm(jnp.float32, "norm")(token[:, 0].astype(jnp.float32))
