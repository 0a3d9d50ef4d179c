"""One encoder, several heads."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from jigsaw_shape.models import Triple, assignment
from jigsaw_shape.models.encoder import Edit
from jigsaw_shape.models.pooling import average_to


@dataclasses.dataclass(frozen=True)
class Head:
    """The layers of one task on the encoder's features.

    Attributes:
      n_classes: Scores out.
      hidden: Widths of layers with ReLU before the last one; none for a linear head.
      reverse: Whether the encoder gets the head's gradient reversed.
      detached: Whether the encoder gets no gradient from it.
      grid: Above 0, it reads the encoder's last map, averaged to `grid` x `grid` cells
        that are concatenated, instead of the pooled features.
      tiles: It reads the features of `grid` x `grid` tiles that the encoder saw one by
        one, concatenated in the order asked about.
      permutations: If any, the head's T * T scores say which tile stands at each of T
        places, and these K + 1 permutations are scored from them.
    """

    n_classes: int
    hidden: tuple[int, ...] = ()
    reverse: bool = False
    detached: bool = False
    grid: int = 0
    tiles: bool = False
    permutations: tuple[tuple[int, ...], ...] = ()


def jigsaw_head(jigsaw: ConfigDict, permutations: np.ndarray) -> Head:
    """Returns the head that solves the puzzle.

    Pooled and linear it is JiGen's (Carlucci et al., CVPR 2019). Spatial it keeps where
    things are: the last map's cells stand for the places of the tiles. Of tiles that
    are encoded apart it is Noroozi & Favaro's (ECCV 2016, section 3.2).

    Args:
      jigsaw: `config.jigsaw`.
      permutations: int32 [K + 1, T].
    """
    tiles = jigsaw.encode == "tiles"
    placed = tiles or jigsaw.head == "spatial"
    head = Head(
        len(permutations),
        hidden=(jigsaw.hidden,) if placed and jigsaw.hidden else (),
        grid=jigsaw.grid if placed else 0,
        tiles=tiles,
    )
    if jigsaw.answer == "order":
        return head
    rows = tuple(tuple(map(int, row)) for row in permutations)
    return dataclasses.replace(head, n_classes=len(rows[0]) ** 2, permutations=rows)


def edges_head(edges: ConfigDict) -> Head:
    """Returns the head that draws an image's edges from the last map.

    Args:
      edges: `config.edges`.
    """
    return Head(edges.cells**2, hidden=(edges.hidden,), grid=edges.grid)


class Multitask(nn.Module):
    """A shared encoder under several heads.

    Attributes:
      encoder: Maps normalized float32 [B, H, W, 3] to pooled features [B, F].
      heads: Each head by name; a number stands for a linear head of so many classes,
        such as `{"classification": 7}`.
      mean: Subtracted from RGB in [0, 1]; it belongs to the encoder's weights.
      std: The difference is divided by it.
    """

    encoder: nn.Module
    heads: Mapping[str, int | Head]
    mean: Triple
    std: Triple

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        train: bool,
        edit: Edit | None = None,
        reversal: jax.Array | float = 0.0,
        permutations: jax.Array | None = None,
    ) -> dict[str, jax.Array]:
        """Returns `features` [B, F] and each head's logits [B, n], all float32.

        A head `NAME` that places tiles also returns `NAME_positions`, float32
        [B, T, T]: the log probability that place t shows the original tile u.

        With `permutations` the images are tiles, and only the heads that read tiles
        answer, about every image in each of O orders: [B * O, n] and [B * O, T, T].
        See `solve_tiles`.

        Args:
          images: float32 [B, H, W, 3], RGB in [0, 1]; or tiles [B, T, h, w, 3].
          train: Whether BatchNorm uses and updates the batch's statistics.
          edit: Changes a stage's features, used in training, such as MixStyle's:
            `edit(stage, features)` for each of the encoder's stages (`Encoder.leave`).
          reversal: float32 [], see `reverse_gradient`, for the heads that do.
          permutations: int32 [B, O, T], the original tile at each place.
        """
        normalized = (images - jnp.asarray(self.mean)) / jnp.asarray(self.std)
        last_map = None

        def keep_map(stage, x):
            nonlocal last_map
            x = x if edit is None else edit(stage, x)
            if x.ndim == 4:  # stages may end with rows [B, F]
                last_map = x.astype(jnp.float32)
            return x

        of_tiles = permutations is not None
        heads = {
            name: head if isinstance(head, Head) else Head(head)
            for name, head in self.heads.items()
        }
        heads = {name: head for name, head in heads.items() if head.tiles == of_tiles}
        if of_tiles:
            b, n_tiles = normalized.shape[:2]
            tiles = normalized.reshape(b * n_tiles, *normalized.shape[2:])
            features = self.encoder(tiles, train, edit).reshape(b, 1, n_tiles, -1)
            features = jnp.take_along_axis(features, permutations[..., None], axis=2)
            features = features.reshape(b * permutations.shape[1], -1)
        elif any(head.grid for head in heads.values()):
            features = self.encoder(normalized, train, keep_map)
        else:
            features = self.encoder(normalized, train, edit)
        outputs = {} if of_tiles else {"features": features}
        for name, head in heads.items():
            x = features
            if head.grid and not of_tiles:
                x = average_to(last_map, head.grid).reshape(len(images), -1)
            if head.detached:
                x = jax.lax.stop_gradient(x)
            if head.reverse:
                x = reverse_gradient(x, reversal)
            for i, width in enumerate(head.hidden, 1):
                x = nn.relu(nn.Dense(width, name=f"head_{name}_hidden{i}")(x))
            outputs[name] = nn.Dense(head.n_classes, name=f"head_{name}")(x)
            if head.permutations:
                side = len(head.permutations[0])
                scores = outputs[name].reshape(-1, side, side)
                positions = assignment.sinkhorn(scores)
                outputs[f"{name}_positions"] = positions
                outputs[name] = assignment.order_scores(positions, head.permutations)
        return outputs


def _tile_grid(model: Multitask) -> int:
    """Returns the tiles a side of the heads that read tiles apart; 0 without any."""
    heads = (head for head in model.heads.values() if isinstance(head, Head))
    return next((head.grid for head in heads if head.tiles), 0)


def init_variables(model: Multitask, rng: jax.Array, size_px: int) -> dict[str, Any]:
    """Returns `params` and `batch_stats` for images [B, size_px, size_px, 3].

    Where a head reads tiles, `batch_stats` has two parts: the encoder's statistics of
    whole images, `encoder`, and of tiles, `tiles`, which differ.
    """

    def init(rng):
        images = jnp.zeros((1, size_px, size_px, 3))
        variables = {"batch_stats": {}, **model.init(rng, images, train=False)}
        grid = _tile_grid(model)
        if not grid:
            return variables
        side = size_px // grid
        tiles = jnp.zeros((1, grid**2, side, side, 3))
        first = jnp.arange(grid**2)[None, None]
        try:
            more = model.init(rng, tiles, train=False, permutations=first)
        except ValueError as error:
            raise ValueError(
                f"config.jigsaw.encode=tiles, each tile of {side} px: {error}"
            ) from error
        return {
            "params": {**more["params"], **variables["params"]},
            "batch_stats": variables["batch_stats"]
            and {**variables["batch_stats"], "tiles": more["batch_stats"]["encoder"]},
        }

    return jax.jit(init)(rng)


def solve_tiles(
    model: Multitask,
    variables: Mapping[str, Any],
    tiles: jax.Array,
    permutations: jax.Array,
    *,
    train: bool = False,
    edit: Edit | None = None,
    rngs: Mapping[str, jax.Array] | None = None,
) -> tuple[dict[str, jax.Array], Any]:
    """Returns the answers of the heads that read tiles, and the changed `batch_stats`.

    Every tile goes through the encoder once; what the head reads is the features in the
    order asked about, which is the same as the features of tiles in that order. So many
    orders cost little more than one.

    Args:
      model: With such a head.
      variables: Its `params` and `batch_stats`.
      tiles: float32 [B, T, h, w, 3], RGB in [0, 1], in their original order.
      permutations: int32 [B, O, T], the original tile at each place.
      train: As in `Multitask`.
      edit: As in `Multitask`.
      rngs: Of dropout, as `apply` takes them.
    """
    statistics = variables.get("batch_stats")
    own = {"params": variables["params"]}
    if statistics:
        own["batch_stats"] = {"encoder": statistics["tiles"]}
    outputs, changed = model.apply(
        own,
        tiles,
        train,
        edit,
        permutations=permutations,
        rngs=rngs,
        mutable=["batch_stats"] if train else [],
    )
    if train and statistics:
        statistics = {**statistics, "tiles": changed["batch_stats"]["encoder"]}
    return outputs, statistics


def answer(
    model: Multitask,
    variables: Mapping[str, Any],
    images: jax.Array,
    tiles: jax.Array | None = None,
    permutations: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """Returns what a trained network answers; arguments as in `Multitask`.

    Args:
      model: Encoder and heads.
      variables: `params` and `batch_stats`.
      images: float32 [B, H, W, 3], perhaps shuffled.
      tiles: float32 [B, T, h, w, 3], where they are asked about: in their own order.
      permutations: int32 [B, T], how `images` are shuffled.
    """
    outputs = model.apply(variables, images, train=False)
    if tiles is not None and _tile_grid(model):
        solved, _ = solve_tiles(model, variables, tiles, permutations[:, None])
        outputs |= solved
    return outputs


@jax.custom_vjp
def reverse_gradient(x: jax.Array, factor: jax.Array | float) -> jax.Array:
    """Returns `x`; the gradient that comes back is multiplied by `-factor`.

    The gradient reversal layer of Ganin et al., JMLR 2016, section 4.2, eqs. 14, 15.

    Args:
      x: Any array.
      factor: float32 [], lambda; it has no gradient.
    """
    del factor
    return x


def _forward(x, factor):
    return x, factor


def _backward(factor, gradient):
    return -factor * gradient, jnp.zeros_like(factor)


reverse_gradient.defvjp(_forward, _backward)


def reversal_at(progress: jax.Array, gamma: float, strongest: float) -> jax.Array:
    """Returns lambda at a time of the run: Ganin et al., JMLR 2016, section 5.2.2.

    2 / (1 + exp(-gamma p)) - 1, times `strongest`: from 0 smoothly up, so that the
    domain classifier's first guesses do not disturb the features.

    Args:
      progress: float32 [], p, 0 at the first step and 1 at the last.
      gamma: How fast; 10 in the paper.
      strongest: 1 in the paper.
    """
    return strongest * (2 / (1 + jnp.exp(-gamma * progress)) - 1)
