"""The puzzle: permutation sets, cutting images into tiles, shuffling, unshuffling.

A grid of `grid` x `grid` tiles has `T = grid**2` positions, numbered row by row. A
permutation set is int32 [K + 1, T]: row `k` says which original tile stands at each
position, so position `t` of an image shuffled with order `k` shows original tile
`permutations[k, t]`. Row 0 is always the identity: order 0 is the unshuffled image.
Carlucci et al., "Domain Generalization by Solving Jigsaw Puzzles" (JiGen), CVPR 2019,
section 3.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

_POOL_SIZE = math.factorial(9)  # every permutation of 3 x 3; a sample of 4 x 4's


def permutation_set(grid: int, n_permutations: int, seed: int) -> np.ndarray:
    """Returns the identity and K permutations far apart in Hamming distance.

    Greedy, as in Noroozi & Favaro (ECCV 2016), algorithm 1: each new permutation has
    the largest summed distance to all chosen so far. Departures: the identity counts
    as chosen, since it is class 0 of the same head; equal sums are decided by the
    largest minimum distance, then by `seed`. For grids above 3 x 3 the candidates are
    362,880 permutations drawn from `seed`, not all 16!.

    Args:
      grid: Tiles per side, at least 2.
      n_permutations: K, at least 1 and at most `(grid**2)! - 1`.
      seed: Decides ties (the first choice among them) and the drawn candidates.

    Returns:
      int32 [K + 1, T], rows distinct, row 0 the identity.

    Raises:
      ValueError: `grid` or `n_permutations` is out of range.
    """
    if grid < 2:
        raise ValueError(
            f"config.jigsaw.grid is {grid}: a puzzle needs at least 2 x 2 tiles"
        )
    n_tiles = grid * grid
    n_exist = math.factorial(n_tiles) - 1
    if not 1 <= n_permutations <= n_exist:
        raise ValueError(
            f"config.jigsaw.n_permutations is {n_permutations}: a {grid} x {grid} grid "
            f"allows 1 to {n_exist} without the identity"
        )
    rng = np.random.default_rng(seed)
    pool = _candidates(n_tiles, rng)
    chosen = np.arange(n_tiles, dtype=np.int8)
    rows = [chosen]
    total = np.zeros(len(pool), np.int32)
    nearest = np.full(len(pool), n_tiles, np.int32)
    for _ in range(n_permutations):
        distance = (pool != chosen).sum(1, dtype=np.int32)
        total += distance
        nearest = np.minimum(nearest, distance)  # 0 for those already chosen
        score = np.where(nearest > 0, total * (n_tiles + 1) + nearest, -1)
        chosen = pool[rng.choice(np.flatnonzero(score == score.max()))]
        rows.append(chosen)
    return np.stack(rows).astype(np.int32)


def _candidates(n_tiles: int, rng: np.random.Generator) -> np.ndarray:
    if math.factorial(n_tiles) <= _POOL_SIZE:
        every = itertools.chain.from_iterable(itertools.permutations(range(n_tiles)))
        flat = np.fromiter(every, np.int8, count=math.factorial(n_tiles) * n_tiles)
        return flat.reshape(-1, n_tiles)
    drawn = np.tile(np.arange(n_tiles, dtype=np.int8), (_POOL_SIZE, 1))
    return np.unique(rng.permuted(drawn, axis=1), axis=0)


def hamming_distances(permutations: np.ndarray) -> np.ndarray:
    """Returns the Hamming distance of every pair of rows: int [K * (K - 1) / 2]."""
    first, second = np.triu_indices(len(permutations), k=1)
    return (permutations[first] != permutations[second]).sum(-1)


def cut_tiles(images: jax.Array, grid: int) -> jax.Array:
    """Returns the tiles of square images, row by row; they abut, without a gap.

    >>> cut_tiles(np.zeros((5, 6, 6, 3)), 3).shape
    (5, 9, 2, 2, 3)

    Args:
      images: [B, S, S, C] of any dtype, S a multiple of `grid`.
      grid: Tiles per side.

    Returns:
      [B, T, S / grid, S / grid, C] in the dtype of `images`.
    """
    b, h, w, c = images.shape
    tiles = images.reshape(b, grid, h // grid, grid, w // grid, c)
    return tiles.transpose(0, 1, 3, 2, 4, 5).reshape(
        b, grid * grid, h // grid, w // grid, c
    )


def join_tiles(tiles: jax.Array) -> jax.Array:
    """Returns the images [B, S, S, C] that tiles [B, T, S / grid, S / grid, C] form."""
    b, n_tiles, h, w, c = tiles.shape
    grid = math.isqrt(n_tiles)
    images = tiles.reshape(b, grid, grid, h, w, c).transpose(0, 1, 3, 2, 4, 5)
    return images.reshape(b, grid * h, grid * w, c)


def shuffle_tiles(
    tiles: jax.Array, orders: jax.Array, permutations: jax.Array
) -> jax.Array:
    """Returns `tiles` rearranged: position t shows tile `permutations[order, t]`.

    Args:
      tiles: [B, T, h, w, C].
      orders: int32 [B], rows of `permutations`.
      permutations: int32 [K + 1, T].
    """
    return permute_tiles(tiles, jnp.asarray(permutations)[orders])


def permute_tiles(tiles: jax.Array, permutations: jax.Array) -> jax.Array:
    """Returns `tiles` rearranged: position t of image b shows `permutations[b, t]`.

    Args:
      tiles: [B, T, ...].
      permutations: int32 [B, T].
    """
    shape = permutations.shape + (1,) * (tiles.ndim - 2)
    return jnp.take_along_axis(tiles, permutations.reshape(shape), axis=1)


def unshuffle_tiles(
    tiles: jax.Array, orders: jax.Array, permutations: jax.Array
) -> jax.Array:
    """Returns the tiles that `shuffle_tiles` was given; arguments as there.

    >>> tiles, orders = cut_tiles(np.random.rand(1, 4, 4, 3), 2), np.array([3])
    >>> permutations = permutation_set(2, n_permutations=5, seed=0)
    >>> shuffled = shuffle_tiles(tiles, orders, permutations)
    >>> bool((unshuffle_tiles(shuffled, orders, permutations) == tiles).all())
    True
    """
    inverse = np.argsort(np.asarray(permutations), axis=1)
    return shuffle_tiles(tiles, orders, inverse)


def sample_orders(rngs: jax.Array, n_orders: int, bias_whole_image: float) -> jax.Array:
    """Returns an order for each example: int32 [B] in `[0, n_orders)`.

    With probability `bias_whole_image` the image stays whole (0), else the order is
    uniform over all `n_orders`, 0 among them (JiGen's released sampling).

    Args:
      rngs: Typed keys [B]; two numbers are drawn from each.
      n_orders: K + 1.
      bias_whole_image: In [0, 1].
    """

    def sample(rng):
        whole_rng, order_rng = jax.random.split(rng)
        order = jax.random.randint(order_rng, (), 0, n_orders)
        return jnp.where(jax.random.uniform(whole_rng) < bias_whole_image, 0, order)

    return jax.vmap(sample)(rngs)


def sample_permutations(rngs: jax.Array, n_tiles: int) -> jax.Array:
    """Returns permutations uniform over all T! of them: int32 [B, T]."""
    return jax.vmap(lambda rng: jax.random.permutation(rng, n_tiles))(rngs)
