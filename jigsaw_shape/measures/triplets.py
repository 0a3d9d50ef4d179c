"""Shape match or texture match: which of two images is nearer to a third by features.

Tartaglini et al., "A Developmentally-Inspired Examination of Shape versus Texture Bias
in Machines", arXiv 2202.08340. No classifier is needed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jigsaw_shape.measures.retrieval import unit


class Triplets(NamedTuple):
    """An anchor and its matches; each shape match with each texture match is a triplet.

    Attributes:
      anchor: Index of an image.
      shapes: int64 [s], images of its shape and of another texture.
      textures: int64 [t], images of its texture and of another shape.
    """

    anchor: int
    shapes: np.ndarray
    textures: np.ndarray


def find(
    shape: np.ndarray,
    texture: np.ndarray,
    shape_source: np.ndarray,
    texture_source: np.ndarray,
) -> Iterator[Triplets]:
    """Yields each anchor that has a match of either kind.

    A match has the anchor's source of one cue and another class of the other cue.
    Images whose shape and texture are of one class take no part. In the paper a match
    may be of the anchor's class in the other cue too.

    Args:
      shape: [n], the class of each image's shape.
      texture: [n], the class of its texture.
      shape_source: [n], what the shape was taken from, such as "cat3".
      texture_source: [n], what the texture was taken from.
    """
    conflict = shape != texture
    for anchor in np.flatnonzero(conflict):
        alike = conflict & (shape_source == shape_source[anchor])
        shapes = np.flatnonzero(alike & (texture != texture[anchor]))
        alike = conflict & (texture_source == texture_source[anchor])
        textures = np.flatnonzero(alike & (shape != shape[anchor]))
        if len(shapes) and len(textures):
            yield Triplets(int(anchor), shapes, textures)


def decided_for_shape(
    features: np.ndarray, triplets: list[Triplets]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each anchor's triplets decided for the shape, and all: float64 [a] each.

    A triplet is decided for the shape if the features of the shape match have the
    larger cosine similarity with the anchor's. Equal ones count half.

    Args:
      features: float [n, F].
      triplets: Of a anchors.
    """
    vectors = unit(features)
    for_shape, of_all = np.zeros((2, len(triplets)))
    for n, one in enumerate(triplets):
        anchor = vectors[one.anchor]
        textures = np.sort(vectors[one.textures] @ anchor)
        shapes = vectors[one.shapes] @ anchor
        below, upto = (np.searchsorted(textures, shapes, s) for s in ("left", "right"))
        for_shape[n] = (below + upto).sum() / 2
        of_all[n] = len(shapes) * len(textures)
    return for_shape, of_all
