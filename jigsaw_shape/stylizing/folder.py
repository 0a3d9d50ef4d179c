"""A folder of images in the styles of another: the diversifiers, outside of training.

As the `stylize.py` of AdaIN (Huang & Belongie, ICCV 2017) and of Stylized-ImageNet
(Geirhos et al., ICLR 2019) do; what is written has the tree of the contents.

Styles and random numbers follow from (seed, content's name, k) alone, so the same
command gives the same images whatever the batch size, the number of devices, the other
contents, and how often it was stopped.
"""

import contextlib
import dataclasses
import errno
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jigsaw_shape.data.decoding import fault
from jigsaw_shape.data.image_folders import Found, find_images
from jigsaw_shape.diversify import DIVERSIFIERS, style_images, stylizer_files
from jigsaw_shape.stylizing import style_map as style_map_lib
from jigsaw_shape.stylizing.output import OutputFolder, claimed, output_name
from jigsaw_shape.stylizing.styles import Styles, file_state, has_changed, number
from jigsaw_shape.stylizing.stylizer import Settings, Stylizer, Task
from jigsaw_shape.system import versions

_HELD_BYTES = 2**28  # of decoded images that wait for others of their shape
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
# Values of newer settings in folders that were begun without them.
_EARLIER = {"background": "stored", "keep_colours": False, "style_map": None}


class Outcome(NamedTuple):
    """What became of the contents.

    Attributes:
      n_written: Images written now.
      n_before: Images that were there already.
      n_changed: Images that were written again because their files have changed.
      failed: Path and reason of each content or style that could not be used.
      found: The contents, and what was left out among them.
    """

    n_written: int
    n_before: int
    n_changed: int
    failed: dict[str, str]
    found: Found


class _Job(NamedTuple):
    """An image to be made."""

    content: str
    k: int
    styles: list[str | None]  # one a tile
    files: dict[str, Any]  # states of the files it is made of
    task: Task


@contextlib.contextmanager
def opened(
    content_dir: str | os.PathLike,
    style_dir: str | os.PathLike,
    out_dir: str | os.PathLike,
    settings: Settings | None = None,
    *,
    style_map: str | os.PathLike = "",
    batch_size: int = 8,
) -> Iterator["FolderRun"]:
    """Yields what stylizes a folder, and holds the folder that it writes.

    `out_dir` gets the images, `stylize.json`, the settings, and `manifest.jsonl`, a
    line an image, from which `diversify` makes it again: of the content's T tiles, one
    without `per_tile`, and the keys `jax.random.split(jax.random.key(seed), T)`.

    Args:
      content_dir: Images at any depth.
      style_dir: Images at any depth, or `"pack"`, the shipped ones.
      out_dir: New, empty, or of the same contents, styles and settings.
      settings: Without: `Settings()`.
      style_map: A file for `style_map.read_style_map`: only the contents that it lists
        are stylized, in the styles that it gives them.
      batch_size: Contents of one shape that are computed together.

    Raises:
      ValueError: The request cannot be carried out. Nothing was written.
      OSError: The same.
    """
    settings = settings or Settings()
    method = DIVERSIFIERS[settings.method]
    if batch_size < 1:
        raise ValueError(f"--batch-size is {batch_size}: 1 or more allowed")
    content_dir, out_dir = Path(content_dir), Path(out_dir)
    style_root = style_images.folder(os.fspath(style_dir))
    contents = find_images(content_dir)
    style_names = find_images(style_root).images if method.uses_styles else []
    for root in (content_dir, style_root):
        if out_dir.resolve().is_relative_to(root.resolve()):
            raise ValueError(
                f"{out_dir} is inside {root}, which is read: choose another folder"
            )
    chosen = None
    if style_map:
        _refuse_with_map(settings, method.uses_styles)
        map_path = Path(style_map)
        chosen = style_map_lib.read_style_map(map_path, contents.images, style_names)
    stylizer_file = (
        stylizer_files.load_pair(settings.stylizer) if method.uses_stylizer else None
    )
    stylizer = Stylizer(settings, stylizer_file and stylizer_file.pair, batch_size)
    styles = Styles(style_root, style_names, stylizer, chosen)
    digest = stylizer_file and stylizer_file.digest
    run = FolderRun(content_dir, contents, styles, stylizer, digest, batch_size)
    is_pack = style_dir == style_images.PACK
    facts = dataclasses.asdict(settings) | {
        "content_dir": str(content_dir.resolve()),
        "style_dir": style_dir if is_pack else str(style_root.resolve()),
        "styles": styles.digest(),
        "style_map": chosen and style_map_lib.digest(chosen),
        "stylizer": digest,
    }
    about = {
        "stylizer": stylizer_file and dict(stylizer_file.about),
        "versions": versions.installed("jax", "pillow"),
    }
    with claimed(
        out_dir, facts, about, earlier=_EARLIER, is_current=run.is_current
    ) as output:
        run.output = output
        yield run


