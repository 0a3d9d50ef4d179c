"""The styles of a folder: read once, kept in memory, drawn for each content."""

import functools
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jigsaw_shape.data.decoding import fault
from jigsaw_shape.stylizing.stylizer import Stylizer

_N_KEPT = 256  # in memory, as pixels
_N_SUMMARIES = 2**16  # the same, as AdaIN's summaries of a few kilobytes


class Style(NamedTuple):
    """A style as it is used.

    Attributes:
      name: Its path in the folder; None where the method uses no styles.
      kept: See `Stylizer.keep_style`.
      state: See `file_state`; None without a name.
    """

    name: str | None
    kept: np.ndarray
    state: list | None


_NONE = Style(None, np.zeros((1, 1, 3), np.uint8), None)


class Styles:
    """A folder's styles, and which of them each image gets.

    Threads may use it at once.

    Attributes:
      n_each: Images of a content, at most.
      failed: Path and reason of each style that could not be used.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        stylizer: Stylizer,
        style_map: Mapping[str, Sequence[str]] | None = None,
    ):
        """Looks for a style that can be used.

        Args:
          root: The folder.
          names: Of the styles there; none where the method uses none.
          stylizer: Reads them.
          style_map: See `style_map.read_style_map`; None: styles are drawn.

        Raises:
          ValueError: None of the styles can be used.
        """
        self._root, self._names, self._map = root, names, style_map
        self._stylizer, self.failed = stylizer, {}
        settings = stylizer.settings
        self._seed, self._n_tiles = settings.seed, settings.grid**2
        self.n_each = settings.num_styles
        if style_map:
            self.n_each = max(map(len, style_map.values()))
        n_kept = _N_SUMMARIES if stylizer.uses_summaries else _N_KEPT
        self._read = functools.lru_cache(n_kept)(self._read_anew)
        # Asked once for each style: it has many images.
        self.has_changed = functools.cache(
            lambda name, *state: has_changed(root / name, state)
        )
        if names and not any(map(self._get, names)):
            raise ValueError(f"{root} holds no readable image")

    def asked(self, contents: Sequence[str]) -> dict[str, range]:
        """Returns the numbers k of the images that are to be made of each content."""
        if self._map:
            return {name: range(len(styles)) for name, styles in self._map.items()}
        return {name: range(self.n_each) for name in contents}

    def draw(self, content: str, k: int) -> list[Style]:
        """Returns the styles of a content's k-th image, one a tile.

        Without a map every content has an order of all styles, decided by (seed,
        content), and tile t takes number `k T + t` of it: a content's styles all differ
        as long as there are enough. In place of each that cannot be read stands the
        first behind the last of them that can, so two of these are the same style.

        Raises:
          ValueError: The style that the map gives cannot be used, or none can.
        """
        n, n_tiles = len(self._names), self._n_tiles
        if self._map:
            name = self._map[content][k]
            if style := self._get(name):
                return [style]
            raise ValueError(f"its style {name} cannot be used")
        if not n:
            return [_NONE] * n_tiles
        start = number(self._seed, content, "start")
        step = number(self._seed, content, "step") % n
        while math.gcd(step, n) > 1:
            step += 1
        n_drawn, drawn = n_tiles * self.n_each, []
        for first in range(k * n_tiles, (k + 1) * n_tiles):
            order = (first, *range(n_drawn, n_drawn + n))
            found = (self._get(self._names[(start + i * step) % n]) for i in order)
            style = next(filter(None, found), None)
            if style is None:
                raise ValueError(f"none of {n} styles can be used")
            drawn.append(style)
        return drawn

    def digest(self) -> str:
        """Returns a digest of the files' names and sizes."""
        total = hashlib.sha256()
        for name in self._names:
            path = self._root / name
            size = path.stat().st_size if path.exists() else 0
            total.update(os.fsencode(f"{name}\n{size}\n"))
        return total.hexdigest()[:16]

    def _get(self, name: str) -> Style | None:
        path = str(self._root / name)
        if path in self.failed:
            return None
        try:
            return self._read(name)
        except (OSError, ValueError) as error:
            self.failed[path] = fault(error)
            return None

    def _read_anew(self, name: str) -> Style:
        path = self._root / name
        data = path.read_bytes()
        return Style(name, self._stylizer.read_style(data), file_state(path, data))


def file_state(path: Path, data: bytes) -> list:
    """Returns what tells whether a file has changed: its time and a digest."""
    return [path.stat().st_mtime_ns, hashlib.sha256(data).hexdigest()[:16]]


def has_changed(path: Path, state: Sequence) -> bool:
    """Returns whether a file is not what its `file_state` was; not if it is gone.

    It is read only where its time has changed.
    """
    try:
        if path.stat().st_mtime_ns == state[0]:
            return False
        return file_state(path, path.read_bytes())[1] != state[1]
    except OSError:
        return False


def number(*parts: int | str) -> int:
    """Returns a number of 64 bits that looks random, the same everywhere and always."""
    text = "\n".join(map(str, parts))
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")
