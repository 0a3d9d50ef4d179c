"""Renders a planned cue-conflict set into files; see `cue_conflict`."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.stimuli import SUMMARY
from jigsaw_shape.diversify import stylizer_files
from jigsaw_shape.stylizing.cue_conflict import (
    Mix,
    Recipe,
    Source,
    file_words,
    made_by,
    plan,
)
from jigsaw_shape.stylizing.output import claimed
from jigsaw_shape.stylizing.stylizer import Settings, Stylizer, Task
from jigsaw_shape.system import whole_files

MIXED, ORIGINAL, PRINT, TEXTURE = "cue-conflict", "original", "greyscale", "texture"
# What is done to the sources, by folder.
_METHODS = {MIXED: "print+adain", ORIGINAL: "none", PRINT: "print", TEXTURE: "adain"}
_DEVIATION = 0.22  # of luminance in a print, before its weight
_LEAST_DEVIATION = 0.05  # a flatter image is stretched as if it had this
_LUMA = np.float32([0.2125, 0.7154, 0.0721])
_BATCH = 16


def texture_of(image: np.ndarray, crop: float) -> np.ndarray:
    """Returns the middle of a square image, enlarged to its size: uint8 [S, S, 3].

    Args:
      image: uint8 [S, S, 3].
      crop: Side of the middle, as a share of S.
    """
    size_px = len(image)
    side = max(2, round(crop * size_px))
    start = (size_px - side) // 2
    box = (start, start, start + side, start + side)
    size = (size_px, size_px)
    enlarged = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, box=box)
    return np.asarray(enlarged)


def print_on(texture: np.ndarray, content: np.ndarray, relief: float) -> np.ndarray:
    """Returns a texture with the light and shade of a content: uint8 [S, S, 3].

    Args:
      texture: uint8 [S, S, 3].
      content: uint8 [S, S, 3].
      relief: Weight of the content's luminance, whose deviation is brought to 0.22.
    """
    light = (np.float32(content) / 255) @ _LUMA
    light -= light.mean()
    light *= relief * _DEVIATION / max(float(light.std()), _LEAST_DEVIATION)
    printed = np.float32(texture) / 255 + light[..., None]
    return np.uint8(np.rint(255 * np.clip(printed, 0, 1)))


def make(
    dataset: Dataset,
    recipe: Recipe,
    out_dir: Path,
    *,
    on_image: Callable[[int, int], None] = lambda n_done, n_total: None,
) -> int:
    """Writes the set and those beside it; continues what an earlier call began.

    `out_dir` gets the folders `cue-conflict`, `original`, `greyscale` and `texture`.
    Each has the images, `{class}/{class}{i}.png` or, where mixed,
    `{shape}/{shape}{i}-{texture}{j}.png`; `manifest.jsonl`, a line for each image with
    its sources, their classes and domains, hashes of pixels and all that made it; and
    `stylize.json`, what all images share.

    Args:
      dataset: `read` returns squares of one size.
      recipe: What decides the set.
      out_dir: New, empty, or of the same data and recipe.
      on_image: Called with the number of images written and to write, once before the
        first.

    Returns:
      The number of images written.

    Raises:
      ValueError: The request cannot be carried out. Nothing was written.
      OSError: An image cannot be read, or the disk is full.
    """
    words = file_words(dataset.classes)
    mixes = plan(dataset, recipe)
    file = stylizer_files.load_pair(recipe.stylizer)
    settings = Settings(stylizer=recipe.stylizer, format="png")
    stylizer = Stylizer(settings, file.pair, _BATCH)
    first = _first_texture(dataset, mixes, stylizer)
    facts = json.loads(json.dumps(dataclasses.asdict(recipe))) | {
        "images": dataset.digest(),
        # Their size too, and the seed of those that a program draws.
        "first_texture": hashlib.sha256(first.tobytes()).hexdigest()[:16],
        "stylizer": file.digest,
    }
    about = {"classes": list(dataset.classes), "made_by": made_by(recipe, mixes)}
    with contextlib.ExitStack() as stack:
        outputs = {
            name: stack.enter_context(claimed(out_dir / name, facts, about))
            for name in _METHODS
        }
        summary = json.dumps(about, indent=2) + "\n"
        whole_files.write_text(out_dir / MIXED / SUMMARY, summary)
        work = _Work(dataset, recipe, words, stylizer, file.digest)
        jobs = [job for job in work.jobs(mixes) if job.key not in outputs[job.folder]]
        on_image(0, len(jobs))
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as workers:
            for start in range(0, len(jobs), _BATCH):
                batch = jobs[start : start + _BATCH]
                for job, row, pixels in work.render(workers, batch):
                    outputs[job.folder].write(row["output"], pixels, "png")
                    outputs[job.folder].record(row)
                on_image(start + len(batch), len(jobs))
    return len(jobs)


def _first_texture(
    dataset: Dataset, mixes: Sequence[Mix], stylizer: Stylizer
) -> np.ndarray:
    """Returns the first texture's image; refuses a size that cannot be stylized."""
    pixels = dataset.read(mixes[0].style.index)
    h, w, _ = pixels.shape
    if h != w:
        raise ValueError(
            f"{dataset.name} has images of {w} x {h} px: set config.data.stored_px, "
            "which makes them squares"
        )
    stylizer.keep_style(pixels)
    return pixels


