"""The 16 categories, against the paper's list and a plain statement of the mean."""

import json

import numpy as np
import pytest

from jigsaw_shape.measures import imagenet16


def test_the_indices_are_the_published_ones(shared_data):
    published = json.loads(shared_data("imagenet16_indices.json").read_text())
    found = {name: list(indices) for name, indices in imagenet16.INDICES.items()}
    assert found == published


def test_every_index_is_of_one_category_and_there_are_207():
    everything = [i for indices in imagenet16.INDICES.values() for i in indices]
    assert len(everything) == len(set(everything)) == 207
    assert set(everything) <= set(range(imagenet16.N_CLASSES))
    assert list(imagenet16.CATEGORIES) == sorted(imagenet16.CATEGORIES)


def test_a_category_scores_the_mean_of_its_probabilities():
    logits = np.random.default_rng(0).normal(0, 3, (50, 1000)).astype(np.float32)
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(1, keepdims=True)
    expected = [
        probabilities[:, list(indices)].mean(1)
        for indices in imagenet16.INDICES.values()
    ]
    scores = imagenet16.category_scores(logits)
    assert scores.dtype == np.float32
    assert np.exp(scores) == pytest.approx(np.stack(expected, 1), rel=1e-5)
    assert imagenet16.category_scores(probabilities) == pytest.approx(scores, rel=1e-5)


def test_the_mean_decides_and_not_the_sum_or_the_largest():
    # A hundred faint dogs together outweigh one knife, whose mean is larger.
    probabilities = np.full((1, 1000), 1e-6)
    dogs = list(imagenet16.INDICES["dog"])
    probabilities[0, dogs] = 0.6 / len(dogs)
    probabilities[0, imagenet16.INDICES["knife"][0]] = 0.1
    probabilities[0, 999] = 1 - probabilities.sum()
    scores = imagenet16.category_scores(probabilities)[0]
    assert imagenet16.CATEGORIES[scores.argmax()] == "knife"


def test_huge_logits_stay_numbers():
    logits = np.zeros((1, 1000), np.float32)
    logits[0, 404] = 5e4
    scores = imagenet16.category_scores(logits)
    assert np.isfinite(scores).all()
    assert scores[0].argmax() == 0
