"""Do features of one domain find their class in another? Do they have their length?

Similarity search is what features for drawings are wanted for: a sketch is to find
photographs of its class. And networks trained on photographs answer flat pictures with
shorter features, which thresholds and sums of features then overlook.

Every function is of arrays alone; ties never depend on the order of the images.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

KS = (1, 5, 10)
_BLOCK = 2**25  # similarities at a time, 128 MB


class Retrieval(NamedTuple):
    """How well queries find their class in a gallery.

    Attributes:
      map: Mean average precision over the queries; nan without one.
      precision: For each k the mean share of the k nearest that are right; nan where a
        query's gallery has fewer than k images.
      n_queries: Queries with at least one image of their class in the gallery; only
        they count.
      chance: The mean share of the gallery that is right: what any order gives.
    """

    map: float
    precision: dict[int, float]
    n_queries: int
    chance: float


def unit(features: np.ndarray) -> np.ndarray:
    """Returns features [N, F] at length 1, float32; those of length 0 stay as they are.

    So a feature of length 0 has cosine similarity 0 to everything.
    """
    features = np.asarray(features, np.float32)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(norms > 0, norms, 1)


def retrieve(
    features: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    gallery: np.ndarray,
    ks: Sequence[int] = KS,
) -> Retrieval:
    """Returns how well queries find their class in a gallery by cosine similarity.

    A query is never in its own gallery. An image is right if it has the query's label.

    Average precision is the mean, over a query's R right images, of the precision at
    each one's rank: (1 / R) sum_r P(rank of r). Images of equal similarity share the
    rank of the last of them, so that P counts them all (scikit-learn's
    `average_precision_score`). Precision at k is the expected share of right images
    among the first k if images of equal similarity came in random order.

    Args:
      features: float32 [N, F].
      labels: int [N].
      queries: int [Q], indices.
      gallery: int [G], indices, no image twice.
      ks: k of the precisions, each at least 1.
    """
    vectors, labels = unit(features), np.asarray(labels)
    own = np.full(len(labels), -1)
    own[gallery] = np.arange(len(gallery))  # a query's column, if it is in the gallery
    found, precisions, chances = [], {k: [] for k in ks}, []
    rows = max(1, _BLOCK // max(1, len(gallery)))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        similarity = vectors[block] @ vectors[gallery].T
        right = labels[block][:, None] == labels[gallery][None]
        is_self = own[block][:, None] == np.arange(len(gallery))[None]
        for part in _scores(similarity, right, is_self, ks):
            found.append(part[0])
            chances.append(part[1])
            for k, value in zip(ks, part[2], strict=True):
                precisions[k].append(value)
    nan = float("nan")
    return Retrieval(
        map=float(np.mean(found)) if found else nan,
        precision={k: float(np.mean(v)) if v else nan for k, v in precisions.items()},
        n_queries=len(found),
        chance=float(np.mean(chances)) if chances else nan,
    )


def _scores(similarity, right, is_self, ks):
    """Yields average precision, share right and precisions of each query that counts.

    Args:
      similarity: float32 [q, G].
      right: bool [q, G].
      is_self: bool [q, G], at most one a row.
      ks: See `retrieve`.
    """
    similarity = np.where(is_self, -np.inf, similarity)  # last, and cut off below
    right = right & ~is_self
    n_gallery = right.shape[1] - is_self.sum(1)
    order = np.argsort(-similarity, axis=1, kind="stable")
    similarity = np.take_along_axis(similarity, order, 1)
    hits = np.take_along_axis(right, order, 1)
    for row, row_hits, n in zip(similarity, hits, n_gallery, strict=True):
        if not row_hits.any():
            continue
        counts = np.cumsum(row_hits[:n])
        last = _last_of_equal(row[:n])
        precision = counts[last] / (last + 1)
        at_k = [_expected_precision(counts, last, k) for k in ks]
        yield precision[row_hits[:n]].mean(), counts[-1] / n, at_k


def _last_of_equal(values: np.ndarray) -> np.ndarray:
    """Returns the last index of each entry's run of equal entries: int64 [n]."""
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)
    return np.repeat(ends, np.diff(ends, prepend=-1))


