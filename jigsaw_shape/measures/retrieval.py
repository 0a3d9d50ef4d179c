"""Retrieval across domains, and the lengths of features.

In similarity search a sketch should find photographs of its class. Networks trained on
photographs also give flat pictures shorter features, which thresholds and sums of
features then overlook. The order of the images never decides a tie.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from jigsaw_shape.measures import intervals

KS = (1, 5, 10, 100, 200)
RECALLS, TOP = (1, 5), 200  # of recall, and of mAP among the first
_BLOCK = 2**25  # similarities at a time, 128 MB


class Retrieval(NamedTuple):
    """How well queries find their class in a gallery.

    Queries without another image of their class in the gallery do not count.

    Attributes:
      map: Mean average precision; nan without a query.
      precision: For each k the mean share of the k nearest that are right; nan where a
        gallery has fewer than k images.
      n_queries: Their number.
      chance: The mean share of the gallery that is right: precision of a random order.
      scores: float64 [n_queries], each query's average precision.
      queries: int64 [n_queries], which images these are.
      recall: For 1 and 5 the share of queries with a right image among so many.
      mrr: Mean reciprocal rank of the first right image.
      map_at_top: Mean average precision among the first 200.
    """

    map: float
    precision: dict[int, float]
    n_queries: int
    chance: float
    scores: np.ndarray
    queries: np.ndarray
    recall: dict[int, float]
    mrr: float
    map_at_top: float


def unit(features: np.ndarray) -> np.ndarray:
    """Returns features [N, F] at length 1, float32; those of length 0 stay 0."""
    features = np.asarray(features, np.float32)
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(norms > 0, norms, 1)


def retrieve(
    vectors: np.ndarray,
    labels: np.ndarray,
    queries: np.ndarray,
    gallery: np.ndarray,
    ks: Sequence[int] = KS,
) -> Retrieval:
    """Returns how well queries find their class in a gallery by inner products.

    A query is never in its own gallery. An image is right if it has the query's label.

    Average precision is the mean, over a query's R right images, of the precision at
    each one's rank: (1 / R) sum_r P(rank of r). Images of equal similarity share the
    rank of the last of them, so that P counts them all (scikit-learn's
    `average_precision_score`). Among the first 200 it is the sum over right images of a
    rank up to 200 over min(R, 200). The rank of the first right image, for recall and
    reciprocal rank, is shared in the same way. Precision at k is the expected share of
    right images among the first k if images of equal similarity came in random order.

    >>> vectors = unit(np.array([[1, 0], [2, 0.1], [0, 1], [0.1, 1]]))
    >>> found = retrieve(vectors, np.array([0, 0, 1, 1]), np.arange(4), np.arange(4))
    >>> found.map, found.n_queries
    (1.0, 4)

    Args:
      vectors: float32 [N, F], of length 1 or 0, see `unit`.
      labels: int [N].
      queries: int [Q], indices.
      gallery: int [G], indices, no image twice.
      ks: k of the precisions, each at least 1.
    """
    own = np.full(len(labels), -1)
    own[gallery] = np.arange(len(gallery))  # a query's column, if it is in the gallery
    found: list[_Score] = []
    rows = max(1, _BLOCK // max(1, len(gallery)))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        similarity = vectors[block] @ vectors[gallery].T
        right = labels[block][:, None] == labels[gallery][None]
        is_self = own[block][:, None] == np.arange(len(gallery))[None]
        found += _scores(block, similarity, right, is_self, ks)

    def mean(of) -> float:
        return float(np.mean([of(one) for one in found])) if found else float("nan")

    return Retrieval(
        map=mean(lambda one: one.average_precision),
        precision={k: mean(lambda one, i=i: one.at_k[i]) for i, k in enumerate(ks)},
        n_queries=len(found),
        chance=mean(lambda one: one.chance),
        scores=np.array([one.average_precision for one in found], np.float64),
        queries=np.array([one.query for one in found], np.int64),
        recall={k: mean(lambda one, k=k: one.first <= k) for k in RECALLS},
        mrr=mean(lambda one: 1 / one.first),
        map_at_top=mean(lambda one: one.at_top),
    )


class _Score(NamedTuple):
    """What one query found; see `Retrieval`."""

    query: int
    average_precision: float
    at_top: float
    chance: float
    first: int
    at_k: list[float]


def _scores(queries, similarity, right, is_self, ks) -> Iterator[_Score]:
    """Yields the score of each query that counts.

    All arrays are [q, G]; `is_self` is true at most once a row.
    """
    similarity = np.where(is_self, -np.inf, similarity)  # last, and cut off below
    right = right & ~is_self
    n_gallery = right.shape[1] - is_self.sum(1)
    order = np.argsort(-similarity, axis=1, kind="stable")
    similarity = np.take_along_axis(similarity, order, 1)
    hits = np.take_along_axis(right, order, 1)
    rows = zip(queries, similarity, hits, n_gallery, strict=True)
    for query, row, row_hits, n in rows:
        if not row_hits.any():
            continue
        counts = np.cumsum(row_hits[:n])
        last = _last_of_equal(row[:n])
        ranks = last[row_hits[:n]] + 1
        precision = counts[ranks - 1] / ranks
        yield _Score(
            query=int(query),
            average_precision=precision.mean(),
            at_top=precision[ranks <= TOP].sum() / min(len(ranks), TOP),
            chance=counts[-1] / n,
            first=int(ranks[0]),
            at_k=[_expected_precision(counts, last, k) for k in ks],
        )


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
    """Returns how probably a number of `one` [n] is below one of `other` [m].

    Ties count half: it is the Mann-Whitney U over the number of pairs, n and m at
    least 1.
    """
    n, m = len(one), len(other)
    ranks = stats.rankdata(np.concatenate([other, one]))
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (n * m))


def check(labels: np.ndarray, name: str) -> None:
    """Refuses images [N] in which there is nothing to find; `name` says which they are.

    Raises:
      ValueError: All are of one class, or no two are.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        shown = f"one class, {classes[0]}" if len(classes) else "nothing"
        raise ValueError(
            f"{name} shows {shown}: retrieval needs at least two classes, otherwise "
            "every image that is found is right"
        )
    if counts.max() < 2:
        raise ValueError(
            f"{name} has one image of each of its {len(classes)} classes: retrieval "
            "needs a second one to find"
        )


