"""The nearest images by cosine similarity: of all, or of an index for large sets.

The index is FAISS' HNSW graph (Malkov & Yashunin, 2018) over vectors of length 1, whose
inner product is the cosine. It finds nearly all of the nearest without a look at each
vector.
"""

import importlib.util
from pathlib import Path

import numpy as np

from jigsaw_shape.measures.retrieval import unit
from jigsaw_shape.system import whole_files

_BLOCK = 2**25  # similarities at a time, 128 MB
_NEIGHBOURS, _CANDIDATES = 32, 128  # HNSW's M and efSearch


def nearest(
    queries: np.ndarray, vectors: np.ndarray, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest vectors of each query, the nearest first.

    >>> vectors = np.array([[0, 2], [3, 4]])
    >>> indices, cosines = nearest(np.array([[1, 0]]), vectors, top=2)
    >>> indices.tolist(), round(float(cosines[0, 0]), 3)
    ([[1, 0]], 0.6)

    Args:
      queries: float32 [Q, F].
      vectors: float32 [N, F].
      top: How many; fewer where there are fewer.

    Returns:
      `(indices, similarities)`: int64 and float32 [Q, min(top, N)], cosines. Of equal
      ones the first comes first.
    """
    queries, vectors, top = unit(queries), unit(vectors), min(top, len(vectors))
    rows = max(1, _BLOCK // max(1, len(vectors)))
    indices, similarities = [], []
    for start in range(0, len(queries), rows):
        cosines = queries[start : start + rows] @ vectors.T
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :top]
        indices.append(order)
        similarities.append(np.take_along_axis(cosines, order, 1))
    return np.concatenate(indices), np.concatenate(similarities)


def refuse_missing() -> None:
    """Refuses `--index` where FAISS is not installed.

    Raises:
      ValueError: Names the extra.
    """
    if not importlib.util.find_spec("faiss"):
        raise ValueError(
            "--index needs faiss, which is not installed: "
            "pip install 'jigsaw_shape[index]'"
        )


def write_index(path: Path, vectors: np.ndarray) -> None:
    """Writes an index of vectors float32 [N, F], whole or not at all."""
    import faiss

    index = faiss.IndexHNSWFlat(
        vectors.shape[1], _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT
    )
    index.add(unit(vectors))
    with whole_files.replacing(path) as partial:
        faiss.write_index(index, str(partial))


def search_index(
    path: Path, queries: np.ndarray, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `nearest` does, as far as the index finds it.

    Raises:
      ValueError: The file is no index, or of vectors of another length.
    """
    import faiss

    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise ValueError(f"{path} is no index: {str(error).splitlines()[0]}") from error
    if index.d != queries.shape[1]:
        raise ValueError(
            f"{path} is of vectors of {index.d} numbers, the model's have "
            f"{queries.shape[1]}"
        )
    top = min(top, index.ntotal)
    index.hnsw.efSearch = max(_CANDIDATES, top)
    similarities, indices = index.search(unit(queries), top)
    return indices, similarities
