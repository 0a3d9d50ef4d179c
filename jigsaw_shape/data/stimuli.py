"""Folders of labelled images: published stimuli, one's own cue conflicts, others.

In `{category}/{name}` the folder says what an image shows. A cue conflict's name says
it, `{shape}{i}-{texture}{j}.png` after the last `_`, or a line of the folder's
`manifest.jsonl` with `output`, `shape` and `texture`.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.decisions import experiment_of, image_key
from jigsaw_shape.data.decoding import DecodeError, decode, fault, open_image
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.system.command_line import printable

MANIFEST, SUMMARY = "manifest.jsonl", "cue_conflict.json"
SETTINGS = "stylize.json"


class HeldOut(NamedTuple):
    """Which images a set was made of: those that a split holds out for validation.

    Attributes:
      images: Digest of the data set (`Dataset.digest`).
      split: `config.data.split`.
      split_seed: `config.data.split_seed`.
    """

    images: str
    split: str
    split_seed: int


@dataclasses.dataclass(frozen=True)
class Stimuli:
    """The images of one experiment.

    Attributes:
      name: The folder's.
      experiment: A key of `decisions.EXPERIMENTS` or of `NOT_COUNTED`, or `"images"`.
      images: Their names, each once, as in files of decisions.
      paths: Their files, or what else names them.
      category: str [n], what each shows; of a cue conflict its shape.
      texture: str [n], the class of a cue conflict's texture; else None.
      read: `read(i, stored_px, background="white")` decodes image `i`: uint8 [S, S, 3],
        squashed.
      side_px: The side of the images where all are squares of one size, else 0.
      made_by: How they were made, where that is known, in a sentence.
      digest: Of the files' contents.
      domain: str [n], the domain that each is of; None where there are none.
      condition: str [n], the strength of each's distortion, as files of decisions
        write it; None where there is one condition.
      held_out: What they were made of, where this project made them.
      trained: bool [n], which ones a run was trained on; None where none was.
    """

    name: str
    experiment: str
    images: tuple[str, ...]
    paths: tuple[pathlib.PurePath, ...]
    category: np.ndarray
    texture: np.ndarray | None
    read: Callable[..., np.ndarray]
    side_px: int
    made_by: str
    digest: str
    domain: np.ndarray | None = None
    condition: np.ndarray | None = None
    held_out: HeldOut | None = None
    trained: np.ndarray | None = None

    @property
    def categories(self) -> tuple[str, ...]:
        """What the images can show, alphabetically."""
        named = set(self.category.tolist())
        if self.texture is not None:
            named |= set(self.texture.tolist())
        return tuple(sorted(named))

    def subset(self, indices: np.ndarray) -> "Stimuli":
        """Returns some of the images: int64 [n], in their order."""
        return dataclasses.replace(
            self,
            images=tuple(self.images[i] for i in indices),
            paths=tuple(self.paths[i] for i in indices),
            category=self.category[indices],
            texture=None if self.texture is None else self.texture[indices],
            read=lambda i, *how: self.read(int(indices[i]), *how),
            domain=None if self.domain is None else self.domain[indices],
            trained=None if self.trained is None else self.trained[indices],
            condition=None if self.condition is None else self.condition[indices],
        )

    def dataset(self, stored_px: int, background: str = "white") -> Dataset:
        """Returns the images as a data set of squares of side `stored_px`."""
        return Dataset(
            name=self.name,
            classes=self.categories,
            domains=(self.experiment,),
            label=np.searchsorted(self.categories, self.category).astype(np.int32),
            domain=np.zeros(len(self.images), np.int32),
            read=lambda i: self.read(i, stored_px, background),
            names=tuple(map(str, self.paths)),
            version=self.digest,
        )


def of_dataset(
    dataset: Dataset,
    indices: np.ndarray,
    *,
    name: str,
    side_px: int,
    conflict: bool = False,
) -> Stimuli:
    """Returns images of a data set.

    Args:
      dataset: Whose `read` returns squares.
      indices: int64 [n], which of its images.
      name: For rows.
      side_px: The side of the squares.
      conflict: Whether they are a cue conflict, with textures for categories too.
    """
    names = dataset.names or tuple(f"{i}" for i in range(len(dataset)))
    classes = np.array(dataset.classes)
    return Stimuli(
        name=name,
        experiment="cue_conflict" if conflict else "images",
        images=tuple(names[i] for i in indices),
        paths=tuple(pathlib.PurePath(names[i]) for i in indices),
        category=classes[dataset.label[indices]],
        texture=classes[dataset.texture[indices]] if conflict else None,
        read=lambda i, *how: dataset.read(int(indices[i])),
        side_px=side_px,
        made_by="",
        digest=dataset.digest(),
        domain=np.array(dataset.domains)[dataset.domain[indices]],
    )


def read_folder(folder: pathlib.Path, experiment: str = "") -> Stimuli:
    """Returns the labelled images of a folder, every one of which can be opened.

    Args:
      folder: With a folder a category; of a cue conflict, images at any depth.
      experiment: What the images are. `""` takes it from the folder's name or files,
        and `"images"` where they do not say.

    Raises:
      ValueError: There is no such folder or image, a name does not parse, one name is
        twice there.
      OSError: A file is no image, or cannot be read.
    """
    paths = [
        folder / name
        for name in find_images(folder, f"expected {folder}/CATEGORY/NAME.png").images
    ]
    if not experiment:
        made_here = (folder / SUMMARY).is_file()
        named = experiment_of(folder.name)
        experiment = "cue_conflict" if made_here else named or "images"
    texture, made_by = None, ""
    keys = [image_key(path.name) for path in paths]
    if experiment == "cue_conflict":
        listed = _read_manifest(folder)
        cues = [listed.get(path) or cues_of(path) for path in paths]
        category, texture = (np.array(names) for names in zip(*cues, strict=True))
        made_by = _made_by(folder)
    else:
        category = np.array([_folder_category(path, folder) for path in paths])
        if experiment == "images" or len(set(keys)) < len(keys):
            keys = [str(path.relative_to(folder)) for path in paths]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(
            f"{folder} holds two images called {twice}: image names must be unique, "
            "since answers are matched by name"
        )
    sizes, digests = zip(*map(look_at, paths), strict=True)
    return Stimuli(
        name=folder.resolve().name,
        experiment=experiment,
        images=tuple(map(printable, keys)),
        paths=tuple(paths),
        category=category,
        texture=texture,
        read=lambda i, px, *how: decode(paths[i], *how, size_px=px),
        side_px=common_side(sizes),
        made_by=made_by,
        digest=digest_of(paths, digests),
        held_out=_held_out(folder),
    )


def cues_of(path: pathlib.PurePath) -> tuple[str, str]:
    """Returns shape and texture of a cue-conflict image by its name.

    From the last `_` on it reads `{shape}{i}-{texture}{j}`; the numbers are dropped.

    Raises:
      ValueError: It does not.
    """
    stem = pathlib.PurePath(image_key(path.name)).stem
    parts = [re.sub(r"\d", "", part) for part in stem.split("-")]
    if len(parts) != 2 or not all(parts):
        raise ValueError(
            f"{path}: expected a name that ends in SHAPEi-TEXTUREj, such as "
            f"cat1-boat2.png, or a line in {MANIFEST}"
        )
    return parts[0], parts[1]


def _folder_category(path: pathlib.Path, folder: pathlib.Path) -> str:
    if path.parent == folder:
        raise ValueError(
            f"{path} is in no category's folder: expected {folder}/CATEGORY/{path.name}"
        )
    return path.relative_to(folder).parts[0]


def _read_manifest(folder: pathlib.Path) -> dict[pathlib.Path, tuple[str, str]]:
    """Returns shape and texture of each file that the folder's manifest lists."""
    path, cues = folder / MANIFEST, {}
    if not path.is_file():
        return cues
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            cues[folder / row["output"]] = (row["shape"], row["texture"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number}: expected a JSON object with output, shape and "
                "texture"
            ) from error
    return cues


