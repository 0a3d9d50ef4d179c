"""A folder of images in the styles of another: the diversifiers, outside of training.

As the `stylize.py` of AdaIN (Huang & Belongie, ICCV 2017) and of Stylized-ImageNet
(Geirhos et al., ICLR 2019) do; what is written has the tree of the contents.

The same arguments write the same bytes, whatever the batch size, the number of devices,
the order, the other contents, and how often the run was stopped: styles and random
numbers follow from (seed, content's name, k) alone, and `programs` computes every image
alone and by the same program.
"""

import contextlib
import dataclasses
import errno
import hashlib
import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.diversify import (
    WITH_PAIR,
    WITHOUT_STYLES,
    style_images,
    stylizer_files,
)
from jigsaw_shape.stylizing import images
from jigsaw_shape.stylizing.programs import Settings, Stylizer, Task
from jigsaw_shape.system import versions

_HELD_BYTES = 2**28  # of decoded images that wait for others of their shape
_STYLE_BYTES = 2**28  # of styles that are kept
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


class Outcome(NamedTuple):
    """What became of the contents.

    Attributes:
      n_written: Images written now.
      n_before: Images that were there.
      failed: Path and reason of each content or style that could not be used.
      left_out: Names of files among the contents that say they are no images.
    """

    n_written: int
    n_before: int
    failed: dict[str, str]
    left_out: list[str]


class _Job(NamedTuple):
    """An image to be made."""

    content: str
    k: int
    style_names: list[str]  # one a tile, or none
    task: Task


def stylize_folder(
    content_dir: str | os.PathLike,
    style_dir: str | os.PathLike,
    out_dir: str | os.PathLike,
    settings: Settings | None = None,
    *,
    batch_size: int = 8,
    devices: Sequence[jax.Device] | None = None,
    on_image: Callable[[int, int], None] = lambda n_done, n_total: None,
) -> Outcome:
    """Writes every content in other styles; goes on where an earlier call stopped.

    `out_dir` also gets `stylize.json`, the settings, and `manifest.jsonl`, a line an
    image, from which `diversify` makes it again: of the content's T tiles, one without
    `per_tile`, and the keys `jax.random.split(jax.random.key(seed), T)`.

    Args:
      content_dir: Images at any depth.
      style_dir: Images at any depth, or `"pack"`, the shipped ones.
      out_dir: New, empty, or of the same contents, styles and settings.
      settings: Without: `Settings()`.
      batch_size: Contents of one shape that wait for each other; no pixel depends on
        it.
      devices: Without: those of this process.
      on_image: Called with the number of images written and to write, once before the
        first.

    Raises:
      ValueError: The request cannot be carried out. Nothing was written.
      OSError: The same; or the disk is full, or no style can be read.
    """
    with opened(
        content_dir,
        style_dir,
        out_dir,
        settings,
        batch_size=batch_size,
        devices=devices,
    ) as run:
        return run.stylize(on_image)


@contextlib.contextmanager
def opened(
    content_dir: str | os.PathLike,
    style_dir: str | os.PathLike,
    out_dir: str | os.PathLike,
    settings: Settings | None = None,
    *,
    batch_size: int = 8,
    devices: Sequence[jax.Device] | None = None,
) -> Iterator["Run"]:
    """Yields a run and holds its folder: the part of `stylize_folder` that refuses."""
    settings = settings or Settings()
    if batch_size < 1:
        raise ValueError(f"--batch-size is {batch_size}: 1 or more")
    content_dir, out_dir = Path(content_dir), Path(out_dir)
    style_root = style_images.folder(os.fspath(style_dir))
    contents, left_out, _ = find_images(content_dir)
    has_styles = settings.method not in WITHOUT_STYLES
    style_names = find_images(style_root).images if has_styles else []
    for root in (content_dir, style_root):
        if out_dir.resolve().is_relative_to(root.resolve()):
            raise ValueError(f"{out_dir} is in {root}, which is read: name another")
    file = (
        stylizer_files.load_pair(settings.stylizer)
        if settings.method in WITH_PAIR
        else None
    )
    stylizer = Stylizer(settings, file and file.pair, devices or jax.local_devices())
    styles = images.Kept(style_root, style_names, stylizer.read_style, _STYLE_BYTES)
    if has_styles and len(styles.failed) == len(style_names):
        raise ValueError(f"{style_root} holds no readable image")
    facts = dataclasses.asdict(settings) | {
        "content_dir": str(content_dir.resolve()),
        "style_dir": style_dir
        if style_dir == style_images.PACK
        else str(style_root.resolve()),
        "styles": styles.digest,
        "stylizer": file and file.digest,
    }
    about = {
        "stylizer": file and dict(file.about),
        "versions": versions.installed("jax", "pillow"),
    }
    with images.claimed(out_dir, facts, about) as output:
        files = content_dir, contents, left_out, styles, output
        yield Run(settings, stylizer, file and file.digest, batch_size, *files)


