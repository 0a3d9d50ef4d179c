"""Anagrams: two images of the same tiles in two arrangements, which show two classes.

Doshi et al., "Visual Anagrams Reveal Hidden Differences in Holistic Shape Processing
Across Vision Models", NeurIPS 2025 (arXiv 2507.00493). Whatever is read from the tiles
one by one is the same for both images, so that at most one of the two answers is right.

`read_folder` reads published pairs, `compose` makes a pair of any two images, and
`of_stimuli` makes pairs of labelled images. An image of a pair is called
`{pair}_object{0 or 1}_{class}.png`, in the published names
`000_003_transform_bear_bunny_object1_bunny.png`. The images that a pair was composed of
have the same name with `_whole` before `_object`.
"""

import dataclasses
import functools
import hashlib
import pathlib
import re
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.optimize import linear_sum_assignment

from jigsaw_shape.data import stimuli as stimuli_lib
from jigsaw_shape.data.decoding import decode
from jigsaw_shape.data.image_folders import find_images
from jigsaw_shape.data.stimuli import Stimuli

EXPERIMENT = "anagrams"
MOST_TILES = 16  # a side
_LEAST_TILE_PX = 5
N_PAIRS = 256
_NAME = re.compile(
    r"(?P<pair>.+?)(?P<whole>_whole)?_object(?P<member>[01])_(?P<label>.+)"
)
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Which images are the two of a pair.

    Attributes:
      rows: int [P, 2], the images of each anagram.
      wholes: int [P, 2], those that each was composed of; None where not known.
    """

    rows: np.ndarray
    wholes: np.ndarray | None


def pairs_of(stimuli: Stimuli) -> Pairs:
    """Returns the pairs of anagrams, by their images' names.

    Raises:
      ValueError: A name is not of an anagram, or an image has no partner.
    """
    found: dict[tuple[str, bool], dict[str, int]] = {}
    for row, name in enumerate(stimuli.images):
        parts = _parts(name)
        key = parts["pair"], bool(parts["whole"])
        members = found.setdefault(key, {})
        if parts["member"] in members:
            raise ValueError(
                f"{stimuli.name}: two images are object{parts['member']} of the "
                f"anagram {parts['pair']}, such as {name}: give each set of anagrams "
                "by itself"
            )
        members[parts["member"]] = row
    for (pair, _), members in found.items():
        if len(members) != 2:
            raise ValueError(
                f"{stimuli.name}: the anagram {pair} has one image: expected two, "
                f"{pair}_object0_CLASS.png and {pair}_object1_CLASS.png"
            )
    rows = {key: (two["0"], two["1"]) for key, two in found.items()}
    names = [pair for pair, whole in rows if not whole]
    known = all((pair, True) in rows for pair in names)
    return Pairs(
        np.array([rows[pair, False] for pair in names]),
        np.array([rows[pair, True] for pair in names]) if known else None,
    )


def read_folder(folder: pathlib.Path) -> Stimuli:
    """Returns the anagrams of a folder of published ones, at any depth.

    Args:
      folder: With images called `{pair}_object{0 or 1}_{class}.png`, two of each pair.

    Raises:
      ValueError: There is no such folder or image, a name does not parse, or an image
        has no partner.
      OSError: A file is no image, or cannot be read.
    """
    wanted = f"expected {folder}/000_transform_bear_bunny_object0_bear.png"
    paths = [folder / name for name in find_images(folder, wanted).images]
    category = np.array([_parts(path.name)["label"] for path in paths])
    sizes, digests = zip(*map(stimuli_lib.look_at, paths), strict=True)
    found = Stimuli(
        name=folder.resolve().name,
        experiment=EXPERIMENT,
        images=tuple(path.name for path in paths),
        paths=tuple(paths),
        category=category,
        texture=None,
        read=lambda i, px, *how: decode(paths[i], *how, size_px=px),
        side_px=stimuli_lib.common_side(sizes),
        made_by="",
        digest=stimuli_lib.digest_of(paths, digests),
    )
    pairs_of(found)
    return found


def grid_of(size_px: int) -> int:
    """Returns the tiles a side that anagrams are made of: 16, or fewer of 5 px."""
    return min(MOST_TILES, size_px // _LEAST_TILE_PX)


def compose(
    first: np.ndarray, second: np.ndarray, grid: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns two images of the same tiles, which look like the two that are given.

    Each tile of the first is matched with one of the second, at the least sum of square
    differences (Kuhn's and Munkres' assignment). Of each match one tile, the first's
    for half of them, is shown at both places. Pixels that are left over at the right
    and lower border get the mean colour of both images.

    Args:
      first: uint8 [S, S, 3].
      second: The same.
      grid: Tiles a side.
      rng: Decides which tile of a match is kept.

    Returns:
      uint8 [S, S, 3] each.
    """
    px = len(first) // grid
    tiles = [np.float64(_cut(image, grid, px)) for image in (first, second)]
    a, b = (t.reshape(grid * grid, -1) for t in tiles)
    cost = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    _, partner = linear_sum_assignment(cost)
    keep = rng.permutation(grid * grid) % 2 == 0
    kept = np.where(keep[:, None, None, None], tiles[0], tiles[1][partner])
    ground = np.stack([first, second]).mean((0, 1, 2))
    place = np.argsort(partner)
    made = [
        _join(t, grid, px, len(first), ground).astype(np.uint8)
        for t in (kept, kept[place])
    ]
    return made[0], made[1]


