"""Anagrams of the embedded silhouettes: two classes of the same tiles."""

from collections.abc import Sequence

import numpy as np

from jigsaw_shape.data import anagrams
from jigsaw_shape.data.embedded import drawing, shapes
from jigsaw_shape.data.stimuli import Stimuli


def load(
    classes: Sequence[str] = (), *, n_pairs: int = anagrams.N_PAIRS, seed: int = 0
) -> Stimuli:
    """Returns pairs of silhouettes of two classes, plain and dark on a light ground.

    All silhouettes cover about the same area, so that their tiles are nearly the same:
    a pair is composed exactly, and each of its images covers nine tenths of what its
    silhouette does. Poses and colours are drawn for each pair; both of a pair have the
    same colours. All ordered pairs of classes are equally frequent, to within one.

    Args:
      classes: Of `shapes.CLASSES`, two at least; () for all.
      n_pairs: How many.
      seed: Decides every image.
    """
    names = tuple(classes) or shapes.CLASSES
    both = [(a, b) for a in names for b in names if a != b]
    order = np.random.default_rng(seed).permutation(len(both))
    chosen = [both[order[pair % len(both)]] for pair in range(n_pairs)]

    def read_two(pair, px, how):
        del how
        rng = np.random.default_rng([seed, pair, 1])
        ground, ink = rng.uniform(0.75, 1, 3), rng.uniform(0.05, 0.4, 3)
        found = []
        for name in chosen[pair]:
            parts = drawing.pose(drawing.SILHOUETTES[name], rng, px)
            mask = drawing.fill(parts, px)[..., None]
            found.append(np.uint8(np.rint(255 * (ground + (ink - ground) * mask))))
        return found

    return anagrams.made(
        "shapes/anagrams",
        chosen,
        read_two,
        digest="shapes",
        seed=seed,
        made_by="Silhouettes of two classes, drawn of the same tiles.",
    )
