"""Depthwise convolution that is quick on CPUs too.

XLA runs a grouped convolution on CPUs channel by channel, 20 to 50 times slower than
memory allows. Here, on CPUs, it is k*k shifted images, each times one kernel entry,
added: elementwise arithmetic, which XLA fuses and vectorizes over the channels. Its
derivatives are written out, since those that autodiff would make, sums of products over
all pixels for each of k*k shifts, take longer than the rest of the network together.
`benchmarks/depthwise.py` measures each part. Other platforms take XLA's convolution.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jigsaw_shape.models.operations.platforms import by_platform, unfused


def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Returns the depthwise convolution of images, TensorFlow's SAME padding.

    Reverse-mode differentiation only.

    Args:
      x: [B, H, W, C].
      kernel: [k, k, 1, C], k odd, of the same dtype.
      stride: Pixels between outputs, both axes.

    Returns:
      [B, ceil(H / stride), ceil(W / stride), C], the dtype of `x`. On CPUs sums are
      kept in float32 whatever that is.
    """
    return _by_platform(x, kernel, stride)


def depthwise_grouped(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Returns the same by XLA's grouped convolution."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def depthwise_shifted(x: jax.Array, kernel: jax.Array, stride: int = 1) -> jax.Array:
    """Returns the same as a sum of k*k shifted images, each times a kernel entry."""
    b, h, w, c = x.shape
    k = kernel.shape[0]
    out_h, out_w = -(-h // stride), -(-w // stride)
    pad_h, pad_w = same_padding(h, k, stride), same_padding(w, k, stride)
    kernel = kernel.astype(jnp.float32)
    # Padding each of 9 products costs nothing, as XLA fuses it; of 25, it does not.
    pad_products = k <= 3
    if not pad_products:
        x = jnp.pad(x, ((0, 0), pad_h, pad_w, (0, 0)))
    total = jnp.zeros((b, out_h, out_w, c))
    for i in range(k):
        for j in range(k):
            if pad_products:
                rows, pad_rows = _overlap(h, out_h, i - pad_h[0], stride)
                columns, pad_columns = _overlap(w, out_w, j - pad_w[0], stride)
                product = x[:, rows, columns] * kernel[i, j, 0]
                total += jnp.pad(product, ((0, 0), pad_rows, pad_columns, (0, 0)))
            else:
                rows = slice(i, i + stride * (out_h - 1) + 1, stride)
                columns = slice(j, j + stride * (out_w - 1) + 1, stride)
                total += x[:, rows, columns] * kernel[i, j, 0]
    return total.astype(x.dtype)


def input_gradient(
    dy: jax.Array, kernel: jax.Array, stride: int, size: tuple[int, int]
) -> jax.Array:
    """Returns the loss's gradient for `x`, given that for the output.

    Args:
      dy: [B, H', W', C].
      kernel: [k, k, 1, C].
      stride: As in `depthwise_conv`.
      size: H, W of `x`.
    """
    if stride == 1:
        return depthwise_shifted(dy, kernel[::-1, ::-1])
    k, (h, w) = kernel.shape[0], size
    b, _, _, c = dy.shape
    pad_h, pad_w = same_padding(h, k, stride)[0], same_padding(w, k, stride)[0]
    # Pixel s*m + phase gets kernel entry i from output m + (phase + pad - i) / s, where
    # that is whole: each phase is a convolution of stride 1 by some of the entries.
    n_h, n_w = -(-h // stride), -(-w // stride)
    padded = jnp.pad(dy, ((0, 0), (k, k), (k, k), (0, 0))).astype(jnp.float32)
    kernel = kernel.astype(jnp.float32)
    row_phases = []
    for row_phase in range(stride):
        phases = []
        for column_phase in range(stride):
            total = jnp.zeros((b, n_h, n_w, c))
            for i in range((row_phase + pad_h) % stride, k, stride):
                top = k + (row_phase + pad_h - i) // stride
                for j in range((column_phase + pad_w) % stride, k, stride):
                    left = k + (column_phase + pad_w - j) // stride
                    shifted = padded[:, top : top + n_h, left : left + n_w]
                    total += shifted * kernel[i, j, 0]
            phases.append(total)
        row_phases.append(jnp.stack(phases, 3))
    dx = jnp.stack(row_phases, 2).reshape(b, n_h * stride, n_w * stride, c)
    return dx[:, :h, :w].astype(dy.dtype)


def kernel_gradient(
    x: jax.Array, dy: jax.Array, stride: int, kernel_size: int
) -> jax.Array:
    """Returns the loss's gradient for the kernel, given that for the output.

    Column q of `dy` meets the window of k columns of `x` around s*q, of which entry j
    belongs to kernel column j. Adding these over q is elementwise arithmetic on
    [B, H', k, C]; a product with ones then adds over B and H'. The sum over all axes at
    once is 5 to 10 times slower: XLA runs it channel by channel.

    Args:
      x: [B, H, W, C].
      dy: [B, H', W', C].
      stride: As in `depthwise_conv`.
      kernel_size: k.

    Returns:
      [k, k, 1, C].
    """
    k = kernel_size
    _, h, w, c = x.shape
    _, out_h, out_w, _ = dy.shape
    pad_h, pad_w = same_padding(h, k, stride)[0], same_padding(w, k, stride)[0]
    kernel_dtype = x.dtype

    def sums(x, dy):
        x, dy = x.astype(jnp.float32), dy.astype(jnp.float32)
        kernel_rows = []
        for i in range(k):
            inside, (before, after) = _overlap(h, out_h, i - pad_h, stride)
            rows, d = x[:, inside], dy[:, before : out_h - after]
            total = sum(
                _window(rows, stride * q - pad_w, k) * d[:, :, q : q + 1]
                for q in range(out_w)
            ).reshape(-1, k * c)
            row = jnp.ones((1, len(total))) @ total
            kernel_rows.append(row.reshape(k, 1, c))
        return jnp.stack(kernel_rows).astype(kernel_dtype)

    # What makes `x` and `dy`, BatchNorm and ReLU, would be computed k times.
    return unfused(sums, x, dy)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _on_cpus(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Returns `depthwise_shifted`, whose derivatives are those written out here."""
    return depthwise_shifted(x, kernel, stride)


def _on_cpus_backward(stride, residuals, dy):
    x, kernel = residuals
    return (
        input_gradient(dy, kernel, stride, x.shape[1:3]),
        kernel_gradient(x, dy, stride, kernel.shape[0]),
    )


_on_cpus.defvjp(
    lambda x, kernel, stride: (depthwise_shifted(x, kernel, stride), (x, kernel)),
    _on_cpus_backward,
)
_by_platform = by_platform(depthwise_grouped, cpu=_on_cpus)


def same_padding(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Returns TensorFlow's SAME padding before and after an axis of `size` pixels."""
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def _overlap(
    size: int, out_size: int, shift: int, stride: int
) -> tuple[slice, tuple[int, int]]:
    """Returns the pixels `stride * o + shift` that exist, among outputs o of an axis.

    Also how many outputs, before and after, would take theirs from outside.
    """
    first = max(0, -(shift // stride))
    last = min(out_size - 1, (size - 1 - shift) // stride)
    if last < first:
        return slice(0, 0), (out_size, 0)
    start = stride * first + shift
    pixels = slice(start, start + stride * (last - first) + 1, stride)
    return pixels, (first, out_size - 1 - last)


def _window(x: jax.Array, start: int, size: int) -> jax.Array:
    """Returns `size` columns of `x` [B, H, W, C] from `start` on, zeros outside."""
    before = max(0, -start)
    after = max(0, start + size - x.shape[2])
    inside = x[:, :, start + before : start + size - after]
    if before == after == 0:
        return inside
    return jnp.pad(inside, ((0, 0), (0, 0), (before, after), (0, 0)))
