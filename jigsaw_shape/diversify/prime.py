"""PRIME: chains of random filters, warps and colour curves, mixed with the image."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.diversify.chunks import where_needed

_WIDTH, _DEPTH = 3, 3  # chains, and primitives in the longest
_SIZE, _NOISE = 3, 4.0  # of a filter: pixels per side, largest deviation
_WARP_CUT = 500 / 224  # largest cut-off of a warp, per pixel of the side
_COLOUR_CUT, _BAND = 500, 20  # largest cut-off of a curve, and its frequencies
_COLOUR_TEMPERATURE = 0.05  # largest variance of a curve's coefficients


def mix_primitives(
    rngs: jax.Array, contents: jax.Array, styles: jax.Array, strengths: jax.Array
) -> jax.Array:
    """Returns contents mixed with three transformed forms: float32 [B, H, W, 3].

    Modas et al., PRIME: A few primitives can boost robustness to common corruptions,
    ECCV 2022, algorithm 1, as the authors' code has it for ImageNet: three chains of
    one to three primitives, each drawn uniformly from a filter, a warp and a colour
    curve (below). The chains are mixed by weights from Dirichlet(1, 1, 1), and that
    with the image by m from Beta(1, 1). The strength s moves from the content to that.

    Departures: all numbers are drawn for each image, where their code draws cut-offs,
    temperatures and a filter's deviation once a batch. A filter's identity is at its
    centre, theirs is one pixel beside it, and it continues the border outside of the
    image, where theirs is black. A warp's largest cut-off is 500 at 224 px and
    proportional to the size, and frequencies that the pixels cannot hold are left out.

    Args:
      rngs: Typed keys [B]; everything is drawn from them.
      contents: float32 [B, H, W, 3] in [0, 1], H and W at least 3.
      styles: Ignored.
      strengths: float32 [B] in [0, 1]: s. At 0 the contents come back bit for bit.
    """
    del styles
    weights, depths, shares, keys = jax.vmap(_draw)(rngs)
    depths, shares, keys = (x.reshape(-1, *x.shape[2:]) for x in (depths, shares, keys))
    kinds = jnp.floor(len(PRIMITIVES) * shares[..., 0])

    def lengthen(i, chains):
        def change(primitive, n):
            return jax.vmap(primitive)(keys[n, i], shares[n, i, 1:], chains[n])

        longer = chains
        for kind, primitive in enumerate(PRIMITIVES.values()):
            needed = (kinds[:, i] == kind) & (i < depths)
            one = functools.partial(change, primitive)
            longer = where_needed(one, needed, longer, 1 / len(PRIMITIVES))
        return longer

    chains = jnp.repeat(contents, _WIDTH, 0)
    chains = jax.lax.fori_loop(0, _DEPTH, lengthen, chains)
    chains = chains.reshape(-1, _WIDTH, *contents.shape[1:])
    forms = jnp.concatenate([contents[:, None], chains], 1)
    mixed = (weights[..., None, None, None] * forms).sum(1)
    strengths = strengths[:, None, None, None]
    moved = jnp.clip(contents + strengths * (mixed - contents), 0, 1)
    return jnp.where(strengths > 0, moved, contents)


def _draw(rng):
    """Returns what an image's mixture is made with.

    weights [4], of the image and of its chains; depths [3]; shares [3, 3, 4], uniform
    in [0, 1), and keys [3, 3], of the primitives of each chain.
    """
    keys = jax.random.split(rng, 2 + _WIDTH * _DEPTH)
    weights = jax.random.exponential(keys[0], (_WIDTH,))
    # Drawn at once and flat, as other forms take several times as long to compile.
    shares = jax.random.uniform(keys[1], (1 + _WIDTH + 4 * _WIDTH * _DEPTH,))
    m, depths, shares = jnp.split(shares, (1, 1 + _WIDTH))
    weights = jnp.concatenate([1 - m, m * weights / weights.sum()])
    shares = shares.reshape(_WIDTH, _DEPTH, 4)
    depths = 1 + jnp.floor(_DEPTH * depths)
    return weights, depths, shares, keys[2:].reshape(_WIDTH, _DEPTH)


def _convolve(rng, shares, image):
    """Returns the image convolved with a random filter: float32 [H, W, 3] in [0, 1].

    The spectral primitive, x * (delta + noise), clipped; the noise is [3, 3] from
    N(0, s^2), s uniform in (0, 4), and the same for all channels.
    """
    h, w = image.shape[:2]
    kernel = _NOISE * shares[0] * _normal(rng, _SIZE, _SIZE)
    kernel = kernel.at[_SIZE // 2, _SIZE // 2].add(1)
    sides = (_SIZE // 2, _SIZE // 2)
    padded = jnp.pad(image, (sides, sides, (0, 0)), mode="edge")
    taps = np.ndindex(_SIZE, _SIZE)
    total = sum(kernel[y, x] * padded[y : y + h, x : x + w] for y, x in taps)
    return jnp.clip(total, 0, 1)


def _warp(rng, shares, image):
    """Returns the image moved smoothly within its border: float32 [H, W, 3].

    The spatial primitive: Petrini et al., Relative stability toward diffeomorphisms
    indicates performance in deep nets, NeurIPS 2021. A pixel moves down by n times the
    sum of C_ij sin(pi i u) sin(pi j v), i, j >= 1, i^2 + j^2 <= (c + 1/2)^2, and to the
    right by another such sum; C_ij is from N(0, T / (i^2 + j^2)), u and v are its place
    in [0, 1], n is the shorter side. The cut-off c lies between 2 and a largest one,
    which is uniform, and T between 1 / (pi n^2 log c), which moves by half a pixel, and
    4 / (pi^3 c^2 log c), the largest that does not fold the image: both at a share from
    Beta(1/2, 1/2). Pixels are interpolated bilinearly.
    """
    h, w = image.shape[:2]
    n = min(h, w)
    most = jnp.floor(3 + shares[0] * (round(_WARP_CUT * n) - 2))
    beta = jnp.sin(jnp.pi / 2 * shares[1:]) ** 2  # from Beta(1/2, 1/2)
    cut = jnp.minimum(jnp.floor(2 + beta[0] * (most - 1)), n - 1)
    low = 1 / (jnp.pi * n**2 * jnp.log(cut))
    high = jnp.maximum(low, 4 / (jnp.pi**3 * cut**2 * jnp.log(cut)))
    temperature = low + beta[1] * (high - low)

    i = np.arange(1, n)
    length = np.hypot(i[:, None], i).astype(np.float32)
    scale = n * jnp.sqrt(temperature) * jnp.where(length <= cut + 0.5, 1 / length, 0)
    rows, columns = (  # in double precision, or the border moves
        np.sin(np.pi * np.outer(np.linspace(0, 1, side), i)).astype(np.float32)
        for side in (h, w)
    )
    # Some accelerators multiply matrices in bfloat16 unless told otherwise.
    multiply = functools.partial(jnp.matmul, precision="highest")
    coefficients = scale * _normal(rng, 2, n - 1, n - 1)
    down, right = multiply(multiply(rows, coefficients), columns.T)

    y = jnp.clip(jnp.arange(h)[:, None] - down, 0, h - 1)
    x = jnp.clip(jnp.arange(w) - right, 0, w - 1)
    top, left = (jnp.floor(place).astype(jnp.int32) for place in (y, x))
    bottom, end = jnp.minimum(top + 1, h - 1), jnp.minimum(left + 1, w - 1)

    def between(a, b, place):  # written so that flat images stay as they are
        return a + (place % 1)[..., None] * (b - a)

    upper = between(image[top, left], image[top, end], x)
    return between(upper, between(image[bottom, left], image[bottom, end], x), y)


def _recolour(rng, shares, image):
    """Returns the image with a random curve on each channel: float32 in [0, 1].

    The colour primitive: a value x becomes x + the sum of b_k sin(pi k x), clipped,
    over at most 20 k from f to c; c is uniform in 1 to 500, f in 1 to c, and b_k from
    N(0, T), T uniform in (0, 0.05).
    """
    cut = jnp.floor(1 + shares[0] * _COLOUR_CUT)
    first = jnp.floor(1 + shares[1] * cut)
    deviations = jnp.sqrt(_COLOUR_TEMPERATURE * shares[2])
    deviations *= first + jnp.arange(_BAND)[:, None] <= cut
    angles = jnp.pi * image
    twice = 2 * jnp.cos(angles)
    # Clenshaw's recurrence, as sines are slow: three functions in place of 20.
    last = before = jnp.zeros_like(image)
    for b in (deviations * _normal(rng, _BAND, 3))[::-1]:
        last, before = b + twice * last - before, last
    change = last * jnp.sin(first * angles) - before * jnp.sin((first - 1) * angles)
    return jnp.clip(image + change, 0, 1)


def _normal(rng, *shape):
    return jax.random.normal(rng, (math.prod(shape),)).reshape(shape)


# (key, shares [3] uniform in [0, 1), image [H, W, 3] in [0, 1]) -> image, float32
PRIMITIVES = {"convolve": _convolve, "warp": _warp, "recolour": _recolour}
