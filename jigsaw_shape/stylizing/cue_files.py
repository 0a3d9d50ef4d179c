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

import jax
import numpy as np
from PIL import Image

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.diversify import stylizer_files
from jigsaw_shape.stylizing import images
from jigsaw_shape.stylizing.cue_conflict import (
    Mix,
    Recipe,
    Source,
    file_words,
    made_by,
    plan,
)
from jigsaw_shape.stylizing.programs import Settings, Stylizer, Task
from jigsaw_shape.system import whole_files

MIXED, ORIGINAL, PRINT, TEXTURE = "cue-conflict", "original", "greyscale", "texture"
SUMMARY = "cue_conflict.json"  # in the folder of the mixed ones: how they were made
# What is done to the sources, by folder.
_METHODS = {MIXED: "print+adain", ORIGINAL: "none", PRINT: "print", TEXTURE: "adain"}
_DEVIATION = 0.22  # of luminance in a print, before its weight
_LEAST_DEVIATION = 0.05  # an evener image is not stretched further
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
    devices: Sequence[jax.Device] | None = None,
    on_image: Callable[[int, int], None] = lambda n_done, n_total: None,
) -> int:
    """Writes the set and those beside it; goes on where an earlier call stopped.

    `out_dir` gets a folder each, `cue-conflict` and the three of the module. In each
    are `{class}/{class}{i}.png`, of mixed ones `{shape}/{shape}{i}-{texture}{j}.png`;
    `manifest.jsonl`, a line an image with its sources, their classes and domains,
    hashes of pixels and all that made it; `stylize.json`, what all of them share. The
    same data and recipe write the same bytes on one machine.

    Args:
      dataset: `read` returns squares of one size.
      recipe: See there.
      out_dir: New, empty, or of the same data and recipe.
      devices: Without: those of this process.
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
    settings = Settings(stylizer=recipe.stylizer, format="png")
    file = stylizer_files.load_pair(recipe.stylizer)
    stylizer = Stylizer(settings, file.pair, devices or jax.local_devices())
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
            name: stack.enter_context(images.claimed(out_dir / name, facts, about))
            for name in (MIXED, ORIGINAL, PRINT, TEXTURE)
        }
        summary = json.dumps(about, indent=2) + "\n"
        whole_files.write_text(out_dir / MIXED / SUMMARY, summary)
        work = _Work(dataset, recipe, words, stylizer, file.digest)
        jobs = [job for job in work.jobs(mixes) if job.key not in outputs[job.folder]]
        on_image(0, len(jobs))
        n_done = 0
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as workers:
            for start in range(0, len(jobs), _BATCH):
                batch = jobs[start : start + _BATCH]
                for job, row, pixels in work.render(workers, batch):
                    outputs[job.folder].write(row["output"], pixels, "png")
                    outputs[job.folder].record(row)
                    n_done += 1
                on_image(n_done, len(jobs))
    return n_done


def _first_texture(
    dataset: Dataset, mixes: Sequence[Mix], stylizer: Stylizer
) -> np.ndarray:
    """Returns an image of the set's, if the stylizer can take images of its size."""
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
    """A file to be written; a shape or a texture alone has no other."""

    folder: str
    k: int  # number in the folder
    shape: tuple[int, Source] | None
    texture: tuple[int, Source] | None
    key: tuple[str, int]  # of the manifest


