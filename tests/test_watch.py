"""The rows of a run: its speed, and how much of the time it waited for images."""

import itertools
import time
from unittest import mock

import numpy as np
import pytest
from clu import metrics

from jigsaw_shape import config as config_lib
from jigsaw_shape.training.learner import RunLength
from jigsaw_shape.training.watch import NonFiniteError, Watch


class _Busy(np.float64):
    """A number that a device has not yet computed."""

    def is_ready(self):
        return False


class _Ready(np.float64):
    """A number that is there."""

    def is_ready(self):
        return True


def _watch():
    config = config_lib.default_config()
    config.log.every_steps = 4
    config.data.batch_size = 8
    length = RunLength(n_steps=8, steps_per_epoch=4, evaluate_at=frozenset())
    logbook = mock.Mock()
    return Watch(config, length, logbook, mock.Mock(), 0), logbook


@pytest.mark.parametrize(("number", "waited_s"), [(_Ready, 3), (_Busy, 0)])
def test_a_wait_counts_where_the_devices_ran_dry(number, waited_s, monkeypatch):
    """Every look at this clock is a second later than the one before."""
    watch, logbook = _watch()
    seconds = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(seconds)))
    for step, _ in enumerate(watch.waiting_for(range(4)), start=1):
        means = {"loss/total": metrics.Average(number(step), number(1))}
        watch.add(step, means)
    kind, step, values = logbook.write.call_args.args
    assert (kind, step, values["loss/total"]) == ("train", 4, 2.5)
    elapsed_s = 3 * 8 / values["images_per_s"]
    assert values["input_wait"] == pytest.approx(waited_s / elapsed_s)


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step():
    watch, _ = _watch()
    for step, total in enumerate((1.0, float("nan"), 1.0), start=1):
        watch.add(step, {"loss/total": metrics.Average(_Ready(total), _Ready(1))})
    with pytest.raises(NonFiniteError, match=r"loss/total is nan at step 2: lower"):
        watch.flush()
