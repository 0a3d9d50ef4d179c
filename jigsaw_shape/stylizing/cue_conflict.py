"""Plans a cue-conflict set: images with the shape of one class, the texture of another.

Geirhos et al., ICLR 2019, made theirs of 16 categories with iterative style transfer
from hand-picked shapes and textures. Here both come from images of a data set that no
training saw, and a program mixes them:

1. The *texture* is the middle of a photograph, where its object mostly is, enlarged:
   the surface without the outline.
2. The *shape* is printed on it as light and shade: the luminance of the other image,
   brought to a fixed contrast, is added to the texture.
3. AdaIN (`diversify.adain`) renders the print in the texture's statistics at full
   strength, and `alpha` of the result is blended with the print, pixel by pixel. It is
   not mixed in features, since a decoder loses a texture's detail at any strength.

AdaIN alone, on shape image and texture photograph, is not enough: it moves means and
deviations of features over the whole image, so even ground stays even, and colours
change more than textures do. A giraffe's coat on a guitar showed no spots (on PACS).

Three more sets show whether the test is fair, since a plain model should read each cue
where it is alone: `original`, the shape's image as it is; `greyscale`, the shape's
print on even grey; `texture`, the texture under AdaIN without a shape.

Images come from the validation parts of their domains (`data.splits`), which depend on
the split's method and seed alone. So no model with the same split was trained on any of
them, whichever domain it held out.
"""

import collections
import dataclasses
import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import NONE, split
from jigsaw_shape.diversify import stylizer_files
from jigsaw_shape.system.dataclass_flags import flag, refuse_unless