@dataclasses.dataclass
class _Work:
    """From mixes to files' pixels and rows."""

    dataset: Dataset
    recipe: Recipe
    words: tuple[str, ...]
    stylizer: Stylizer
    digest: str

    def __post_init__(self):
        self._styles: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def jobs(self, mixes: Sequence[Mix]) -> Iterator[_Job]:
        """Yields the mixed images, then each source by itself."""
        shapes = sorted({(mix.shape, mix.content) for mix in mixes})
        textures = sorted({(mix.texture, mix.style) for mix in mixes})
        asked = [
            *((MIXED, (m.shape, m.content), (m.texture, m.style)) for m in mixes),
            *(
                (folder, shape, None)
                for folder in (ORIGINAL, PRINT)
                for shape in shapes
            ),
            *((TEXTURE, None, texture) for texture in textures),
        ]
        counts = collections.Counter()
        for folder, shape, texture in asked:
            k = counts[folder]
            counts[folder] += 1
            source = (shape or texture)[1]
            yield _Job(folder, k, shape, texture, (self._name(source), k))

    def render(self, workers, batch: Sequence[_Job]):
        """Yields (job, row, pixels) of each job."""
        loaded = list(workers.map(self._load, batch))
        stylized = [n for n, job in enumerate(batch) if job.texture is not None]
        tasks = [Task(loaded[n][0], loaded[n][1][None], 0) for n in stylized]
        parts = self.stylizer(tasks) if tasks else []
        results = [pixels for part in parts for pixels in np.asarray(part)]
        done = dict(zip(stylized, results, strict=False))  # the rest is padding
        for n, job in enumerate(batch):
            pixels = loaded[n][0]
            if n in done:
                pixels = _blend(pixels, done[n], self.recipe.alpha)
            yield job, self._row(job, pixels, loaded[n][2]), pixels

    def _load(self, job: _Job):
        """Returns what goes into the stylizer, its style, and hashes of sources."""
        hashes, style = {}, None
        base = None
        if job.texture is not None:
            photo = self._read(job.texture[1])
            hashes["style"] = _hash(photo)
            base = texture_of(photo, self.recipe.crop)
            style = self._styles.get(job.texture[1].index)
            if style is None:
                style = self.stylizer.keep_style(base)
                self._styles[job.texture[1].index] = style
        if job.shape is not None:
            content = self._read(job.shape[1])
            hashes["content"] = _hash(content)
            if job.folder == ORIGINAL:
                base = content
            else:
                ground = np.full_like(content, 128) if base is None else base
                base = print_on(ground, content, self.recipe.relief)
        return base, style, hashes

    def _read(self, source: Source) -> np.ndarray:
        try:
            return self.dataset.read(source.index)
        except Exception as error:  # Pillow raises nearly any kind
            name = self._name(source)
            raise OSError(
                f"{self.dataset.name}: {name} cannot be read: {error}"
            ) from error

    def _name(self, source: Source) -> str:
        names = self.dataset.names
        return names[source.index] if names else f"image {source.index}"

    def _row(self, job: _Job, pixels: np.ndarray, hashes: Mapping[str, str]) -> dict:
        """Returns the manifest's line of an image."""
        row = {"content": job.key[0], "k": job.k}
        words, sides = [], {"shape": job.shape, "texture": job.texture}
        for side, found in sides.items():
            if found is None:
                continue
            label, source = found
            words.append(f"{self.words[label]}{source.number}")
            row[side] = self.dataset.classes[label]
            row[f"{side}_source"] = self._name(source)
            domain = self.dataset.domain[source.index]
            row[f"{side}_domain"] = self.dataset.domains[domain]
        # Of shapes and textures alone the folder is what a scorer knows them by.
        label = (job.shape or job.texture)[0]
        called = self.words if job.folder == MIXED else self.dataset.classes
        return row | {
            "output": f"{called[label]}/{'-'.join(words)}.png",
            "method": _METHODS[job.folder],
            "relief": self.recipe.relief if job.folder in (MIXED, PRINT) else None,
            "alpha": self.recipe.alpha if job.texture else None,
            "stylizer": self.digest if job.texture else None,
            "seed": self.recipe.seed,
            "sha256": {**hashes, "output": _hash(pixels)},
        }


def _blend(below: np.ndarray, above: np.ndarray, share: float) -> np.ndarray:
    """Returns `share` of the second image on the first: uint8 [S, S, 3]."""
    mixed = (1 - share) * np.float64(below) + share * np.float64(above)
    return np.uint8(np.rint(mixed))


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