def of_stimuli(source: Stimuli, *, n_pairs: int = N_PAIRS, seed: int = 0) -> Stimuli:
    """Returns anagrams of labelled images of different classes, in grey.

    Colour is taken away first: it tells classes apart without any arrangement, and
    tiles of different colours cannot stand for each other. Each image is in one pair
    at most; the composed ones, in grey, are among the images too.

    Args:
      source: The labelled images, of two classes at least.
      n_pairs: At most so many.
      seed: Decides the pairs and the tiles.
    """
    chosen = _different(source.category, n_pairs, np.random.default_rng(seed))

    def read_two(pair, px, how):
        return [_grey(_squared(source.read(i, px, *how), px)) for i in chosen[pair]]

    return made(
        f"{source.name}: anagrams",
        [tuple(source.category[list(two)]) for two in chosen],
        read_two,
        digest=source.digest,
        seed=seed,
        made_by=f"Tiles of two images of {source.name} in grey, in two arrangements.",
    )


def made(
    name: str,
    classes: list[tuple[str, str]],
    read_two: Callable[[int, int, tuple], list[np.ndarray]],
    *,
    digest: str,
    seed: int,
    made_by: str,
) -> Stimuli:
    """Returns anagrams that are composed when they are read, at the size asked for.

    Args:
      name: For rows.
      classes: Both classes of each pair.
      read_two: `read_two(pair, px, how)` returns both images, uint8 [px, px, 3]; `how`
        is what follows the size in `Stimuli.read`.
      digest: Of what they are made of.
      seed: Decides which tiles are kept.
      made_by: In a sentence.
    """

    @functools.lru_cache(maxsize=8)  # a pair's four images are read one after another
    def four(pair, px, how):
        two = read_two(pair, px, how)
        rng = np.random.default_rng([seed, pair])
        return (*compose(*two, grid_of(px), rng), *two)

    names, category = [], []
    for pair, two in enumerate(classes):
        for part in ("", "_whole"):
            for member, label in enumerate(two):
                names.append(
                    f"{pair:03d}_{'_'.join(two)}{part}_object{member}_{label}.png"
                )
                category.append(label)
    whole = hashlib.sha256(f"{EXPERIMENT} {digest} {seed} {names}".encode())
    return Stimuli(
        name=name,
        experiment=EXPERIMENT,
        images=tuple(names),
        paths=tuple(map(pathlib.PurePath, names)),
        category=np.array(category),
        texture=None,
        read=lambda i, px, *how: four(i // 4, px, how)[i % 4],
        side_px=0,
        made_by=made_by,
        digest=whole.hexdigest()[:16],
    )


def _parts(name: str) -> dict[str, str]:
    found = _NAME.fullmatch(pathlib.PurePath(name).stem)
    if found is None:
        raise ValueError(
            f"{name} is not called as an anagram: expected PAIR_object0_CLASS.png or "
            "PAIR_object1_CLASS.png, such as 000_transform_bear_bunny_object1_bunny.png"
        )
    return found.groupdict()


def _different(category, n_pairs: int, rng) -> list[tuple[int, int]]:
    """Returns pairs of images of different classes, each image once."""
    waiting: list[int] = []
    found: list[tuple[int, int]] = []
    for row in rng.permutation(len(category)).tolist():
        others = [i for i in waiting if category[i] != category[row]]
        if not others:
            waiting.append(row)
            continue
        waiting.remove(others[0])
        found.append((others[0], row))
        if len(found) == n_pairs:
            break
    return found


def _squared(image: np.ndarray, px: int) -> np.ndarray:
    if image.shape[:2] == (px, px):
        return image
    return np.asarray(
        Image.fromarray(image).resize((px, px), Image.Resampling.BILINEAR)
    )


def _grey(image: np.ndarray) -> np.ndarray:
    plane = np.rint(image @ _LUMA).astype(np.uint8)
    return np.repeat(plane[..., None], 3, axis=-1)


def _cut(image, grid, px) -> np.ndarray:
    """Returns tiles [T, px, px, 3], row by row."""
    part = image[: grid * px, : grid * px].reshape(grid, px, grid, px, -1)
    return part.transpose(0, 2, 1, 3, 4).reshape(grid * grid, px, px, -1)


def _join(tiles, grid, px, size_px, ground) -> np.ndarray:
    whole = np.broadcast_to(ground, (size_px, size_px, 3)).copy()
    part = tiles.reshape(grid, grid, px, px, -1).transpose(0, 2, 1, 3, 4)
    whole[: grid * px, : grid * px] = part.reshape(grid * px, grid * px, -1)
    return whole