def between(
    features: np.ndarray,
    labels: np.ndarray,
    domains: np.ndarray,
    names: Sequence[str],
    ks: Sequence[int] = KS,
) -> dict[tuple[str, str], Retrieval]:
    """Returns what each domain's images find in each domain, their own included.

    Args:
      features: float32 [N, F].
      labels: int [N].
      domains: int [N], indices into `names`.
      names: Of the domains; those without an image are left out.
      ks: See `retrieve`.

    Returns:
      `{(query, gallery): ...}`, in the order of the names.

    Raises:
      ValueError: The arrays' lengths differ, or a feature is not finite.
    """
    if not len(features) == len(labels) == len(domains):
        raise ValueError(
            f"{len(features)} features, {len(labels)} labels and {len(domains)} "
            "domains: expected one label and one domain for each feature"
        )
    if not np.isfinite(features).all():
        raise ValueError("some features are not finite numbers")
    members = _members(domains, names)
    vectors, labels = unit(features), np.asarray(labels)
    return {
        (query, searched): retrieve(vectors, labels, queries, gallery, ks)
        for query, queries in members.items()
        for searched, gallery in members.items()
    }


def retrieval_rows(
    found: Mapping[tuple[str, str], Retrieval], *, seed: int = 0
) -> Iterator[dict]:
    """Yields a row for each pair of domains that `between` found.

    `measure` "retrieval", `query`, `gallery`, `map`, `low` and `high`, the ends of its
    95 % bootstrap interval over queries, `chance`, `precision_at_K`, `recall_at_K`,
    `mrr`, `map_at_200` and `n_queries`; what is not a number is None.
    """
    for (query, searched), one in found.items():
        low, high = intervals.interval(one.scores, np.ones(one.n_queries), seed=seed)
        yield {
            "measure": "retrieval",
            "query": query,
            "gallery": searched,
            "map": _number(one.map),
            "low": _number(low),
            "high": _number(high),
            "chance": _number(one.chance),
            **{
                f"precision_at_{k}": _number(value)
                for k, value in one.precision.items()
            },
            **{f"recall_at_{k}": _number(value) for k, value in one.recall.items()},
            "mrr": _number(one.mrr),
            f"map_at_{TOP}": _number(one.map_at_top),
            "n_queries": one.n_queries,
        }


def norm_rows(
    features: np.ndarray,
    domains: np.ndarray,
    names: Sequence[str],
    reference: str | None = None,
) -> Iterator[dict]:
    """Yields rows on the lengths of features.

    For each domain: `measure` "norm", `domain`, `n`, `mean`, `std`, `quartile_1`,
    `median` and `quartile_3` of the lengths; `relative`, the mean over the mean of all
    domains' means; with a reference, `reference`, its name, and `ratio`, the mean over
    that domain's. For each two domains: `measure` "norm_shorter", `domain`, `than`, and
    `probability`, that a random image of `domain` has a shorter feature than one of
    `than`.

    Args:
      features: float32 [N, F].
      domains: int [N], indices into `names`.
      names: Of the domains; those without an image have no rows.
      reference: The domain by which others are measured, such as photographs.
    """
    norms = np.linalg.norm(np.asarray(features, np.float64), axis=1)
    lengths = {d: norms[found] for d, found in _members(domains, names).items()}
    overall = np.mean([found.mean() for found in lengths.values()]) if lengths else 0
    for name, found in lengths.items():
        row = {
            "measure": "norm",
            "domain": name,
            "n": len(found),
            "mean": float(found.mean()),
            "std": float(found.std()),
            "quartile_1": float(np.quantile(found, 0.25)),
            "median": float(np.median(found)),
            "quartile_3": float(np.quantile(found, 0.75)),
            "relative": float(found.mean() / overall) if overall else None,
        }
        if reference is not None:
            by = lengths[reference].mean()
            row["reference"] = reference
            row["ratio"] = float(found.mean() / by) if by else None
        yield row
    for name, found in lengths.items():
        for than, others in lengths.items():
            if than != name:
                yield {
                    "measure": "norm_shorter",
                    "domain": name,
                    "than": than,
                    "probability": shorter(found, others),
                }


def _members(domains: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the images of each domain that has any."""
    members = {
        name: np.flatnonzero(np.asarray(domains) == d) for d, name in enumerate(names)
    }
    return {name: found for name, found in members.items() if len(found)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
