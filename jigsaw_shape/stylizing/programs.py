"""What stylizes images on the devices: each image alone, all by the same program.

Floating-point kernels round differently for different batches. Compiled for batches of
1, 3 and 8, AdaIN's float32 differ in two values of three, by up to 1e-6, and now and
then a byte with them; so do those of `colour` (CPU, JAX 0.10.2, sides of 32 to 224).
Rounds of a `lax.map` over single images agree for AdaIN and not for `colour`: one round
is compiled otherwise than several. So there is one program a shape. It takes one image
a device, larger batches are several calls, and four devices give the bytes of one. Not
covered are other machines, other versions, and compilers that choose among kernels by
timing them, as those for GPUs may.

AdaIN sees of a style the moments of its features alone. They are computed once a style:
a content costs no style's encoding, and styles may be of any size.
"""

import dataclasses
import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jigsaw_shape.diversify import (
    DIVERSIFIERS,
    WITH_PAIR,
    WITHOUT_STYLES,
    adain,
    stylizer_files,
)
from jigsaw_shape.pixels import puzzle
from jigsaw_shape.stylizing import images

_N_PROGRAMS = 64  # that are kept, one a shape; a program takes some 7 MB
_LEAST = {"num_styles": 1, "content_size": 0, "style_size": 0, "per_tile": 0, "seed": 0}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the pixels, besides the images.

    Attributes:
      method: A key of `diversify.DIVERSIFIERS`.
      alpha: The strength, in [0, 1].
      num_styles: Results a content, each in another style as long as there are some.
      content_size: Larger contents are shrunk to this shorter side; 0: as they are.
      style_size: The same of styles. AdaIN takes them so; of the other methods' styles
        the central part that covers the content, or the tile, is resized to it.
      crop: Contents and styles are their central squares, of exactly these sizes.
      per_tile: Tiles per side, each in a style of its own, with sides cut to multiples
        of it; 0: whole images.
      seed: Decides styles and random numbers.
      stylizer: A name for `stylizer_files.load_pair`, for the methods that need one.
      format: A key of `images.FORMATS`.
    """

    method: str = "adain"
    alpha: float = 1.0
    num_styles: int = 1
    content_size: int = 512
    style_size: int = 512
    crop: bool = False
    per_tile: int = 0
    seed: int = 0
    stylizer: str = stylizer_files.SHIPPED
    format: str = "jpg"

    def __post_init__(self):
        """Refuses what cannot work, with a `ValueError`."""
        for name, known in (("method", DIVERSIFIERS), ("format", images.FORMATS)):
            if getattr(self, name) not in known:
                allowed = " | ".join(known)
                raise ValueError(f"--{name} is {getattr(self, name)!r}: {allowed}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"--alpha is {self.alpha}: 0 to 1")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                flag = name.replace("_", "-")
                raise ValueError(f"--{flag} is {getattr(self, name)}: {least} or more")
        if self.crop and not (self.content_size and self.style_size):
            raise ValueError("--crop needs --content-size and --style-size above 0")

    @property
    def grid(self) -> int:
        """Tiles per side; a whole image is one tile."""
        return max(1, self.per_tile)

    def read(self, path: Path, size_px: int) -> np.ndarray:
        """Returns an image at its size: uint8 [H, W, 3]; raises as `images.read`."""
        if self.crop:
            return images.square(images.read(path), size_px)
        return images.read(path, shorter_px=size_px)


class Task(NamedTuple):
    """An image to be made.

    Attributes:
      content: From `Stylizer.read_content`.
      styles: Of its T tiles, from `Stylizer.fit_style`: [T, ...].
      seed: In [0, 2**31); the tiles' keys are split off from its own.
    """

    content: np.ndarray
    styles: np.ndarray
    seed: int

    @property
    def n_bytes(self) -> int:
        """What it takes in memory."""
        return self.content.nbytes + self.styles.nbytes


class Stylizer:
    """Reads images as a method takes them, and stylizes contents of one shape.

    Threads may read at once.
    """

    def __init__(
        self,
        settings: Settings,
        pair: adain.Pair | None,
        devices: Sequence[jax.Device],
    ):
        """Places a stylizer's networks, if the method needs any, on the devices."""
        self._settings, self._n_devices = settings, len(devices)
        self._mesh = Mesh(np.array(devices), ("device",))
        self._resizes_styles = settings.method not in WITH_PAIR | WITHOUT_STYLES
        self._pair = jax.device_put(pair, NamedSharding(self._mesh, PartitionSpec()))
        self._encoder = jax.device_put(pair.encoder, devices[0]) if pair else None
        self._least_px = 2 ** len(pair.encoder) if pair else 1  # twice its stride
        # Functions of their own, so that a forgotten program leaves JAX's caches too.
        keep = functools.lru_cache(_N_PROGRAMS)
        self._summary = keep(lambda shape: jax.jit(functools.partial(_summarize)))
        self._program = keep(self._compile)
        self._compiling = threading.Lock()  # or threads compile the same at once

    def read_content(self, path: Path) -> np.ndarray:
        """Returns a content as it will be stylized: uint8 [H, W, 3].

        Raises:
          Exception: It cannot be read, or is too small.
        """
        grid = self._settings.grid
        pixels = self._settings.read(path, self._settings.content_size)
        self._refuse_small(pixels, grid * self._least_px)
        h, w = (side - side % grid for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - h) // 2, (pixels.shape[1] - w) // 2
        return pixels[top : top + h, left : left + w]

    def read_style(self, path: Path) -> np.ndarray:
        """Returns a style as it is kept.

        For AdaIN this is a feature map of two pixels with the moments of the style's,
        float32 [1, 2, C]; else uint8 [H, W, 3].

        Raises:
          Exception: It cannot be read, or is too small.
        """
        return self.keep_style(self._settings.read(path, self._settings.style_size))

    def keep_style(self, pixels: np.ndarray) -> np.ndarray:
        """Returns a style that is read, uint8 [H, W, 3], as `read_style` does.

        Raises:
          ValueError: It is too small.
        """
        if self._encoder is None:
            return pixels
        self._refuse_small(pixels, self._least_px)
        with self._compiling:
            return np.asarray(self._summary(pixels.shape)(self._encoder, pixels))

    def fit_style(self, style: np.ndarray, content: np.ndarray) -> np.ndarray:
        """Returns a kept style as a tile of that content takes it."""
        if not self._resizes_styles:
            return style
        h, w = (side // self._settings.grid for side in content.shape[:2])
        return images.cover(style, h, w)

    def __call__(self, tasks: Sequence[Task]) -> list[jax.Array]:
        """Returns the images of B tasks of one shape, perhaps not computed yet.

        Returns:
          uint8 [D, H, W, 3], as often as it takes; what is behind the B-th is padding.
        """
        parts = []
        for i in range(0, len(tasks), self._n_devices):
            last = len(tasks) - 1
            chosen = [tasks[min(j, last)] for j in range(i, i + self._n_devices)]
            columns = [np.stack(column) for column in zip(*chosen, strict=True)]
            program = self._program(columns[0].shape[1:])
            parts.append(
                program(self._pair, *columns[:2], columns[2].astype(np.uint32))
            )
        return parts

    def _compile(self, shape):
        each, all_same = PartitionSpec("device"), PartitionSpec()
        return jax.jit(
            jax.shard_map(
                functools.partial(_stylize_one, self._settings),
                mesh=self._mesh,
                in_specs=(all_same, each, each, each),
                out_specs=each,
            )
        )

    def _refuse_small(self, pixels, least_px):
        h, w, _ = pixels.shape
        if min(h, w) < least_px:
            raise ValueError(f"{w} x {h} px: {least_px} x {least_px} or more needed")


def _stylize_one(settings: Settings, pair, contents, styles, seeds) -> jax.Array:
    """Returns one image in new styles: uint8 [1, H, W, 3].

    Args:
      settings: Method, strength and tiles.
      pair: For AdaIN.
      contents: uint8 [1, H, W, 3].
      styles: [1, T, ...], as `Stylizer.fit_style` returns them.
      seeds: uint32 [1]; the T tiles' keys are split off from it.
    """
    tiles = puzzle.cut_tiles(_unit(contents), settings.grid)[0]
    strengths = jnp.full(len(tiles), settings.alpha)
    if pair is not None:
        tiles = _restyle(pair, tiles, styles[0], strengths)
    else:
        rngs = jax.random.split(jax.random.key(seeds[0]), len(tiles))
        diversify = DIVERSIFIERS[settings.method]
        tiles = diversify(rngs, tiles, _unit(styles[0]), strengths)
    return jnp.rint(puzzle.join_tiles(tiles[None]) * 255).astype(jnp.uint8)


def _restyle(pair: adain.Pair, contents, styles, strengths) -> jax.Array:
    """Returns what `adain.stylize` does, of styles' features [B, 1, 2, C]."""
    _, h, w, _ = contents.shape
    strengths = strengths[:, None, None, None]
    content = adain.encode(pair.encoder, contents)[-1]
    mixed = content + strengths * (adain.exchange_statistics(content, styles) - content)
    stylized = jnp.clip(adain.decode(pair.decoder, mixed)[:, :h, :w], 0, 1)
    return jnp.where(strengths > 0, stylized, contents)


def _summarize(encoder: adain.Stages, style) -> jax.Array:
    """Returns two pixels of the same moments as a style's features: [1, 2, C]."""
    features = adain.encode(encoder, _unit(style)[None])[-1]
    mean, deviation = features.mean((1, 2)), features.std((1, 2))
    return jnp.stack([mean - deviation, mean + deviation], 1)


def _unit(pixels) -> jax.Array:
    return pixels.astype(jnp.float32) / 255
