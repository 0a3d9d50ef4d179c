"""The digits network of JiGen, LeNet-like.

Carlucci et al., CVPR 2019, took it from Volpi et al., Generalizing to unseen domains,
NeurIPS 2018: convolutions without padding, ReLU and 2 x 2 maxima, two fully connected
layers. There are no published weights.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jigsaw_shape.models.encoder import Edit, Encoder
from jigsaw_shape.models.layers import Conv
from jigsaw_shape.models.pooling import average_to, flatten, max_pool

STAGES = ("stage1", "stage2", "fc3", "fc4")

_SIDE = 4  # of the maps that fc3 reads


class DigitsNet(Encoder):
    """Two convolutions and two hidden layers; the features are the second one's.

    Stages are `stage1`, `stage2`, each after its pooling, `fc3` and `fc4` [B, hidden].
    Images of 28 to 31 px, such as 30 for tiles of 10, are what it was made for; maps
    from others are averaged or repeated to 4 x 4 before fc3.

    Attributes:
      widths: Channels of the two convolutions.
      hidden: Channels of fc3 and fc4.
    """

    widths: tuple[int, int] = (64, 128)
    hidden: int = 1024

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, edit: Edit | None = None
    ) -> jax.Array:
        """Maps normalized images float32 [B, H, W, 3] to features float32 [B, hidden].

        Training and evaluation are the same.
        """
        x = images
        for i, width in enumerate(self.widths, 1):
            conv = Conv(
                width, 5, padding=0, use_bias=True, dtype=self.dtype, name=f"conv{i}"
            )
            x = self.leave(f"stage{i}", max_pool(nn.relu(conv(x)), 2, 2), edit)
        x = flatten(average_to(x, _SIDE))
        for i in (3, 4):
            x = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name=f"dense{i}")(x))
            x = self.leave(f"fc{i}", x, edit)
        return x.astype(jnp.float32)
