"""Retrieval and feature norms, against what their definitions say."""

import itertools
import json

import numpy as np
import pytest

from jigsaw_shape.measures import retrieval


def plain_average_precision(scores, right):
    """Returns scikit-learn's sum over thresholds of (R_n - R_{n-1}) P_n."""
    total, recall_before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        recall = (chosen & right).sum() / right.sum()
        total += (recall - recall_before) * (chosen & right).sum() / chosen.sum()
        recall_before = recall
    return total


def plain_precision(scores, right, k):
    """Returns the mean over all orders that the scores allow."""
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean([right[list(order[:k])].mean() for order in orders])


def make_data(n=40, n_classes=3, n_features=4, levels=0):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, n_features)).astype(np.float32)
    if levels:  # few different directions, so many ties
        features = rng.integers(0, levels, (n, n_features)).astype(np.float32)
    return features, rng.integers(0, n_classes, n)


def _retrieve(features, *arguments, **settings):
    return retrieval.retrieve(retrieval.unit(features), *arguments, **settings)


@pytest.mark.parametrize("levels", [0, 2])
def test_average_precision_is_its_definition(levels):
    features, labels = make_data(levels=levels)
    queries, gallery = np.arange(15), np.arange(10, 40)  # five are in both
    found = _retrieve(features, labels, queries, gallery, ks=())
    vectors = retrieval.unit(features)
    expected = []
    for query in queries:
        others = gallery[gallery != query]
        scores = vectors[others] @ vectors[query]
        right = labels[others] == labels[query]
        expected.append(plain_average_precision(scores, right))
    assert found.n_queries == len(queries)
    np.testing.assert_allclose(found.map, np.mean(expected), rtol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_precision_is_the_mean_over_orders_of_ties(k):
    features = np.array([[1, 0], [1, 0], [1, 0], [1, 1], [0, 1], [0, 1]], np.float32)
    labels = np.array([0, 0, 1, 0, 1, 0])
    queries, gallery = np.array([0]), np.arange(6)
    found = _retrieve(features, labels, queries, gallery, ks=(k,))
    scores = (retrieval.unit(features) @ retrieval.unit(features)[0])[1:]
    expected = plain_precision(scores, labels[1:] == 0, k)
    np.testing.assert_allclose(found.precision[k], expected, rtol=1e-9)


def test_the_order_of_the_images_changes_nothing():
    features, labels = make_data(levels=2)
    queries, gallery = np.arange(20), np.arange(40)
    found = _retrieve(features, labels, queries, gallery)
    shuffled = np.random.default_rng(1).permutation(40)
    again = _retrieve(features, labels, queries[::-1], shuffled)
    np.testing.assert_allclose(found.map, again.map, rtol=1e-9)
    for k, value in found.precision.items():
        np.testing.assert_allclose(value, again.precision[k], rtol=1e-9)


def test_a_query_does_not_find_itself():
    features = np.array([[1, 0], [0, 1], [1, 0.1]], np.float32)
    labels = np.array([0, 0, 1])
    found = _retrieve(features, labels, np.array([0]), np.arange(3), ks=(1,))
    assert found.precision[1] == 0  # the nearest but itself is of the other class
    assert found.map == 0.5
    assert found.chance == 0.5


def test_first_ranks_and_the_first_200_are_their_definitions(monkeypatch):
    features, labels = make_data()
    monkeypatch.setattr(retrieval, "TOP", 7)
    queries, gallery = np.arange(0, 40, 3), np.arange(5, 40)
    found = _retrieve(features, labels, queries, gallery)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    first, at_top = [], []
    for query in found.queries:
        others = gallery[gallery != query]
        similarity = units[others] @ units[query]
        right = labels[others] == labels[query]
        ranks = np.array([(similarity >= s).sum() for s in similarity[right]])
        precision = [(right & (similarity >= s)).sum() for s in similarity[right]]
        at_top.append((precision / ranks)[ranks <= 7].sum() / min(right.sum(), 7))
        first.append(ranks.min())
    first = np.array(first)
    assert found.mrr == pytest.approx((1 / first).mean())
    assert found.recall == {k: pytest.approx((first <= k).mean()) for k in (1, 5)}
    assert found.map_at_top == pytest.approx(np.mean(at_top))


def test_perfect_and_useless_features():
    labels = np.repeat([0, 1, 2], 10)
    perfect = np.eye(3, dtype=np.float32)[labels]
    everyone = np.arange(30)
    found = _retrieve(perfect, labels, everyone, everyone)
    assert found.map == 1
    assert [found.precision[k] for k in (1, 5, 10)] == [1, 1, pytest.approx(0.9)]
    useless = np.ones((30, 4), np.float32)
    found = _retrieve(useless, labels, everyone, everyone)
    assert found.map == pytest.approx(found.chance) == pytest.approx(9 / 29)
    assert found.precision[5] == pytest.approx(9 / 29)


def test_length_does_not_matter_to_retrieval():
    features, labels = make_data()
    lengths = np.random.default_rng(2).uniform(0.5, 2, (40, 1)).astype(np.float32)
    everyone = np.arange(40)
    one = _retrieve(features, labels, everyone, everyone)
    other = _retrieve(features * lengths, labels, everyone, everyone)
    assert one.map == pytest.approx(other.map, abs=1e-4)


def test_a_feature_of_length_zero_is_as_far_from_everything():
    features = np.array([[0, 0], [1, 0], [-1, 0]], np.float32)
    np.testing.assert_array_equal(retrieval.unit(features)[0], 0)
    labels = np.array([0, 0, 1])
    found = _retrieve(features, labels, np.array([0]), np.arange(3))
    assert found.map == 0.5  # both at similarity 0: one rank


def test_queries_without_an_image_of_their_class_do_not_count():
    features, _ = make_data(n=6)
    labels = np.array([0, 0, 1, 2, 2, 2])
    found = _retrieve(features, labels, np.array([2]), np.arange(6))
    assert found.n_queries == 0
    assert np.isnan(found.map)
    found = _retrieve(features, labels, np.array([0, 2]), np.arange(6))
    assert found.n_queries == 1
    assert np.isnan(found.precision[10])  # the gallery has five


def test_blocks_change_nothing(monkeypatch):
    features, labels = make_data()
    everyone = np.arange(40)
    whole = _retrieve(features, labels, everyone, everyone)
    monkeypatch.setattr(retrieval, "_BLOCK", 100)
    again = _retrieve(features, labels, everyone, everyone)
    assert whole.map == pytest.approx(again.map)
    assert whole.precision == pytest.approx(again.precision, nan_ok=True)
    assert whole.recall == again.recall
    np.testing.assert_array_equal(whole.queries, again.queries)


def test_shorter_counts_pairs():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, 20), rng.integers(1, 6, 30)
    pairs = [(a < b) + (a == b) / 2 for a in one for b in other]
    assert retrieval.shorter(one, other) == pytest.approx(np.mean(pairs))
    assert retrieval.shorter(one, other) + retrieval.shorter(
        other, one
    ) == pytest.approx(1)