@dataclasses.dataclass
class FolderRun:
    """The files and programs of one call; `opened` makes it."""

    content_dir: Path
    contents: Found
    styles: Styles
    stylizer: Stylizer
    digest: str | None  # the stylizer's
    batch_size: int
    output: OutputFolder | None = None
    failed: dict[str, str] = dataclasses.field(default_factory=dict)

    def stylize(self, on_image: Callable[[int, int], None]) -> Outcome:
        """Writes what is not there yet, and what was made of files that have changed.

        Args:
          on_image: Called with the number of images written and to write, once before
            the first.

        Raises:
          OSError: The disk is full, or cannot be written to.
        """
        asked = self.styles.asked(self.contents.images)
        pending = [
            (content, missing)
            for content, ks in asked.items()
            if (missing := [k for k in ks if (content, k) not in self.output])
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
        n_before = sum(map(len, asked.values())) - n_total
        failed, n_changed = self.failed | self.styles.failed, self.output.n_changed
        return Outcome(n_written, n_before, n_changed, failed, self.contents)

    def is_current(self, row: dict) -> bool:
        """Returns whether the files that a manifest's row was made of are unchanged."""
        files = row.get("files")
        if files is None:
            return True  # an older row does not say
        names = row["style"] if isinstance(row["style"], list) else [row["style"]]
        of_styles = zip(names, files["style"], strict=True)
        return not has_changed(
            self.content_dir / row["content"], files["content"]
        ) and not any(self.styles.has_changed(name, *s) for name, s in of_styles if s)

    def _load(self, pending: tuple[str, list[int]]) -> list[_Job]:
        """Returns what is to be made of a content; nothing if it cannot be read."""
        content, ks = pending
        path, jobs = self.content_dir / content, []
        try:
            data = path.read_bytes()
            pixels, state = self.stylizer.read_content(data), file_state(path, data)
            for k in ks:
                styles = self.styles.draw(content, k)
                kept = [self.stylizer.fit_style(s.kept, pixels) for s in styles]
                seed = number(self.stylizer.settings.seed, content, k) % 2**31
                files = {"content": state, "style": [s.state for s in styles]}
                task = Task(pixels, np.stack(kept), seed)
                jobs.append(_Job(content, k, [s.name for s in styles], files, task))
        except (OSError, ValueError) as error:
            self.failed[str(path)] = fault(error)
        return jobs

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
        settings = self.stylizer.settings
        mark = f"-stylized-{job.k}" if self.styles.n_each > 1 else ""
        name = output_name(job.content, settings.format, mark)
        try:
            self.output.write(name, pixels, settings.format)
        except Exception as error:  # Pillow raises several kinds
            if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
                raise
            path = self.content_dir / job.content
            self.failed[str(path)] = f"not written: {error}"
            return None
        return {
            "content": job.content,
            "k": job.k,
            "style": job.styles if settings.per_tile else job.styles[0],
            "method": settings.method,
            "alpha": settings.alpha,
            "stylizer": self.digest,
            "seed": job.task.seed,
            "output": name,
            "size": [pixels.shape[1], pixels.shape[0]],
            "files": job.files,
        }


def _refuse_with_map(settings: Settings, uses_styles: bool) -> None:
    """Refuses what a style map contradicts."""
    contradicting = {
        f"--num-styles {settings.num_styles}": settings.num_styles > 1,
        f"--per-tile {settings.per_tile}": settings.per_tile > 0,
        f"--method {settings.method}, which uses no styles": not uses_styles,
    }
    for flag, is_there in contradicting.items():
        if is_there:
            raise ValueError(
                f"--style-map gives each image one style: leave out {flag}"
            )


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