_LETTERS = re.compile(r"[^\W\d_]+")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What decides the set, besides the data; fields with a meaning are flags.

    Attributes:
      texture_domain: Where textures come from.
      shape_domains: Where shapes come from.
      split: As in `config.data`.
      split_seed: The same.
    """

    texture_domain: str
    shape_domains: tuple[str, ...]
    n_images: int = flag(1000, "mixed images at least; as many for each pair")
    crop: float = flag(0.5, "side of a photograph's middle that is its texture")
    relief: float = flag(1.0, "weight of a shape's luminance")
    alpha: float = flag(0.5, "share of AdaIN's rendering, 0 to 1")
    stylizer: str = flag(
        stylizer_files.SHIPPED,
        "shipped; an .npz of `stylize fit`; or a folder with the public weights",
    )
    seed: int = flag(0, "which shape meets which texture")
    split: str = "jigen"
    split_seed: int = 0

    def __post_init__(self):
        """Refuses what cannot work, with a `ValueError`."""
        refuse_unless(
            self,
            {
                "n_images": (self.n_images >= 1, "1 or more"),
                "crop": (0 < self.crop <= 1, "above 0, at most 1"),
                "relief": (self.relief > 0, "above 0"),
                "alpha": (0 <= self.alpha <= 1, "0 to 1"),
                "shape_domains": (bool(self.shape_domains), "one or more"),
            },
        )


class Source(NamedTuple):
    """An image of the data set that is used.

    Attributes:
      index: Its place in the data set.
      number: Its own among those of its class, from 1, as in names of files.
    """

    index: int
    number: int


class Mix(NamedTuple):
    """A mixed image to be made: sources, and labels of what they show."""

    shape: int
    content: Source
    texture: int
    style: Source


def held_out(dataset: Dataset, domain: str, method: str, seed: int) -> np.ndarray:
    """Returns a domain's images that no training sees: int64 [n], ascending.

    Those that `splits.split` keeps for validation, whatever the target.

    Raises:
      ValueError: As `splits.split`; or there is no other domain; or `method` is none.
    """
    if method == NONE:
        raise ValueError(
            f"--config.data.split={NONE} holds out no image, and mixed images are made "
            "of held-out ones: use jigen or domainbed"
        )
    dataset.domain_index(domain)
    others = [name for name in dataset.domains if name != domain]
    if not others:
        raise ValueError(
            f"{dataset.name} has no domain but {domain!r}: a split leaves one out"
        )
    parts = split(
        dataset, target=others[0], sources=(domain,), method=method, seed=seed
    )
    return parts.val


def plan(dataset: Dataset, recipe: Recipe) -> list[Mix]:
    """Returns the mixed images, as many for each pair of classes that differ.

    Sources of a class take turns, in an order that the seed decides, so all are used
    nearly equally often. No two images have the same two sources.

    Raises:
      ValueError: Unknown domains, a class without a held-out image of either kind, or
        too few of them for so many different mixes.
    """
    by_domain = {
        name: held_out(dataset, name, recipe.split, recipe.split_seed)
        for name in {*recipe.shape_domains, recipe.texture_domain}
    }
    shapes = np.concatenate([by_domain[name] for name in recipe.shape_domains])
    contents = _sources(dataset, np.sort(shapes), recipe.seed, "shape")
    styles = _sources(dataset, by_domain[recipe.texture_domain], recipe.seed, "texture")
    n_classes = len(dataset.classes)
    if n_classes < 2:
        raise ValueError(f"{dataset.name} has one class; a cue conflict needs two")
    n_each = -(-recipe.n_images // (n_classes * (n_classes - 1)))
    turns = collections.Counter()  # of each class as a shape and as a texture
    mixes = []
    for i, j in itertools.permutations(range(n_classes), 2):
        n_shapes, n_textures = len(contents[i]), len(styles[j])
        if n_each > n_shapes * n_textures:
            raise ValueError(
                f"--n-images {recipe.n_images} needs {n_each} mixes of "
                f"{dataset.classes[i]} with {dataset.classes[j]}, but {n_shapes} times "
                f"{n_textures} held-out images give fewer: lower it"
            )
        for m in range(n_each):
            # One further after each round, or the same two sources would meet again.
            aside = m // math.lcm(n_shapes, n_textures)
            content = contents[i][turns["shape", i] % n_shapes]
            style = styles[j][(turns["texture", j] + aside) % n_textures]
            turns["shape", i] += 1
            turns["texture", j] += 1
            mixes.append(Mix(i, content, j, style))
    return mixes


def _sources(
    dataset: Dataset, indices: np.ndarray, seed: int, kind: str
) -> list[list[Source]]:
    """Returns the sources of each class in the order in which they take turns."""
    found = []
    for label, name in enumerate(dataset.classes):
        members = indices[dataset.label[indices] == label]
        if not len(members):
            raise ValueError(
                f"{dataset.name} has no held-out image of {name!r} for a {kind}: name "
                f"other domains with --{kind}-domain{'s' * (kind == 'shape')}, or a "
                "split that holds out more"
            )
        order = np.random.default_rng([seed, label, kind == "shape"])
        places = order.permutation(len(members))
        found.append([Source(int(members[n]), int(n) + 1) for n in places])
    return found


def file_words(classes: Sequence[str]) -> tuple[str, ...]:
    """Returns what file names call the classes: their letters alone.

    Published scripts drop digits and split at `_` and `-`.

    Raises:
      ValueError: A class has no letter, or two have the same ones.
    """
    words = tuple("".join(_LETTERS.findall(name)) for name in classes)
    for name, word in zip(classes, words, strict=True):
        if not word:
            raise ValueError(
                f"class {name!r} has no letters, and names of cue-conflict images tell "
                "classes by their letters: rename its folder"
            )
        alike = [other for other, w in zip(classes, words, strict=True) if w == word]
        if len(alike) > 1:
            raise ValueError(
                f"classes {' and '.join(map(repr, alike))} have the same letters, and "
                "names of cue-conflict images tell classes by them: rename a folder"
            )
    return words


def made_by(recipe: Recipe, mixes: Sequence[Mix]) -> str:
    """Returns how the set was made, in a sentence for figures."""
    return (
        f"{len(mixes)} images: luminance of held-out {', '.join(recipe.shape_domains)} "
        f"images (weight {recipe.relief:g}) on enlarged middles of held-out "
        f"{recipe.texture_domain} images, {recipe.alpha:.0%} of AdaIN's rendering; "
        f"seed {recipe.seed}"
    )
