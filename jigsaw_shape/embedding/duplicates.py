"""Groups of images that are nearly the same picture."""

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from jigsaw_shape.measures.retrieval import unit

COSINE = 0.9  # of features, at the least
CORRELATION = 0.95  # of pixels once shrunk to small squares, at the least
_FLAT = 2.0  # an image whose pixels stray less than this from their mean is one colour
_ROWS = 512  # of the matrices, at a time


def groups(vectors: np.ndarray, looks: np.ndarray) -> list[list[int]]:
    """Returns which images are nearly the same picture, a group each, in order.

    Two images are where both their features and their pixels agree: the cosine of their
    features is at least `COSINE`, and the correlation of their pixels, shrunk, at least
    `CORRELATION`. So copies are found that were resized, compressed, or made lighter,
    and not those that were mirrored or cut much. A group is what such pairs connect.

    Args:
      vectors: float32 [N, F].
      looks: uint8 [N, s, s, 3], the images shrunk to small squares.
    """
    n = len(vectors)
    features, pixels = unit(vectors), looks.reshape(n, -1).astype(np.float32)
    levels = pixels.mean(1, keepdims=True)
    shades = unit(pixels - levels)
    is_flat = pixels.std(1) < _FLAT
    pairs = []
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        same = shades[rows] @ shades.T >= CORRELATION
        near = np.abs(levels[rows] - levels.T) < _FLAT
        same[is_flat[rows]] = is_flat & near[is_flat[rows]]  # shades are noise there
        same &= features[rows] @ features.T >= COSINE
        first, second = np.nonzero(same)
        pairs.append((first + start, second))
    first, second = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(first)), (first, second)), (n, n))
    _, labels = csgraph.connected_components(graph, directed=False)
    found = {}
    for place, label in enumerate(labels.tolist()):
        found.setdefault(label, []).append(place)
    return [members for members in found.values() if len(members) > 1]
