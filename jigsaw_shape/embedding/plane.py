"""Where images lie in a plane, so that near ones are alike."""

import importlib.util

import numpy as np

from jigsaw_shape.measures.retrieval import unit

_PERPLEXITY = 30  # van der Maaten & Hinton, JMLR 2008, advise 5 to 50
_BEFORE = 50  # dimensions that are left for t-SNE, as they did
_STEPS = 500  # half of scikit-learn's, which is enough for a few thousand images
TSNE, PCA = "t-SNE", "PCA"


def place(vectors: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns where images lie, and the method: `t-SNE` or, without its package, `PCA`.

    Vectors are compared by their direction alone. The 50 principal components are
    arranged by t-SNE (van der Maaten & Hinton, JMLR 2008; scikit-learn's, from a fixed
    seed), where scikit-learn is installed and there are more than four images; else
    the first two components are taken.

    Args:
      vectors: float32 [N, F].

    Returns:
      float32 [N, 2], each column from 0 to 1, and the method's name.
    """
    flat = components(unit(vectors), _BEFORE)
    perplexity = min(_PERPLEXITY, (len(flat) - 1) / 3)
    if perplexity > 1 and importlib.util.find_spec("sklearn"):
        from sklearn import manifold
        from threadpoolctl import threadpool_limits

        arrange = manifold.TSNE(
            perplexity=perplexity, init="pca", max_iter=_STEPS, random_state=0
        )
        # Several threads would wait for each other wherever the machine is busy.
        with threadpool_limits(1):
            flat, method = arrange.fit_transform(flat), TSNE
    else:
        flat, method = flat[:, :2], PCA
    low, high = flat.min(0), flat.max(0)
    spread = np.where(high > low, high - low, 1)
    return ((flat - low) / spread).astype(np.float32), method


def components(vectors: np.ndarray, n: int) -> np.ndarray:
    """Returns the first principal components, signs fixed: float32 [N, n].

    Args:
      vectors: float32 [N, F].
      n: How many; columns that the vectors do not fill are 0.
    """
    centred = vectors - vectors.mean(0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(1)])
    found = left * values * np.where(signs == 0, 1, signs)
    padded = np.zeros((len(vectors), n), np.float32)
    padded[:, : found.shape[1]] = found[:, :n]
    return padded
