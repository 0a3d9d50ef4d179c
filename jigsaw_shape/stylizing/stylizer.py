"""Stylizes images outside of training, on all devices: sizes, tiles, programs.

Two programs are compiled for each shape of contents: for a whole batch, and for one
image a device, so that a shape of few images costs no padding. An image gets the same
pixels in both to within 1/255, since kernels round a little differently.
"""

import dataclasses
import functools
import threading
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.data.decoding import BACKGROUNDS, decode, parse_background
from jigsaw_shape.data.resizing import cover, shrink
from jigsaw_shape.diversify import DIVERSIFIERS, adain, stylizer_files
from jigsaw_shape.pixels import augment, puzzle
from jigsaw_shape.stylizing.output import FORMATS
from jigsaw_shape.system import devices
from jigsaw_shape.system.dataclass_flags import flag, refuse_unless

_N_PROGRAMS = 64  # kept in memory, some 7 MB each
_LEAST = {"num_styles": 1, "content_size": 0, "style_size": 0, "per_tile": 0, "seed": 0}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the pixels, besides the images; each field is a flag."""

    method: str = flag(
        "adain",
        "adain: texture and colour, by a stylizer; fourier: amplitude spectrum; "
        "colour: colour statistics; without styles: randconv, random convolutions, "
        "edges, outlines, two_tone, black on white, augmix, chains of operations, and "
        "prime, chains of filters, warps and colour curves",
        choices=DIVERSIFIERS,
    )
    alpha: float = flag(1.0, "strength, 0 to 1")
    keep_colours: bool = flag(
        False,
        "change the luminance alone: the content keeps its chroma (YUV of Rec. 601, "
        "clipped)",
    )
    num_styles: int = flag(
        1, "images made of each content, each in another style", metavar="N"
    )
    content_size: int = flag(
        512,
        "larger contents are shrunk to this shorter side; 0: as they are",
        metavar="PX",
    )
    style_size: int = flag(
        512,
        "the same for styles; all methods but adain then resize the part that covers "
        "the content, or the tile",
        metavar="PX",
    )
    crop: bool = flag(
        False,
        "cut contents and styles to their central squares of exactly these sizes: "
        "fastest, since one compiled program then does all",
    )
    per_tile: int = flag(
        0,
        "GRID x GRID tiles, each in a style of its own; sides are cut to multiples of "
        "GRID; 0: whole images",
        metavar="GRID",
    )
    seed: int = flag(0, "decides the styles and random numbers")
    stylizer: str = flag(
        stylizer_files.SHIPPED,
        "for adain: shipped; an .npz of `stylize fit`; or a folder with the public "
        "vgg_normalised.pth and decoder.pth",
        metavar="NAME",
    )
    background: str = flag(
        "white",
        f"shows where images are transparent: {', '.join(BACKGROUNDS)}, or R,G,B",
        metavar="COLOUR",
    )
    format: str = flag(
        "jpg", "jpg, of quality 95; or png, without loss", choices=FORMATS
    )

    def __post_init__(self):
        """Refuses what cannot work, with a `ValueError`."""
        allowed = {
            "method": (self.method in DIVERSIFIERS, " | ".join(DIVERSIFIERS)),
            "format": (self.format in FORMATS, " | ".join(FORMATS)),
            "alpha": (0 <= self.alpha <= 1, "0 to 1"),
        }
        for name, least in _LEAST.items():
            allowed[name] = getattr(self, name) >= least, f"{least} or more"
        refuse_unless(self, allowed)
        if self.crop and not (self.content_size and self.style_size):
            raise ValueError("--crop needs --content-size and --style-size above 0")
        try:
            parse_background(self.background)
        except ValueError as error:
            raise ValueError(f"--{error}") from error

    @property
    def grid(self) -> int:
        """Tiles per side; a whole image is one tile."""
        return max(1, self.per_tile)

    def read(self, data: bytes, size_px: int) -> np.ndarray:
        """Returns a file's image at its size: uint8 [H, W, 3]; raises as `decode`."""
        pixels = decode(data, self.background)
        if self.crop:
            return cover(pixels, size_px, size_px)
        return shrink(pixels, size_px)


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

    Attributes:
      settings: See there.
      uses_summaries: Whether it knows styles by their `adain.summary`.
    """

    def __init__(
        self, settings: Settings, pair: adain.Pair | None, batch_size: int = 8
    ):
        """Places a stylizer's networks, if the method needs any, on the devices."""
        self.settings, self._batch_size = settings, batch_size
        self.uses_summaries = DIVERSIFIERS[settings.method].uses_stylizer
        self._pair = devices.replicate(pair)
        self._encoder = jax.device_put(pair.encoder, jax.devices()[0]) if pair else None
        self._least_px = 2 ** len(pair.encoder) if pair else 1  # twice its stride
        # A function for each shape, so that a forgotten one leaves JAX's caches too.
        self._summary = functools.lru_cache(_N_PROGRAMS)(
            lambda shape: jax.jit(lambda *args: adain.summary(*args))
        )
        self._program = functools.lru_cache(_N_PROGRAMS)(
            lambda shape: devices.over_devices(functools.partial(_stylize, settings))
        )
        self._compiling = threading.Lock()  # or threads compile the same at once

    def read_content(self, data: bytes) -> np.ndarray:
        """Returns a content as it will be stylized: uint8 [H, W, 3].

        Raises:
          ValueError: It cannot be decoded, or is too small.
        """
        grid = self.settings.grid
        pixels = self.settings.read(data, self.settings.content_size)
        self._refuse_small(pixels, grid * self._least_px)
        h, w = (side - side % grid for side in pixels.shape[:2])
        top, left = (pixels.shape[0] - h) // 2, (pixels.shape[1] - w) // 2
        return pixels[top : top + h, left : left + w]

    def read_style(self, data: bytes) -> np.ndarray:
        """Returns a style as it is kept; see `keep_style`.

        Raises:
          ValueError: It cannot be decoded, or is too small.
        """
        return self.keep_style(self.settings.read(data, self.settings.style_size))

    def keep_style(self, pixels: np.ndarray) -> np.ndarray:
        """Returns a style as it is kept: the pixels, or for AdaIN its summary.

        Args:
          pixels: uint8 [H, W, 3].

        Returns:
          uint8 [H, W, 3]; or float32 [1, 2, C], `adain.summary`.

        Raises:
          ValueError: It is too small.
        """
        if not self.uses_summaries:
            return pixels
        self._refuse_small(pixels, self._least_px)
        with self._compiling:
            summary = self._summary(pixels.shape)
            return np.asarray(summary(self._encoder, pixels / np.float32(255)))

    def fit_style(self, style: np.ndarray, content: np.ndarray) -> np.ndarray:
        """Returns a kept style as a tile of that content takes it."""
        if self.uses_summaries or not DIVERSIFIERS[self.settings.method].uses_styles:
            return style
        h, w = (side // self.settings.grid for side in content.shape[:2])
        return cover(style, h, w)

    def __call__(self, tasks: Sequence[Task]) -> list[jax.Array]:
        """Returns the images of B tasks of one shape, perhaps not computed yet.

        Returns:
          uint8 [b, H, W, 3], as often as it takes; what is behind the B-th is padding.
        """
        n_devices = jax.device_count()
        is_full = len(tasks) == self._batch_size
        size = -(-len(tasks) // n_devices) * n_devices if is_full else n_devices
        parts = []
        for start in range(0, len(tasks), size):
            chosen = [*tasks[start : start + size]]
            chosen += chosen[-1:] * (size - len(chosen))
            contents, styles, seeds = map(np.stack, zip(*chosen, strict=True))
            program = self._program(contents.shape[1:])
            parts.append(program(self._pair, contents, styles, np.uint32(seeds)))
        return parts

    def _refuse_small(self, pixels, least_px):
        h, w, _ = pixels.shape
        if min(h, w) < least_px:
            raise ValueError(f"{w} x {h} px: {least_px} x {least_px} or more needed")


def _stylize(settings: Settings, pair, contents, styles, seeds) -> jax.Array:
    """Returns contents in new styles: uint8 [b, H, W, 3].

    Args:
      settings: Method, strength, tiles, colours.
      pair: For AdaIN.
      contents: uint8 [b, H, W, 3].
      styles: [b, T, ...], as `Stylizer.fit_style` returns them.
      seeds: uint32 [b]; the T tiles' keys are split off from them.
    """
    contents = _unit(contents)
    cut = puzzle.cut_tiles(contents, settings.grid)
    n, n_tiles = cut.shape[:2]
    tiles = cut.reshape(n * n_tiles, *cut.shape[2:])
    styles = styles.reshape(n * n_tiles, *styles.shape[2:])
    strengths = jnp.full(n * n_tiles, settings.alpha)
    diversifier = DIVERSIFIERS[settings.method]
    if diversifier.restyle:
        tiles = diversifier.restyle(pair, tiles, styles, strengths)
    else:
        split = jax.vmap(lambda seed: jax.random.split(jax.random.key(seed), n_tiles))
        rngs = split(seeds).reshape(-1)
        tiles = diversifier.function(rngs, tiles, _unit(styles), strengths)
    images = puzzle.join_tiles(tiles.reshape(cut.shape))
    if settings.keep_colours:
        images = jnp.clip(contents + augment.luminance(images - contents), 0, 1)
    return jnp.rint(images * 255).astype(jnp.uint8)


def _unit(pixels) -> jax.Array:
    return pixels.astype(jnp.float32) / 255
