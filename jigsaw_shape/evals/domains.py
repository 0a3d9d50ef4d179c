"""Folders of several domains, `{domain}/{class}/*`, as they are: nothing is stored.

What an image shows is the folder below its domain's, at whatever depth the image is.
"""

import pathlib

import numpy as np

from jigsaw_shape.data import files, layouts
from jigsaw_shape.evals import published
from jigsaw_shape.evals.published import Stimuli

EXPERIMENT = "domains"
_WHITE = (255, 255, 255)  # what flat design is drawn on
_SPLITS = {"train", "val", "crossval", "test", "full"}


def read_folder(folder: pathlib.Path) -> tuple[Stimuli, list[str]]:
    """Returns the images of a folder of domains, and notes on what is left out.

    Names of domains and classes are told apart but for case and punctuation, as data
    sets for training are (`data.layouts.plain`). Of files with the same bytes in one
    domain the first counts: otherwise an image would find its own copy. Transparent
    images are shown on white.

    Args:
      folder: With a folder a domain, in it a folder a class; one domain will do.

    Raises:
      ValueError: There is no such folder or image, or an image is in no class's folder.
      OSError: A file is no image, or cannot be read.
    """
    wanted = f"expected {folder}/DOMAIN/CLASS/NAME.png"
    paths = published.find_images(folder)
    if not paths:
        raise ValueError(f"{folder} holds no image: {wanted}")
    below = [path.relative_to(folder).parts for path in paths]
    for path, parts in zip(paths, below, strict=True):
        if len(parts) < 3:
            raise ValueError(f"{path} is in no class's folder of a domain: {wanted}")
    odd = {parts[1] for parts in below if parts[1].lower() in _SPLITS}
    if odd == {parts[1] for parts in below}:
        raise ValueError(
            f"the domains of {folder} hold {', '.join(sorted(odd))} where classes are "
            f"looked for: {wanted}"
        )
    side_px, digests = published.look_at(paths)
    domain = np.array([layouts.plain(parts[0]) or parts[0] for parts in below])
    chosen, notes = _without_copies(folder, domain, digests)
    whole = Stimuli(
        name=folder.resolve().name,
        experiment=EXPERIMENT,
        images=tuple("/".join(parts) for parts in below),
        paths=tuple(paths),
        category=np.array([layouts.plain(parts[1]) or parts[1] for parts in below]),
        texture=None,
        read=lambda i, px: files.decode(
            paths[i].read_bytes(), size_px=px, background=_WHITE
        ),
        side_px=side_px,
        made_by="",
        digest=published.digest_of(paths, digests),
        domain=domain,
    )
    return (whole if len(chosen) == len(paths) else whole.subset(chosen)), notes


def _without_copies(folder, domain, digests) -> tuple[np.ndarray, list[str]]:
    """Returns the first of files with the same bytes in a domain: int64 [n], notes."""
    first: dict[tuple[str, bytes], int] = {}
    for i, (name, digest) in enumerate(zip(domain, digests, strict=True)):
        first.setdefault((str(name), digest), i)
    chosen = np.array(sorted(first.values()))
    n_copies = len(digests) - len(chosen)
    if not n_copies:
        return chosen, []
    return chosen, [
        f"{folder.resolve().name}: {n_copies} of {len(digests)} files are copies of "
        "others in their domain, byte for byte, and are left out"
    ]
