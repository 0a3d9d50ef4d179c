"""Fetches the published stimuli of model-vs-human, each set once, and checks them.

Geirhos et al., "Partial success in closing the gap between human and machine vision",
NeurIPS 2021, offer an archive for each of 17 sets. `evaluate --data` reads the folders
that are written here.
"""

import dataclasses
import pathlib
import shutil

from jigsaw_shape.data import archives
from jigsaw_shape.data.image_folders import is_image
from jigsaw_shape.data.stimuli import look_at
from jigsaw_shape.system.command_line import counted
from jigsaw_shape.system.lock import lock

NAME = "stimuli"
URL = "https://github.com/bethgelab/model-vs-human/releases/download/v0.1/{}.tar.gz"
_CUES = "CC BY 4.0 (texture-vs-shape, Geirhos et al., ICLR 2019)"
_IMAGENET = "ImageNet's terms: non-commercial research (image-net.org/download.php)"
_SKETCH = "MIT (ImageNet-Sketch, Wang et al., NeurIPS 2019)"


@dataclasses.dataclass(frozen=True)
class Published:
    """A published set.

    Attributes:
      terms: On which it is offered, as model-vs-human's overview of licences says.
      n_images: How many it has; 0: not recorded.
    """

    terms: str
    n_images: int = 0


SETS = {
    "cue-conflict": Published(_CUES, 1280),
    "edge": Published(_CUES, 160),
    "silhouette": Published(_CUES, 160),
    "sketch": Published(_SKETCH, 800),
    "stylized": Published(_IMAGENET, 800),
    **dict.fromkeys(
        (
            *("colour", "contrast", "eidolonI", "eidolonII", "eidolonIII"),
            *("false-colour", "high-pass", "low-pass", "phase-scrambling"),
            *("power-equalisation", "rotation", "uniform-noise"),
        ),
        Published(_IMAGENET),
    ),
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a set.

    Attributes:
      name: A key of `SETS`.
      n_images: In its folder; 0 where it is missing.
      fault: Why it is missing, and what to do; "" where it is there.
    """

    name: str
    n_images: int = 0
    fault: str = ""


def prepare(folder: pathlib.Path, source: pathlib.Path | None = None) -> list[Outcome]:
    """Returns what became of each set, `folder/NAME`; those that are there are kept.

    A set comes from `source` if it has it, as a folder or an archive, then from an
    archive in `folder`, then from the network. A set appears whole or not at all.

    Args:
      folder: Made where it is missing.
      source: A folder with sets or their archives; None without one.

    Raises:
      ValueError: `source` is no folder.
      OSError: The disk is full, or the folder cannot be written.
    """
    if source is not None and not source.is_dir():
        raise ValueError(
            f"--from {source} is no folder: give one that holds archives such as "
            "cue-conflict.tar.gz, or folders such as cue-conflict"
        )
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    with lock(folder / ".lock"):
        for name in SETS:
            try:
                found = _have(folder, name, source)
                outcomes.append(Outcome(name, len(_images(found))))
            except ValueError as error:
                outcomes.append(Outcome(name, fault=str(error)))
    return outcomes


def _have(folder, name, source) -> pathlib.Path:
    """Returns the folder of a set, which is fetched or unpacked if it is not there."""
    done = folder / name
    if done.is_dir():
        return done
    archive = None
    for place in (source, folder):
        if place is not None and archive is None:
            archive = _found(place, name)
    if archive is None:
        try:
            archive = archives.fetch(
                (URL.format(name),), folder, name, fault_fn=lambda p: _fault(p, name)
            )
        except ValueError as error:
            raise ValueError(
                f"{name} is missing: put {URL.format(name)} into {folder} and run this "
                f"again (fetching it failed: {error})"
            ) from error
    if fault := _fault(archive, name):
        raise ValueError(f"{name}: {archive} {fault}: fetch {URL.format(name)} again")
    part = folder / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    if archive.is_dir():
        shutil.copytree(archive, part)
    else:
        archives.extract(archive, part)
    inner = part / name if (part / name).is_dir() else part
    try:
        for path in _images(inner):
            look_at(path)
    except OSError as error:
        shutil.rmtree(part)
        raise ValueError(f"{name}: {error}: fetch {URL.format(name)} again") from error
    inner.rename(done)
    shutil.rmtree(part, ignore_errors=True)
    if archive.parent == folder and archive.is_file():
        archive.unlink()
    return done


def _found(place: pathlib.Path, name: str) -> pathlib.Path | None:
    """Returns the folder or the archive of a set in a folder."""
    names = (name, f"{name}.tar.gz", f"{name}.tgz", f"{name}.tar", f"{name}.zip")
    found = (place / one for one in names if (place / one).exists())
    return next(found, None)


def _fault(path: pathlib.Path, name: str) -> str:
    """Returns what is wrong with a folder or an archive of a set, "" if nothing is."""
    files, _ = archives.list_files(path)
    n = sum(is_image(file.name) for file in files)
    wanted = SETS[name].n_images
    if n == 0 or (wanted and n != wanted):
        return f"holds {counted(n, 'image')}, not {wanted or 'any'}"
    return ""


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in folder.rglob("*") if is_image(path.name)]