@dataclasses.dataclass
class Run:
    """The files and programs of one call; `opened` makes it."""

    settings: Settings
    stylizer: Stylizer
    digest: str | None  # the stylizer's
    batch_size: int
    content_dir: Path
    contents: list[str]
    left_out: list[str]
    styles: images.Kept
    output: images.Output
    failed: dict[str, str] = dataclasses.field(default_factory=dict)

    def stylize(self, on_image: Callable[[int, int], None]) -> Outcome:
        """Writes what is not there yet; see `stylize_folder`."""
        every = range(self.settings.num_styles)
        pending = [
            (content, ks)
            for content in self.contents
            if (ks := [k for k in every if (content, k) not in self.output])
        ]
        n_total, n_written = sum(len(ks) for _, ks in pending), 0
        on_image(0, n_total)
        n_workers = min(16, os.cpu_count() or 1)
        with ThreadPoolExecutor(n_workers) as workers:
            loaded = _ahead(workers, self._load, pending, 2 * n_workers)
            batches = _batches(itertools.chain.from_iterable(loaded), self.batch_size)
            for batch, results in self._computed(batches):
                for row in workers.map(self._write, batch, results):
                    if row is not None:
                        self.output.record(row)
                        n_written += 1
                        on_image(n_written, n_total)
        n_before = len(self.contents) * len(every) - n_total
        failed = self.failed | self.styles.failed
        return Outcome(n_written, n_before, failed, self.left_out)

    def _load(self, pending: tuple[str, list[int]]) -> list[_Job]:
        """Returns what is to be made of a content; nothing if it cannot be read."""
        content, ks = pending
        path = self.content_dir / content
        try:
            pixels = self.stylizer.read_content(path)
        except Exception as error:  # Pillow raises nearly any kind
            self.failed[str(path)] = images.fault(path, error)
            return []
        jobs = []
        for k in ks:
            names, styles = self._draw(content, k)
            styles = [self.stylizer.fit_style(style, pixels) for style in styles]
            seed = _number(self.settings.seed, content, k) % 2**31
            jobs.append(_Job(content, k, names, Task(pixels, np.stack(styles), seed)))
        return jobs

    def _draw(self, content: str, k: int) -> tuple[list[str], list[np.ndarray]]:
        """Returns the styles of a content's k-th image, one a tile, and their names.

        Every content has an order of all styles, decided by (seed, content), and tile t
        takes number `k T + t` of it: a content's styles all differ as long as there are
        enough. For one that cannot be read the order goes on behind the last of them.
        """
        n, n_tiles = len(self.styles.names), self.settings.grid**2
        if not n:
            return [], [np.zeros((1, 1, 3), np.uint8)] * n_tiles
        start = _number(self.settings.seed, content, "start")
        step = _number(self.settings.seed, content, "step") % n
        while math.gcd(step, n) > 1:
            step += 1
        n_drawn = n_tiles * self.settings.num_styles
        names, styles = [], []
        for number in range(k * n_tiles, (k + 1) * n_tiles):
            for i in (number, *range(n_drawn, n_drawn + n)):
                index = (start + i * step) % n
                style = self.styles.get(index)
                if style is not None:
                    names.append(self.styles.names[index])
                    styles.append(style)
                    break
            else:
                raise OSError(f"none of {n} styles can be read")
        return names, styles

    def _computed(self, batches: Iterable[list[_Job]]):
        """Yields each batch with its images, while the next one is computed."""
        running = None
        for batch in itertools.chain(batches, [[]]):
            following = batch, self.stylizer([job.task for job in batch])
            if running is not None:
                done, parts = running
                yield done, itertools.chain.from_iterable(map(np.asarray, parts))
            running = following

    def _write(self, job: _Job, pixels: np.ndarray) -> dict | None:
        """Returns the manifest's row of an image, written; None if that failed."""
        settings = self.settings
        mark = f"-stylized-{job.k}" if settings.num_styles > 1 else ""
        name = images.output_name(job.content, settings.format, mark)
        try:
            self.output.write(name, pixels, settings.format)
        except Exception as error:  # Pillow raises several kinds
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            path = self.content_dir / job.content
            self.failed[str(path)] = f"not written: {error}"
            return None
        names = job.style_names
        return {
            "content": job.content,
            "k": job.k,
            "style": names if settings.per_tile else next(iter(names), None),
            "method": settings.method,
            "alpha": settings.alpha,
            "stylizer": self.digest,
            "seed": job.task.seed,
            "output": name,
            "size": [pixels.shape[1], pixels.shape[0]],
        }


def _number(*parts: int | str) -> int:
    """Returns a number of 64 bits that looks random, the same everywhere and always."""
    text = "\n".join(map(str, parts))
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")


def _ahead(workers: Executor, function, items: Iterable, n_ahead: int):
    """Yields `function(item)` in order, begun up to `n_ahead` items before."""
    begun = deque()
    for item in items:
        begun.append(workers.submit(function, item))
        if len(begun) > n_ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _batches(jobs: Iterable[_Job], batch_size: int) -> Iterator[list[_Job]]:
    """Yields lists of jobs of one shape, full ones but for where memory runs short."""
    waiting, n_bytes = {}, 0
    for job in jobs:
        shape = job.task.content.shape
        waiting.setdefault(shape, []).append(job)
        n_bytes += job.task.n_bytes
        if len(waiting[shape]) < batch_size:
            if n_bytes <= _HELD_BYTES:
                continue
            shape = max(waiting, key=lambda shape: len(waiting[shape]))
        batch = waiting.pop(shape)
        n_bytes -= sum(job.task.n_bytes for job in batch)
        yield batch
    yield from waiting.values()