def _expected_precision(counts: np.ndarray, last: np.ndarray, k: int) -> float:
    """Returns precision at k, averaged over the orders of the run that k cuts."""
    n = len(counts)
    if k > n:
        return float("nan")
    end = int(last[k - 1])
    before = np.flatnonzero(last < end)
    first = int(before[-1]) + 1 if len(before) else 0
    n_before = int(counts[first - 1]) if first else 0
    share = (int(counts[end]) - n_before) / (end + 1 - first)
    return (n_before + (k - first) * share) / k


def shorter(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the chance that a number of `one` is below one of `other`, ties half.

    0.5 says that neither tends to be smaller: the Mann-Whitney U over the number of
    pairs.

    Args:
      one: float [n], n at least 1.
      other: float [m], m at least 1.
    """
    values = np.sort(other)
    below = len(values) - np.searchsorted(values, one, side="right")
    equal = np.searchsorted(values, one, side="right") - np.searchsorted(
        values, one, side="left"
    )
    return float((below + equal / 2).mean() / len(values))


def rows(
    features: np.ndarray,
    labels: np.ndarray,
    domains: np.ndarray,
    names: Sequence[str],
    ks: Sequence[int] = KS,
) -> Iterator[dict]:
    """Yields the rows of the suite `retrieval`, flat and of JSON's types.

    For each domain that queries and each that is searched, the same one among them:
    `measure` "retrieval", `query`, `gallery`, `map`, `chance`, `precision_at_K` and
    `n_queries`; what is not a number is None. For each domain: `measure` "norm",
    `domain`, `n`, `mean`, `std`, `median` of the features' lengths and `relative`, the
    mean over that of all domains' means. For each two domains: `measure`
    "norm_shorter", `domain`, `than`, and `probability`, that a random image of `domain`
    has a shorter feature than one of `than`.

    Args:
      features: float32 [N, F].
      labels: int [N].
      domains: int [N], indices into `names`.
      names: Of the domains; those without an image have no rows.
      ks: See `retrieve`.

    Raises:
      ValueError: The arrays' lengths differ, or a feature is not finite.
    """
    if not len(features) == len(labels) == len(domains):
        raise ValueError(
            f"{len(features)} features, {len(labels)} labels and {len(domains)} domains"
        )
    if not np.isfinite(features).all():
        raise ValueError("some features are not finite")
    members = {d: np.flatnonzero(np.asarray(domains) == d) for d in range(len(names))}
    members = {d: found for d, found in members.items() if len(found)}
    for query, queries in members.items():
        for searched, gallery in members.items():
            found = retrieve(features, labels, queries, gallery, ks)
            yield {
                "measure": "retrieval",
                "query": names[query],
                "gallery": names[searched],
                "map": _number(found.map),
                "chance": _number(found.chance),
                **{
                    f"precision_at_{k}": _number(value)
                    for k, value in found.precision.items()
                },
                "n_queries": found.n_queries,
            }
    norms = np.linalg.norm(np.asarray(features, np.float64), axis=1)
    lengths = {d: norms[found] for d, found in members.items()}
    overall = np.mean([found.mean() for found in lengths.values()]) if lengths else 0
    for d, found in lengths.items():
        yield {
            "measure": "norm",
            "domain": names[d],
            "n": len(found),
            "mean": float(found.mean()),
            "std": float(found.std()),
            "median": float(np.median(found)),
            "relative": float(found.mean() / overall) if overall else None,
        }
    for d, found in lengths.items():
        for than, others in lengths.items():
            if than != d:
                yield {
                    "measure": "norm_shorter",
                    "domain": names[d],
                    "than": names[than],
                    "probability": shorter(found, others),
                }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
