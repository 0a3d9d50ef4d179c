"""Folders of several domains, `{domain}/{class}/*`, as they are: nothing is stored.

What an image shows is the folder below its domain's, at whatever depth the image is.
"""

import pathlib

import numpy as np

from jigsaw_shape.data import stimuli
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.data.names import plain
from jigsaw_shape.data.stimuli import Stimuli

EXPERIMENT = "domains"
_SPLITS = {"train", "val", "crossval", "test", "full"}


def read_folder(folder: pathlib.Path) -> tuple[Stimuli, list[str]]:
    """Returns the images of a folder of domains, and notes on what is left out.

    Names of domains and classes are told apart but for case and punctuation, as data
    sets for training are (`data.names.plain`). Of files with the same bytes in one
    domain the first counts: otherwise an image would find its own copy. Files that are
    no images, or have too many pixels (`decoding`), are left out. Transparent images
    are shown on white, unless their reader asks otherwise.

    Args:
      folder: With a folder a domain, in it a folder a class; one domain will do.

    Raises:
      ValueError: There is no such folder or image, or an image is in no class's folder.
    """
    wanted = f"expected {folder}/DOMAIN/CLASS/NAME.png"
    images = find_images(folder, wanted)
    found = [folder / name for name in images.images]
    _refuse_other_layouts(folder, found, wanted)
    paths, digests, sides, notes = _readable(folder, found)
    notes += [f"{folder.resolve().name}: {note}" for note in images.notes()]
    if not paths:
        raise ValueError(f"{folder} holds no image: {'; '.join((*notes, wanted))}")
    below = [path.relative_to(folder).parts for path in paths]
    return Stimuli(
        name=folder.resolve().name,
        experiment=EXPERIMENT,
        images=tuple("/".join(parts) for parts in below),
        paths=tuple(paths),
        category=np.array([plain(parts[1]) for parts in below]),
        texture=None,
        read=lambda i, px, *how: decode(paths[i], *how, size_px=px),
        side_px=sides.pop() if len(sides) == 1 else 0,
        made_by="",
        digest=stimuli.digest_of(paths, digests),
        domain=np.array([plain(parts[0]) for parts in below]),
    ), notes


def _refuse_other_layouts(folder, paths, wanted: str) -> None:
    below = [path.relative_to(folder).parts for path in paths]
    for path, parts in zip(paths, below, strict=True):
        if len(parts) < 3:
            raise ValueError(f"{path} is in no class's folder of a domain: {wanted}")
    classes = {parts[1] for parts in below}
    if classes and {name.lower() for name in classes} <= _SPLITS:
        raise ValueError(
            f"the domains of {folder} hold {', '.join(sorted(classes))} where classes "
            f"are looked for: {wanted}"
        )


def _readable(folder, found):
    """Returns images, each once a domain, their digests, their sides, and notes."""
    paths, digests, sides, faults, seen = [], [], set(), [], set()
    for path in found:
        try:
            size, digest = stimuli.look_at_one(path)
        except OSError as error:
            faults.append(str(error))
            continue
        key = plain(path.relative_to(folder).parts[0]), digest
        if key not in seen:
            seen.add(key)
            paths.append(path)
            digests.append(digest)
            sides |= set(size)
    notes, name = [], folder.resolve().name
    if faults:
        notes.append(
            f"{name}: {len(faults)} of {len(found)} files are left out, such as: "
            f"{faults[0]}"
        )
    n_copies = len(found) - len(faults) - len(paths)
    if n_copies:
        notes.append(
            f"{name}: {n_copies} of {len(found)} files are copies of others in their "
            "domain, byte for byte, and are left out"
        )
    return paths, digests, sides, notes
