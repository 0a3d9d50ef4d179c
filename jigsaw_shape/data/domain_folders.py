"""Folders of several domains, `{domain}/{class}/*`, as they are: nothing is stored.

What an image shows is the folder below its domain's, at whatever depth the image is.
Where all domains hold `train`, `val` or `images` alone, it is the folder below that.
"""

import pathlib

import numpy as np

from jigsaw_shape.data import stimuli
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.data.layouts import BETWEEN
from jigsaw_shape.data.names import plain
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.system.command_line import printable

EXPERIMENT = "domains"


def read_folder(folder: pathlib.Path) -> tuple[Stimuli, list[str]]:
    """Returns the images of a folder of domains, and notes on what is left out.

    Names of domains and classes are compared as those of data sets for training are
    (`names.plain`). Of files with the same bytes in one domain the first counts:
    otherwise an image would find its own copy. Files that do not begin as an image does
    are left out; one that is damaged further on is found when it is read. Transparent
    ones are shown on white, unless their reader asks otherwise.

    Args:
      folder: With a folder a domain, in it a folder a class; one domain will do.

    Raises:
      ValueError: There is no such folder or image, or an image is in no class's folder.
    """
    wanted = f"expected {folder}/DOMAIN/CLASS/NAME.png"
    found = find_images(folder, wanted)
    parts = {name: name.split("/") for name in found.images}
    if any(split[1].lower() not in BETWEEN for split in parts.values() if split[1:]):
        of_class = {name: split[:2] for name, split in parts.items() if split[2:]}
    else:
        of_class = {n: [s[0], s[2]] for n, s in parts.items() if s[3:]}
    for name in found.images:
        if name not in of_class:
            odd = printable(name)
            raise ValueError(
                f"{folder}: {odd} is in no class's folder of a domain: {wanted}"
            )
    looks, faults, seen = {}, [], set()
    for name, (domain, _) in of_class.items():
        try:
            size, digest = stimuli.look_at(folder / name)
        except OSError as error:
            faults.append(str(error))
            continue
        if (plain(domain), digest) not in seen:
            seen.add((plain(domain), digest))
            looks[name] = size, digest
    n_found, n_copies = len(of_class), len(of_class) - len(faults) - len(looks)
    notes = found.notes()
    if faults:
        notes.append(
            f"{len(faults)} of {n_found} files are left out, such as: {faults[0]}"
        )
    if n_copies:
        notes.append(
            f"{n_copies} of {n_found} files are copies of others in their domain, byte "
            "for byte, and are left out"
        )
    if not looks:
        raise ValueError(f"{folder} holds no image: {'; '.join((*notes, wanted))}")
    paths = tuple(folder / name for name in looks)
    sizes, digests = zip(*looks.values(), strict=True)
    title = folder.resolve().name
    return Stimuli(
        name=title,
        experiment=EXPERIMENT,
        images=tuple(map(printable, looks)),
        paths=paths,
        category=np.array([plain(of_class[name][1]) for name in looks]),
        texture=None,
        read=lambda i, px, *how: decode(paths[i], *how, size_px=px),
        side_px=stimuli.common_side(sizes),
        made_by="",
        digest=stimuli.digest_of(paths, digests),
        domain=np.array([plain(of_class[name][0]) for name in looks]),
    ), [f"{title}: {note}" for note in notes]
