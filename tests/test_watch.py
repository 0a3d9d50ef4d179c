"""The rows of a run: its speed, and how much of the time it waited for images."""

import itertools
import time
from concurrent.futures import Future
from unittest import mock

import numpy as np
import pytest
from clu import metrics

from jigsaw_shape import config as config_lib
from jigsaw_shape.training.timetable import RunLength, make_timetable
from jigsaw_shape.training.watch import NonFiniteError, Watch


class _Over:
    """Stands for the thread that waits for steps: each is over at a time, or never."""

    def __init__(self, ready_s):
        self.ready_s = ready_s

    def submit(self, function, means):
        del function, means
        future = Future()
        if self.ready_s is not None:
            future.set_result(self.ready_s)
        return future


def _mean(total):
    return {"loss/total": metrics.Average(np.float64(total), np.float64(1))}


def _watch():
    config = config_lib.default_config()
    config.log.every_steps = 4
    config.data.batch_size = 8
    length = RunLength(n_steps=8, steps_per_epoch=4, evaluate_at=frozenset())
    logbook = mock.Mock()
    timetable = make_timetable(config, length)
    return Watch(config, length, timetable, logbook, mock.Mock(), 0), logbook


@pytest.mark.parametrize(("ready_s", "waited_s"), [(0, 30), (None, 0), (24, 26)])
def test_a_wait_counts_from_when_the_devices_have_nothing_to_do(
    ready_s, waited_s, monkeypatch
):
    """Each batch takes 10 s; the waits are from 20 to 30, 30 to 40 and 40 to 50."""
    watch, logbook = _watch()
    watch._waiter = _Over(ready_s)
    clock = itertools.count(1)
    now = 10.0

    def batches():
        nonlocal now
        for _ in range(4):
            now += 10
            yield next(clock)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    for step in watch.waiting_for(batches()):
        watch.add(step, _mean(step))
    kind, step, values = logbook.write.call_args.args
    assert (kind, step, values["loss/total"]) == ("train", 4, 2.5)
    assert values["images_per_s"] == 3 * 8 / 30
    assert values["input_wait"] == waited_s / 30


def test_a_step_s_end_is_noted_by_the_thread_that_waits_for_it():
    watch, _ = _watch()
    watch.add(1, _mean(1.0))
    assert watch._ready.result() <= time.perf_counter()


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step():
    watch, _ = _watch()
    for step, total in enumerate((1.0, float("nan"), 1.0), start=1):
        watch.add(step, _mean(total))
    with pytest.raises(NonFiniteError, match=r"loss/total is nan at step 2: lower"):
        watch.flush()
