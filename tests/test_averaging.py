"""Averages of weights: what each rate adds up to, and SWAD's window."""

import jax
import numpy as np
import pytest

from jigsaw_shape import config as config_lib
from jigsaw_shape.training import averaging
from jigsaw_shape.training.swad import window
from jigsaw_shape.training.timetable import run_length

WEIGHTS = np.random.default_rng(0).normal(size=(20, 3))  # after each of 20 steps
FIRST = np.full(3, 9.0)


def _averages(rates):
    """Returns the average after each step."""
    average, found = FIRST, []
    for rate, weights in zip(rates, WEIGHTS, strict=True):
        average = average + rate * (weights - average)
        found.append(average)
    return np.array(found)


def _rates(n_steps=20, steps_per_epoch=4, evaluate_at=(5, 12, 20), **fields):
    config = config_lib.default_config()
    config.averaging.update(fields)
    return averaging.rates(config, n_steps, steps_per_epoch, evaluate_at)


def test_sma_is_the_mean_of_all_from_its_start():
    averages = _averages(_rates(name="sma", start=0.25))
    np.testing.assert_allclose(averages[:5], WEIGHTS[:5], rtol=1e-6)
    for step in range(5, 20):
        expected = WEIGHTS[5 : step + 1].mean(0)
        np.testing.assert_allclose(averages[step], expected, atol=1e-6)


@pytest.mark.parametrize(("every", "length"), [(0, 4), (3, 3)])
def test_swa_is_the_mean_of_the_ends_of_periods(every, length):
    averages = _averages(_rates(name="swa", start=0.25, every=every))
    first = -(-5 // length) * length  # the first of them from step 5 on
    chosen = WEIGHTS[first - 1 :: length]
    for i in range(20):
        n = max(i + 1 - first, 0) // length + 1
        expected = chosen[:n].mean(0) if i >= first else WEIGHTS[i]
        np.testing.assert_allclose(averages[i], expected, atol=1e-6)


def test_swa_from_the_beginning_leaves_out_the_first_weights():
    averages = _averages(_rates(name="swa", start=0.0, every=4))
    np.testing.assert_allclose(averages[:4], WEIGHTS[:4], atol=1e-6)
    np.testing.assert_allclose(averages[19], WEIGHTS[3::4].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"epochs": 3, "averaging.start": 0.75}, "1 of 12 steps, one in 4"),
        ({"epochs": 4, "averaging.start": 0.75}, ""),
        ({"epochs": 1}, "1 of 4 steps, one in 4 from step 4"),
        ({"epochs": 2}, ""),
        ({"steps": 3}, "0 of 3 steps, one in 4 from step 4"),
        ({"steps": 11, "averaging.start": 0.5}, "1 of 11 steps, one in 4"),
        ({"steps": 11, "averaging.start": 0.5, "averaging.every": 5}, "one in 5"),
        ({"steps": 11, "averaging.start": 0.5, "averaging.every": 3}, ""),
    ],
)
def test_a_run_too_short_for_swa_is_refused(fields, refused):
    config = config_lib.default_config()
    config.epochs, config.averaging.name = 0, "swa"
    config.update_from_flattened_dict(fields)
    if not refused:
        length = run_length(config, 4 * config.data.batch_size)
        rates = averaging.rates(config, length.n_steps, 4, length.evaluate_at)
        assert ((rates > 0) & (rates < 1)).any()
        return
    with pytest.raises(ValueError, match=r"averaging\.start=") as refusal:
        run_length(config, 4 * config.data.batch_size)
    assert refused in str(refusal.value)
    assert f"--config.{next(iter(fields))}=" in str(refusal.value)


def test_segments_are_means_between_evaluations():
    averages = _averages(_rates(name="segments"))
    for first, last in ((0, 5), (5, 12), (12, 20)):
        expected = WEIGHTS[first:last].mean(0)
        np.testing.assert_allclose(averages[last - 1], expected, atol=1e-6)


def test_nothing_is_averaged_unless_asked():
    config = config_lib.default_config()
    assert averaging.make_average(config) is None
    config.optim.ema_decay = 0.9
    assert averaging.make_average(config) == averaging.Average()
    rates = averaging.rates(config, 10, 5, {10})
    np.testing.assert_allclose(rates, np.full(10, 0.1), rtol=1e-6)


def _tree(encoder, head, mean):
    return {
        "params": {"encoder": {"w": np.full(2, encoder)}, "head": np.full(2, head)},
        "batch_stats": {
            "encoder": {"mean": np.full(2, mean)},
            "tiles": {"mean": np.full(2, mean)},
        },
    }


def test_interpolation_moves_the_encoder_and_keeps_the_heads():
    first, trained = _tree(0.0, 1.0, 4.0), _tree(8.0, 5.0, 0.0)
    found = averaging.interpolate(averaging.first_encoder(first), trained, 0.75)
    jax.tree.map(np.testing.assert_array_equal, found, _tree(6.0, 5.0, 1.0))


@pytest.mark.parametrize("name", ["", "sma"])
def test_what_is_evaluated_lies_between_the_first_weights_and_their_average(name):
    config = config_lib.default_config()
    config.averaging.update(name=name, trained=0.25)
    average, rates = averaging.make_average(config), averaging.rates(config, 4, 2, {4})
    first = evaluated = _tree(1.0, 1.0, 1.0)
    for step in range(4):
        now = _tree(float(step), 10.0 + step, 2.0 * step)
        kept = averaging.first_encoder(first)
        evaluated = average.after(evaluated, now, kept, rates[step])
    end = _tree(1.5, 11.5, 3.0) if name else _tree(3.0, 13.0, 6.0)
    expected = averaging.interpolate(first, end, 0.25)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), evaluated, expected
    )


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([9, 5, 1, 2, 2, 3, 3, 3, 3, 3, 3], (2, 4)),  # overfits at once
        ([9, 5, 1, 1, 1, 1.2, 1.25, 2, 2, 2, 2, 2, 2, 2], (2, 6)),
        ([9, 5, 1, 1, 1, 2, 2, 2, 2, 2, 1, 2], (2, 11)),  # never six in a row
        ([9, 8, 7, 6, 5, 4], (3, 5)),  # falls to the end
        ([9, 8, 3, 4, 5], (2, 4)),
        ([1.0], (0, 0)),
    ],
)
def test_swad_s_window_is_that_of_its_algorithm(losses, expected):
    assert window(losses) == expected
    # The same, as algorithm 1 states it, a loss at a time.
    n_s, n_e, start, limit = 3, 6, None, None
    for i in range(len(losses)):
        if limit is None:
            last = losses[max(i - n_s + 1, 0) : i + 1]
            if len(last) == n_s and last[0] == min(last):
                start, limit = i - n_s + 1, 1.3 * np.mean(last)
        elif i + 1 >= n_e and min(losses[i - n_e + 1 : i + 1]) > limit:
            assert expected == (start, i - n_e)
            return
    if limit is not None:
        assert expected == (start, len(losses) - 1)