def _made_by(folder: pathlib.Path) -> str:
    path = folder / SUMMARY
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text())["made_by"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected a JSON object with made_by") from error


def _held_out(folder: pathlib.Path) -> HeldOut | None:
    """Returns what `stylize.json` says a set was made of; None where it does not."""
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text())["settings"]
        return HeldOut(*(settings[field] for field in HeldOut._fields))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # of another origin


def look_at(path: pathlib.Path) -> tuple[tuple[int, int], bytes]:
    """Returns an image's width and height, and a digest of its file.

    Raises:
      OSError: It is no image, or cannot be read.
    """
    try:
        with open_image(path) as image:
            size = image.size
    except (OSError, DecodeError) as error:
        raise OSError(f"{path} is no readable image: {fault(error)}") from error
    return size, hashlib.sha256(path.read_bytes()).digest()


def common_side(sizes: Iterable[tuple[int, int]]) -> int:
    """Returns the side of images that are all squares of one size, else 0."""
    sides = {side for size in sizes for side in size}
    return sides.pop() if len(sides) == 1 else 0


def digest_of(paths: Sequence[pathlib.Path], digests: Sequence[bytes]) -> str:
    """Returns a digest of files by their names and digests."""
    whole = hashlib.sha256()
    for path, digest in zip(paths, digests, strict=True):
        whole.update(os.fsencode(path.name) + digest)
    return whole.hexdigest()[:16]
