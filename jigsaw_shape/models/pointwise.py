"""1x1 convolution: a matrix product, which XLA's CPU runs faster than a convolution.

With a stride other platforms take XLA's convolution. A product of strided pixels makes
XLA fuse the slice into the product on GPUs, which aborts the program in jaxlib 0.11.2
(openxla/xla#47381: "Check failed: subdim_size_accumulator == dim_size").
"""

import functools

import jax
from jax import lax


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


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _strided(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(_sliced_product, stride=stride),
        default=functools.partial(_convolution, stride=stride),
    )


def _strided_forward(x, kernel, stride):
    return _strided(x, kernel, stride), (x, kernel)


def _strided_backward(stride, residuals, dy):
    def gradients(forward, x, kernel, dy):
        return jax.vjp(functools.partial(forward, stride=stride), x, kernel)[1](dy)

    return lax.platform_dependent(
        *residuals,
        dy,
        cpu=functools.partial(gradients, _sliced_product),
        default=functools.partial(gradients, _convolution),
    )


_strided.defvjp(_strided_forward, _strided_backward)


def _sliced_product(x, kernel, stride):
    return _product(x[:, ::stride, ::stride], kernel[0, 0])


def _convolution(x, kernel, stride):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
