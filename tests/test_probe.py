"""Probes of frozen features against plain NumPy and scikit-learn statements."""

import numpy as np
import pytest
from scipy import optimize
from scipy.special import logsumexp

from jigsaw_shape.measures import probe

F = 6


@pytest.fixture(scope="module")
def data():
    """Features of three overlapping classes: fitted on, held out, asked."""
    rng = np.random.default_rng(0)
    labels = np.tile(["a", "b", "c"], 40)
    means = {name: rng.normal(size=F) for name in "abc"}
    features = np.stack([means[name] + rng.normal(size=F) for name in labels])
    features = np.float32(features * [1, 1, 1, 1, 1, 50] + 3)  # one dimension is long
    cut = np.split(np.arange(120), [60, 90])
    return [(features[part], labels[part]) for part in cut]


def test_neighbours_vote_by_similarity(data):
    (fit, labels), _, (asked, _) = data
    answers = probe.nearest_neighbours(fit, labels, asked)
    for one, answer in zip(asked, answers, strict=True):
        cosine = fit @ one / np.linalg.norm(fit, axis=1) / np.linalg.norm(one)
        nearest = np.argsort(-cosine)[: probe.N_NEIGHBOURS]
        votes = {
            name: np.exp(cosine[nearest[labels[nearest] == name]] / 0.07).sum()
            for name in "abc"
        }
        assert answer == max(votes, key=votes.get)
    few = probe.nearest_neighbours(fit[:2], labels[:2], asked)  # fewer than k
    assert set(few) <= {"a", "b"}


def test_the_linear_probe_is_the_regression_that_held_out_images_choose(data):
    (fit, labels), (held, held_labels), (asked, _) = data
    found = probe.linear_probe(fit, labels, held, held_labels, asked)
    middle, scale = fit.mean(0), fit.std(0)
    names = np.unique(labels)
    target = labels[:, None] == names

    def logits(weights, x):
        weights = weights.reshape(F + 1, 3)
        return (x - middle) / scale @ weights[:F] + weights[F]

    def answers(strength, x):
        def loss(weights):
            scores = logits(weights, fit)
            likelihood = (scores * target).sum() - logsumexp(scores, 1).sum()
            penalty = (weights.reshape(F + 1, 3)[:F] ** 2).sum() / 2
            return penalty - strength * likelihood

        weights = optimize.minimize(loss, np.zeros(3 * (F + 1))).x
        return names[logits(weights, x).argmax(1)]

    right = {c: np.mean(answers(c, held) == held_labels) for c in probe.STRENGTHS}
    assert right[found.strength] == pytest.approx(max(right.values()), abs=0.04)
    np.testing.assert_array_equal(found.answers, answers(found.strength, asked))


def test_without_held_out_images_the_middle_strength_is_taken(data):
    (fit, labels), _, (asked, _) = data
    found = probe.linear_probe(fit, labels, fit[:0], labels[:0], asked)
    assert found.strength == probe.MIDDLE_STRENGTH


def test_of_equal_strengths_the_strongest_penalty_is_chosen():
    labels = np.repeat(["a", "b"], 8)
    features = np.float32(labels == "a")[:, None] + np.zeros(3, np.float32)
    found = probe.linear_probe(features, labels, features, labels, features)
    assert found.strength == probe.STRENGTHS[0]
    assert (found.answers == labels).all()


def test_few_images_answer_by_their_means(data):
    (fit, labels), _, (asked, wanted) = data
    answers = probe.few_shot(fit, labels, asked, 5, seed=3)
    assert answers.shape == (probe.N_DRAWS, len(asked))
    np.testing.assert_array_equal(
        answers, probe.few_shot(fit, labels, asked, 5, seed=3)
    )
    assert (answers != probe.few_shot(fit, labels, asked, 5, seed=4)).any()
    # With all images of a class each draw is the same, whatever their order.
    every = probe.few_shot(fit, labels, asked, 20)
    lengths = [np.linalg.norm(x - fit.mean(0), axis=1) for x in (fit, asked)]
    centred = (fit - fit.mean(0)) / lengths[0][:, None]
    unit = (asked - fit.mean(0)) / lengths[1][:, None]
    means = np.stack([centred[labels == name].mean(0) for name in "abc"])
    distance = np.linalg.norm(unit[:, None] - means, axis=-1)
    expected = np.array(list("abc"))[distance.argmin(1)]
    np.testing.assert_array_equal(every, np.tile(expected, (probe.N_DRAWS, 1)))
    accuracy = [
        (probe.few_shot(fit[:, :5], labels, asked[:, :5], n) == wanted).mean()
        for n in (1, 20)
    ]
    assert accuracy[0] < accuracy[1]
    assert probe.few_shot(fit, labels, asked, 21) is None


def test_parts_divide_each_class_of_each_domain():
    labels = np.tile(["a", "b"], 100)
    domains = np.repeat(["source", "target"], 100)
    trained = (domains == "source") & (np.arange(200) < 80)
    found = probe.parts(labels, domains, trained, seed=1)
    assert (found[trained] == probe.FIT).all()
    for name in "ab":
        of_source = found[(domains == "source") & ~trained & (labels == name)]
        of_target = found[(domains == "target") & (labels == name)]
        counts = [
            [np.sum(of == p) for p in (probe.FIT, probe.CHOOSE, probe.TEST)]
            for of in (of_source, of_target)
        ]
        assert counts == [[0, 5, 5], [30, 10, 10]]
    assert (found != probe.parts(labels, domains, trained, seed=2)).any()
