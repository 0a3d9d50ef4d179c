"""AlexNet: torchvision's, and CaffeNet, which JiGen (Carlucci et al., 2019) trained.

Krizhevsky et al., ImageNet classification with deep CNNs, NeurIPS 2012, is the common
ancestor. torchvision's has one column without groups (Krizhevsky, One weird trick,
arXiv 1404.5997). CaffeNet keeps the two groups and the local response normalization,
normalizes after it pools, and expects pixels of Caffe's range: JiGen multiplies images
normalized for ImageNet by 57.6.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv
from jigsaw_shape.models.pooling import average_to, flatten, max_pool

STAGES = ("stage1", "stage2", "stage3", "stage4", "stage5", "fc6", "fc7")

# Channels, kernel size, stride, padding, groups of a convolution; whether it is pooled.
_ALEXNET = (
    (64, 11, 4, 2, 1, True),
    (192, 5, 1, 2, 1, True),
    (384, 3, 1, 1, 1, False),
    (256, 3, 1, 1, 1, False),
    (256, 3, 1, 1, 1, True),
)
_CAFFENET = (
    (96, 11, 4, 0, 1, True),
    (256, 5, 1, 2, 2, True),
    (384, 3, 1, 1, 1, False),
    (384, 3, 1, 1, 2, False),
    (256, 3, 1, 1, 2, True),
)
_N_NORMALIZED = 2  # of CaffeNet's stages
_SIDE = 6  # of the maps that fc6 reads
_CAFFE_SCALE = 57.6


class AlexNet(Encoder):
    """AlexNet without its last layer; the features are those of fc7.

    Stages are `stage1` to `stage5`, the convolutions with what follows each, `fc6` and
    `fc7` [B, hidden]. Maps of another size than 6 x 6 before fc6, from images of other
    sides than 223 to 254 px (CaffeNet: 199 to 230), are averaged or repeated to that
    size, as torchvision does; JiGen's code refuses them.

    Attributes:
      caffe: CaffeNet instead of torchvision's.
      hidden: Channels of fc6 and fc7.
      dropout: Share of fc6's input and fc7's, or with `caffe` of their outputs, that
        is set to 0 in training.
    """

    caffe: bool = False
    hidden: int = 4096
    dropout: float = 0.5

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, hidden].

        Training takes a key `dropout`.
        """
        drop = functools.partial(nn.Dropout(self.dropout), deterministic=not train)
        x = images * _CAFFE_SCALE if self.caffe else images
        for i, layer in enumerate(_CAFFENET if self.caffe else _ALEXNET, 1):
            *shape, groups, pooled = layer
            conv = Conv(
                *shape, groups=groups, use_bias=True, dtype=self.dtype, name=f"conv{i}"
            )
            x = nn.relu(conv(x))
            if pooled:
                x = max_pool(x, 3, 2, ceil_mode=self.caffe)
            if self.caffe and i <= _N_NORMALIZED:
                x = local_response_norm(x)
            x = self.leave(f"stage{i}", x, edit)
        x = flatten(average_to(x, _SIDE))
        for i in (6, 7):
            x = x if self.caffe else drop(x)
            x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"dense{i}")(x))
            x = drop(x) if self.caffe else x
            x = self.leave(f"fc{i}", x, edit)
        return x.astype(jnp.float32)


def local_response_norm(
    x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> jax.Array:
    """Returns `x` over the activity of channels nearby, as PyTorch counts it.

    Krizhevsky et al. 2012, section 3.3, but with the mean of squares, not their sum,
    and an offset of 1: x / (1 + alpha / size * sum of squares)^beta.

    Args:
      x: [B, H, W, C].
      size: Channels that are summed over, centred; zeros beyond the last.
      alpha: Of the mean of their squares.
      beta: The exponent.
    """
    before = size // 2
    squares = lax.reduce_window(
        jnp.square(x.astype(jnp.float32)),
        0.0,
        lax.add,
        (1, 1, 1, size),
        (1, 1, 1, 1),
        ((0, 0),) * 3 + ((before, size - 1 - before),),
    )
    return (x * (1 + alpha / size * squares) ** -beta).astype(x.dtype)
