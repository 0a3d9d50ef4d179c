"""3x3 convolution with a third of the multiplications, for CPUs.

Winograd's minimal filtering F(3x3, 3x3) (Lavin & Gray, Fast algorithms for
convolutional neural networks, CVPR 2016, section 4): tiles of 5x5 pixels and the
kernel, both transformed, are multiplied entry by entry, and the products transformed
to 3x3 outputs. That takes 25 multiplications where the definition has 81. Over all
tiles and channels they are 25 matrix products, which run at the speed of the
processor; the transforms are sums of a few arrays, which XLA fuses. Maps of 3, 6 and
21 pixels, which a ResNet has of 84 px images, are whole tiles. Both derivatives have
the same form.

Outputs of unit size differ from those of XLA's convolution by up to 4e-5, of 512
channels. Other platforms take XLA's convolution.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jigsaw_shape.models.operations.platforms import by_platform

# Fewer channels make products too small to be worth the transforms.
MIN_CHANNELS = 64
# Numbers in the maps of as many images as are transformed at a time. Tiles and products
# take 2.8 times the maps' memory each, here 190 MB.
MAX_NUMBERS = 2**24

_OUT = 3  # outputs of a tile, on each axis
_IN = _OUT + 2  # its pixels


def conv3x3(x: jax.Array, kernel: jax.Array, padding: int = 1) -> jax.Array:
    """Returns the 3x3 convolution of images, of stride 1.

    By tiles on CPUs, where all is float32, C and F are at least 64 and the padding is
    at most 2; by XLA's convolution elsewhere. Reverse-mode differentiation only.

    Args:
      x: [B, H, W, C].
      kernel: [3, 3, C, F], of the same dtype.
      padding: Pixels of zeros on every side.

    Returns:
      [B, H + 2 * padding - 2, W + 2 * padding - 2, F], the dtype of `x`.
    """
    is_wide = min(kernel.shape[2:]) >= MIN_CHANNELS
    is_empty = x.shape[0] == 0 or min(x.shape[1:3]) + 2 * padding < 3
    # The derivative for `x` pads by what is left of two.
    if is_wide and x.dtype == jnp.float32 and padding <= 2 and not is_empty:
        return _by_platform(x, kernel, padding)
    return convolution(x, kernel, padding)


def convolution(x: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    """Returns the same by XLA's convolution."""
    return lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        [(padding, padding)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _values(n_coefficients: int) -> np.ndarray:
    """Returns what evaluates a polynomial at 0, 1, -1, 2 and infinity: [5, n]."""
    powers = np.vander([0.0, 1.0, -1.0, 2.0], n_coefficients, increasing=True)
    return np.vstack([powers, np.eye(n_coefficients)[-1]])


# On an axis outputs are `_TO_OUTPUTS ((_TO_TILES x) * (_TO_KERNELS kernel))`: Toom and
# Cook's product of two polynomials of three coefficients, transposed.
_TO_TILES = np.linalg.inv(_values(_IN)).T  # [5, 5]
_TO_KERNELS = _values(3)  # [5, 3]
_TO_OUTPUTS = _values(_OUT).T  # [3, 5]
# Both axes at once, the second one first, as in tiles.
_TO_KERNELS_2D = np.einsum("pi,qj->qpij", _TO_KERNELS, _TO_KERNELS).reshape(25, 9)
_TO_KERNELS_2D = _TO_KERNELS_2D.astype(np.float32)


def _combine(matrix: np.ndarray, arrays: list[jax.Array]) -> jax.Array:
    """Returns the sums of arrays weighted by each row, stacked on a new first axis."""
    sums = []
    for row in matrix:
        terms = [
            array if weight == 1 else np.float32(weight) * array
            for weight, array in zip(row, arrays, strict=True)
            if abs(weight) > 1e-9  # of the inverse some zeros are not exact
        ]
        sums.append(functools.reduce(jnp.add, terms))
    return jnp.stack(sums)


def _tiles(x: jax.Array, padding: int, n_outputs: tuple[int, int]) -> jax.Array:
    """Returns the transformed tiles [25, B * T * T', C] of `x` [B, H, W, C]."""
    (_, h, w, c), (n, m) = x.shape, map(_n_tiles, n_outputs)
    # Tiles overlap by two pixels.
    below, right = n * _OUT + 2 - h - padding, m * _OUT + 2 - w - padding
    x = jnp.pad(x, ((0, 0), (padding, below), (padding, right), (0, 0)))
    return _transform(_TO_TILES, x, n, m).reshape(_IN * _IN, -1, c)


def _n_tiles(n_outputs: int) -> int:
    return -(-n_outputs // _OUT)


def _transform(
    matrix: np.ndarray, x: jax.Array, n_rows: int, n_columns: int
) -> jax.Array:
    """Returns the tiles [5, 5, B, T, T', C] of `x`, by `matrix` on both axes."""

    def places(x, axis, n_tiles):
        """Returns the first pixels of all tiles, the second ones, and so on."""
        end = _OUT * (n_tiles - 1) + 1
        starts = range(matrix.shape[1])
        return [lax.slice_in_dim(x, i, i + end, _OUT, axis=axis) for i in starts]

    rows = _combine(matrix, places(x, 1, n_rows))
    return _combine(matrix, places(rows, 3, n_columns))


def _multiply(x: jax.Array, kernels: jax.Array, padding: int) -> jax.Array:
    """Returns the convolution by transformed kernels [25, C, F]."""
    n, h, w, _ = x.shape
    h, w, f = h + 2 * padding - 2, w + 2 * padding - 2, kernels.shape[-1]
    n_rows, n_columns = _n_tiles(h), _n_tiles(w)
    products = _tiles(x, padding, (h, w)) @ kernels
    products = products.reshape(_IN, _IN, n, n_rows, n_columns, f)
    columns = _combine(_TO_OUTPUTS, list(products))
    y = _combine(_TO_OUTPUTS, list(columns.swapaxes(0, 1)))  # [3, 3, n, T, T', F]
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(n, n_rows * _OUT, n_columns * _OUT, f)
    return y[:, :h, :w]


def _kernels_gradient(x: jax.Array, dy: jax.Array, padding: int) -> jax.Array:
    """Returns the loss's gradient for transformed kernels [25, C, F]."""
    _, h, w, f = dy.shape
    n_rows, n_columns = _n_tiles(h), _n_tiles(w)
    tiles = _tiles(x, padding, (h, w))
    rest = (0, n_rows * _OUT - h), (0, n_columns * _OUT - w)
    dy = jnp.pad(dy, ((0, 0), *rest, (0, 0)))
    d_products = _transform(_TO_OUTPUTS.T, dy, n_rows, n_columns)
    return tiles.swapaxes(1, 2) @ d_products.reshape(_IN * _IN, -1, f)


def _groups(*arrays: jax.Array) -> list[jax.Array]:
    """Returns arrays [B, ...] as [G, n, ...], no group of more than `MAX_NUMBERS`.

    Where B is not known, in a program for any batch, all are one group.
    """
    b = arrays[0].shape[0]
    n = b
    if isinstance(b, int):
        most = MAX_NUMBERS * b // max(array.size for array in arrays)
        n = max(n for n in range(1, b + 1) if b % n == 0 and n <= max(most, 1))
    return [array.reshape(b // n, n, *array.shape[1:]) for array in arrays]


def _transformed(kernel: jax.Array, matrix: np.ndarray) -> jax.Array:
    """Returns kernels [25, C, F] of a kernel [3, 3, C, F]."""
    return (matrix @ kernel.reshape(9, -1)).reshape(-1, *kernel.shape[2:])


def _convolve(x: jax.Array, kernels: jax.Array, padding: int) -> jax.Array:
    """Returns the convolution by transformed kernels, of a group after the other."""
    (groups,) = _groups(x)
    y = lax.map(lambda group: _multiply(group, kernels, padding), groups)
    return y.reshape(-1, *y.shape[2:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _on_cpus(x: jax.Array, kernel: jax.Array, padding: int) -> jax.Array:
    return _convolve(x, _transformed(kernel, _TO_KERNELS_2D), padding)


def _on_cpus_backward(padding, residuals, dy):
    x, kernel = residuals
    # Turned by 180 degrees: the kernel's nine entries read backwards.
    turned = _transformed(kernel, _TO_KERNELS_2D[:, ::-1]).swapaxes(1, 2)

    def add(total, group):
        return total + _kernels_gradient(*group, padding), None

    zeros = jnp.zeros((_IN * _IN, *kernel.shape[2:]))
    d_kernels, _ = lax.scan(add, zeros, _groups(x, dy))
    d_kernel = _TO_KERNELS_2D.T @ d_kernels.reshape(_IN * _IN, -1)
    return _convolve(dy, turned, 2 - padding), d_kernel.reshape(kernel.shape)


_on_cpus.defvjp(
    lambda x, kernel, padding: (_on_cpus(x, kernel, padding), (x, kernel)),
    _on_cpus_backward,
)
_by_platform = by_platform(convolution, cpu=_on_cpus)