def test_rows_are_of_every_pair_of_domains():
    features, labels = make_data()
    domains, names = np.repeat([0, 2], 20), ("photo", "empty", "sketch")
    features[20:] *= 3
    between = retrieval.between(features, labels, domains, names)
    assert list(between) == list(itertools.product(("photo", "sketch"), repeat=2))
    rows = [*retrieval.retrieval_rows(between)]
    json.dumps(rows, allow_nan=False)
    cross = next(r for r in rows if (r["query"], r["gallery"]) == ("photo", "sketch"))
    found = _retrieve(features, labels, np.arange(20), np.arange(20, 40))
    assert cross["map"] == found.map == pytest.approx(found.scores.mean())
    assert cross["low"] < cross["map"] < cross["high"]
    assert cross["precision_at_5"] == found.precision[5]
    assert cross["n_queries"] == len(found.scores)


def test_rows_of_norms_compare_with_photographs():
    features, _ = make_data()
    domains, names = np.repeat([0, 2], 20), ("photo", "empty", "sketch")
    features[20:] *= 3
    rows = [*retrieval.norm_rows(features, domains, names, "photo")]
    json.dumps(rows, allow_nan=False)
    norms = {r["domain"]: r for r in rows if r["measure"] == "norm"}
    lengths = np.linalg.norm(features, axis=1)
    assert norms["photo"]["mean"] == pytest.approx(lengths[:20].mean())
    assert norms["sketch"]["quartile_3"] == pytest.approx(
        np.quantile(lengths[20:], 0.75)
    )
    assert norms["photo"]["n"] == 20
    assert norms["photo"]["relative"] + norms["sketch"]["relative"] == pytest.approx(2)
    assert norms["photo"]["ratio"] == 1
    assert norms["sketch"]["reference"] == "photo"
    expected = lengths[20:].mean() / lengths[:20].mean()
    assert norms["sketch"]["ratio"] == pytest.approx(expected)
    less = {
        (r["domain"], r["than"]): r["probability"]
        for r in rows
        if r["measure"] == "norm_shorter"
    }
    assert less["photo", "sketch"] > 0.9
    assert sum(less.values()) == pytest.approx(1)
    others = retrieval.norm_rows(features, domains, ("caltech", "", "sun"))
    assert not any("ratio" in row for row in others)


def test_what_cannot_be_searched_is_refused():
    features, labels = make_data()
    with pytest.raises(ValueError, match="40 features, 39 labels"):
        retrieval.between(features, labels[1:], labels, ("a", "b", "c"))
    features[3, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        retrieval.between(features, labels, labels, ("a", "b", "c"))


def test_images_that_nothing_can_be_searched_for_in_are_refused():
    with pytest.raises(ValueError, match="mine shows one class, dog: retrieval needs"):
        retrieval.check(np.array(["dog"] * 3), "mine")
    with pytest.raises(ValueError, match="mine has one image of each of its 3 classes"):
        retrieval.check(np.array(["cat", "dog", "emu"]), "mine")
    retrieval.check(np.array(["cat", "dog", "dog"]), "mine")
