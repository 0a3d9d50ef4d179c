"""A look at every image of a data set, before it is stored."""

import collections
import hashlib
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from jigsaw_shape.data import decoding
from jigsaw_shape.data.surveys import Survey
from jigsaw_shape.system.command_line import counted, track

_N_THREADS = min(8, os.cpu_count() or 2)


class Findings(NamedTuple):
    """What a look at every image found.

    Attributes:
      faults: Of files that do not decode: path -> why.
      transparent: Domain -> how many of its images are transparent somewhere.
      copies: Images that are in several domains byte for byte, in a sentence; or `""`.
      content: Digest of the names and contents of those that decode.
    """

    faults: dict[str, str]
    transparent: dict[str, int]
    copies: str
    content: str


def inspect(survey: Survey, root: pathlib.Path) -> Findings:
    """Returns what a look at every image of a survey finds.

    Args:
      survey: Which images there are.
      root: Where their files are.
    """
    faults, transparent = {}, collections.Counter()
    contents, digests = collections.defaultdict(list), {}
    with ThreadPoolExecutor(_N_THREADS) as pool:
        looks = pool.map(lambda image: _look(root / image.path), survey.images)
        looks = track(looks, f"checking {survey.spec.name}", len(survey.images))
        for image, (fault, is_transparent, digest) in zip(
            survey.images, looks, strict=True
        ):
            if fault:
                faults[image.path] = fault
                continue
            transparent[image.domain] += is_transparent
            contents[digest].append(image)
            digests[image.name] = digest
    shared = [i for i in contents.values() if len({image.domain for image in i}) > 1]
    return Findings(faults, dict(+transparent), _copies(shared), content_of(digests))


def content_of(digests: dict[str, bytes]) -> str:
    """Returns a digest of images' names and the digests of their files."""
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(f"{name}\n".encode() + digests[name])
    return whole.hexdigest()[:16]


def digest_of(data: bytes) -> bytes:
    """Returns a digest of a file's contents."""
    return hashlib.blake2b(data, digest_size=16).digest()


def _look(path: pathlib.Path) -> tuple[str, bool, bytes]:
    """Returns why a file is no whole image, or `""`; if it is transparent; a digest."""
    try:
        data = path.read_bytes()
        return "", decoding.is_transparent(data), digest_of(data)
    except (OSError, decoding.DecodeError) as error:
        return decoding.fault(error), False, b""


def _copies(shared: list) -> str:
    if not shared:
        return ""
    first = {image.domain: image.name for image in shared[0]}
    return (
        f"in several domains, byte for byte: {counted(len(shared), 'image')}, such as "
        f"{' and '.join(first.values())}: where one of these domains is the target, "
        "its images leak into training"
    )
