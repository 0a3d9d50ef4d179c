"""VGG-16 and VGG-19 without BatchNorm, torchvision's architecture.

Simonyan & Zisserman, Very deep convolutional networks, ICLR 2015, configurations D and
E. `diversify/vgg_weights.py` reads the same files up to relu4_1, for AdaIN.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv
from jigsaw_shape.models.pooling import average_to, flatten, max_pool

# name: convolutions in each of the five stages.
VARIANTS = {
    "vgg16": {"depths": (2, 2, 3, 3, 3)},
    "vgg19": {"depths": (2, 2, 4, 4, 4)},
}
STAGES = ("stage1", "stage2", "stage3", "stage4", "stage5", "fc6", "fc7")

_SIDE = 7  # of the maps that fc6 reads
_dense_init = nn.initializers.normal(0.01)  # torchvision's


class VGG(Encoder):
    """VGG without its last layer; the features are those of fc7.

    Stages are `stage1` to `stage5`, each up to its pooling, `fc6` and `fc7`
    [B, hidden]. Maps of another size than 7 x 7 before fc6 are averaged or repeated to
    that size, as torchvision does.

    Attributes:
      depths: Convolutions in each stage.
      widths: Channels of each stage.
      hidden: Channels of fc6 and fc7.
      dropout: Share of fc6 and fc7 that is set to 0 in training.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    dropout: float = 0.5

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, hidden].

        Training takes a key `dropout`.
        """
        x = images
        for stage, (depth, width) in enumerate(
            zip(self.depths, self.widths, strict=True), 1
        ):
            for i in range(1, depth + 1):
                conv = Conv(
                    width,
                    padding=1,
                    use_bias=True,
                    dtype=self.dtype,
                    name=f"conv{stage}_{i}",
                )
                x = nn.relu(conv(x))
            x = self.leave(f"stage{stage}", max_pool(x, 2, 2), edit)
        x = flatten(average_to(x, _SIDE))
        for i in (6, 7):
            dense = nn.Dense(
                self.hidden,
                kernel_init=_dense_init,
                dtype=self.dtype,
                name=f"dense{i}",
            )
            x = nn.relu(dense(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = self.leave(f"fc{i}", x, edit)
        return x.astype(jnp.float32)
