"""1x1 convolution: a matrix product, which XLA's CPU runs faster than a convolution.

With a stride other platforms take XLA's convolution. A product of strided pixels makes
XLA fuse the slice into the product on GPUs, which aborts the program in jaxlib 0.11.2
(openxla/xla#47381: "Check failed: subdim_size_accumulator == dim_size").
"""

import jax
from jax import lax

from jigsaw_shape.models.operations.platforms import by_platform


def pointwise_conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Returns the 1x1 convolution of images, without padding.

    Reverse-mode differentiation only.

    Args:
      x: [B, H, W, C].
      kernel: [1, 1, C, F], of the same dtype.
      stride: Pixels between outputs, both axes.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), F], the dtype of `x`.
    """
    if stride == 1:
        return _product(x, kernel[0, 0])
    return _strided(x, kernel, stride)


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Returns `x @ kernel`, [..., C] times [C, F]."""
    return x @ kernel


def _product_backward(residuals, dy):
    x, kernel = residuals
    # Autodiff's product has several contracted axes, for which XLA on CPUs transposes
    # `dy` in memory: 2 to 10 times slower.
    d_kernel = x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
    return dy @ kernel.T, d_kernel


_product.defvjp(lambda x, kernel: (x @ kernel, (x, kernel)), _product_backward)


def _sliced_product(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return _product(x[:, ::stride, ::stride], kernel[0, 0])


def _convolution(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


_strided = by_platform(_convolution, cpu=_sliced_product)