class _Job(NamedTuple):
    """A file to be written; where one cue is alone, the other is None."""

    folder: str
    k: int  # number in the folder
    shape: tuple[int, Source] | None
    texture: tuple[int, Source] | None
    key: tuple[str, int]  # of the manifest


class _Work:
    """From mixes to files' pixels and rows."""

    def __init__(self, dataset, recipe, words, stylizer, digest):
        self._dataset, self._recipe, self._words = dataset, recipe, words
        self._stylizer, self._digest = stylizer, digest
        self._styles: dict[int, np.ndarray] = {}

    def jobs(self, mixes: Sequence[Mix]) -> Iterator[_Job]:
        """Yields the mixed images, then each source by itself."""
        shapes = sorted({(mix.shape, mix.content) for mix in mixes})
        textures = sorted({(mix.texture, mix.style) for mix in mixes})
        asked = [(MIXED, (m.shape, m.content), (m.texture, m.style)) for m in mixes]
        asked += [(name, shape, None) for name in (ORIGINAL, PRINT) for shape in shapes]
        asked += [(TEXTURE, None, texture) for texture in textures]
        counts = collections.Counter()
        for folder, shape, texture in asked:
            k = counts[folder]
            counts[folder] += 1
            key = self._name((shape or texture)[1]), k
            yield _Job(folder, k, shape, texture, key)

    def render(self, workers, batch: Sequence[_Job]):
        """Yields (job, row, pixels) of each job."""
        loaded = list(workers.map(self._load, batch))
        tasks = [Task(base, s[None], 0) for base, s, _ in loaded if s is not None]
        parts = self._stylizer(tasks) if tasks else []
        stylized = (pixels for part in parts for pixels in np.asarray(part))
        for job, (pixels, style, hashes) in zip(batch, loaded, strict=True):
            if style is not None:
                pixels = _blend(pixels, next(stylized), self._recipe.alpha)
            yield job, self._row(job, pixels, hashes), pixels

    def _load(self, job: _Job):
        """Returns what goes into the stylizer, its style if any, hashes of sources."""
        base, style, hashes = None, None, {}
        if job.texture is not None:
            photo = self._read(job.texture[1])
            hashes["style"] = _hash(photo)
            base = texture_of(photo, self._recipe.crop)
            index = job.texture[1].index
            if index not in self._styles:
                self._styles[index] = self._stylizer.keep_style(base)
            style = self._styles[index]
        if job.shape is not None:
            content = self._read(job.shape[1])
            hashes["content"] = _hash(content)
            if job.folder == ORIGINAL:
                base = content
            else:
                ground = np.full_like(content, 128) if base is None else base
                base = print_on(ground, content, self._recipe.relief)
        return base, style, hashes

    def _read(self, source: Source) -> np.ndarray:
        try:
            return self._dataset.read(source.index)
        except Exception as error:  # of any kind of data set
            name = self._name(source)
            raise OSError(
                f"{self._dataset.name}: {name} cannot be read: {error}"
            ) from error

    def _name(self, source: Source) -> str:
        names = self._dataset.names
        return names[source.index] if names else f"image {source.index}"

    def _row(self, job: _Job, pixels: np.ndarray, hashes: Mapping[str, str]) -> dict:
        """Returns the manifest's line of an image."""
        row, words, data = {"content": job.key[0], "k": job.k}, [], self._dataset
        for side, found in {"shape": job.shape, "texture": job.texture}.items():
            if found is None:
                continue
            label, source = found
            words.append(f"{self._words[label]}{source.number}")
            row[side] = data.classes[label]
            row[f"{side}_source"] = self._name(source)
            row[f"{side}_domain"] = data.domains[data.domain[source.index]]
        # Of shapes and textures alone the folder is what a scorer knows them by.
        label = (job.shape or job.texture)[0]
        called = self._words if job.folder == MIXED else data.classes
        return row | {
            "output": f"{called[label]}/{'-'.join(words)}.png",
            "method": _METHODS[job.folder],
            "relief": self._recipe.relief if job.folder in (MIXED, PRINT) else None,
            "alpha": self._recipe.alpha if job.texture else None,
            "stylizer": self._digest if job.texture else None,
            "seed": self._recipe.seed,
            "sha256": {**hashes, "output": _hash(pixels)},
        }


def _blend(below: np.ndarray, above: np.ndarray, share: float) -> np.ndarray:
    """Returns `share` of the second image on the first: uint8 [S, S, 3]."""
    mixed = (1 - share) * np.float64(below) + share * np.float64(above)
    return np.uint8(np.rint(mixed))


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
