"""Bootstrap intervals against known distributions."""

import math

import numpy as np
import pytest

from jigsaw_shape.measures import intervals


def test_every_resample_draws_as_many_images_as_there_are():
    chunks = list(intervals.weights(37, seed=3, n_resamples=450))
    counts = np.concatenate(chunks)
    assert counts.shape == (450, 37)
    assert (counts.sum(1) == 37).all()
    assert counts.mean() == 1
    again = np.concatenate(list(intervals.weights(37, seed=3, n_resamples=450)))
    assert (counts == again).all()
    assert (counts != np.concatenate(list(intervals.weights(37, seed=4)))[:450]).any()


def test_the_interval_of_a_share_is_the_binomial_one():
    hits = np.arange(1000) < 300
    low, high = intervals.interval(hits, np.ones(1000))
    half = 1.96 * math.sqrt(0.3 * 0.7 / 1000)
    assert (low, high) == pytest.approx((0.3 - half, 0.3 + half), abs=3e-3)


def test_the_interval_of_a_ratio_counts_only_what_is_below():
    above = np.array([1, 0] * 50 + [0] * 900)
    below = np.array([1, 1] * 50 + [0] * 900)
    low, high = intervals.interval(above, below)
    half = 1.96 * math.sqrt(0.25 / 100)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.015)


def test_few_images_that_agree_are_not_certain():
    # With a true share of 0.3363 none of nine is right once in forty times.
    none_right = (1 - 0.3363) ** 9
    assert none_right == pytest.approx(0.025, abs=1e-4)
    low, high = intervals.interval(np.zeros(9), np.ones(9))
    assert (low, high) == pytest.approx((0, 0.3363), abs=1e-4)
    low, high = intervals.interval(np.ones(9), np.ones(9))
    assert (low, high) == pytest.approx((1 - 0.3363, 1), abs=1e-4)
    # Images that do not count make it no surer; trials of one image are one image.
    same = intervals.interval([0] * 10, [5] * 9 + [0])
    assert same == intervals.interval([0] * 9, [1] * 9)


def test_nothing_has_no_interval():
    assert all(map(math.isnan, intervals.interval(np.zeros(9), np.zeros(9))))
    assert all(map(math.isnan, intervals.interval([], [])))


def test_a_paired_difference_is_tighter_than_two_intervals():
    rng = np.random.default_rng(0)
    hard = rng.random(500)
    first, second = hard < 0.6, hard < 0.5
    ones = np.ones(500)
    mean, low, high = intervals.difference((first, ones), (second, ones))
    assert mean == pytest.approx(first.mean() - second.mean())
    assert low < mean < high
    apart = intervals.interval(first, ones)
    assert high - low < 0.8 * (apart[1] - apart[0])
    assert intervals.difference((first, ones), (first, ones)) == (0, 0, 0)


def test_a_difference_of_ratios_is_of_the_ratios():
    first, second = (np.array([1, 0, 1]), np.array([1, 1, 1])), ([0, 1, 0], [0, 1, 1])
    gap, low, high = intervals.difference(first, second)
    assert gap == pytest.approx(2 / 3 - 1 / 2)
    assert low < gap < high
    assert math.isnan(intervals.difference(first, ([0] * 3, [0] * 3))[0])
