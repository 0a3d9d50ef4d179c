"""What happens in a run, as rows: losses, speed, waits and evaluations."""

import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor

import jax


class NonFiniteError(RuntimeError):
    """A loss, the gradient or the weights are infinite or not a number."""


class Watch:
    """Collects the means of steps, checks that they are finite, and writes rows."""

    def __init__(self, config, length, timetable, logbook, progress, first):
        """Begins after step `first`."""
        self._config, self._length = config, length
        self._logbook, self._progress = logbook, progress
        self._timetable = timetable
        self._pending = []
        self._domain_accuracy = {}  # of the latest row
        self._since = None  # unknown until the first step has compiled
        self._waited_s = 0.0  # since then
        self._ready = None  # becomes the time at which the latest step is over
        self._waiter = ThreadPoolExecutor(1)
        progress.start(first, length.n_steps)

    def waiting_for(self, batches):
        """Yields batches; counts how long the devices wait, with nothing to do."""
        batches = iter(batches)
        while True:
            began_s = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            now_s = time.perf_counter()
            if self._ready is not None and self._ready.done():
                self._waited_s += now_s - max(began_s, self._ready.result())
            yield batch

    def add(self, step, means):
        """Takes the means of a step, which may still be under way."""
        self._pending.append((step, means))
        self._ready = self._waiter.submit(_when_ready, means)
        if self._since is None:
            jax.block_until_ready(means)
            self._start_clock(step)
        if divides(self._config.log.every_steps, step):
            self.flush()

    def flush(self):
        """Writes what is pending: a row, and the progress bar; checks the losses."""
        if not self._pending:
            return
        fetched = [(step, jax.device_get(means)) for step, means in self._pending]
        self._pending = []
        for step, means in fetched:
            for name, mean in means.items():
                checked = name.startswith(("loss/", "norm/"))
                if checked and not math.isfinite(mean.total):
                    raise NonFiniteError(
                        f"{name} is {float(mean.total)} at step {step}: lower "
                        f"--config.optim.lr={self._config.optim.lr} and use a new "
                        "--workdir; the checkpoints here are from before that step"
                    )
        step = fetched[-1][0]
        merged = fetched[0][1]
        for _, means in fetched[1:]:
            merged = {name: merged[name].merge(means[name]) for name in merged}
        values = {
            name: float(mean.compute())
            for name, mean in merged.items()
            if mean.count > 0  # a window may hold no shuffled image
        }
        values["epoch"] = step / self._length.steps_per_epoch
        values["lr"] = float(f"{self._timetable.at(step - 1).learning_rate:.6g}")
        began_step, began_s = self._since
        if step > began_step:
            elapsed_s = time.perf_counter() - began_s
            images = (step - began_step) * self._config.data.batch_size
            values["images_per_s"] = images / elapsed_s
            values["input_wait"] = self._waited_s / elapsed_s
        self._start_clock(step)
        if "accuracy/domain" in values:
            self._domain_accuracy = {"train/domain_accuracy": values["accuracy/domain"]}
        self._logbook.write("train", step, values)
        self._progress.trained(step, values)

    def evaluated(self, step, measures):
        """Writes the row of an evaluation, and its line."""
        epoch = step / self._length.steps_per_epoch
        measures = {**measures, **self._domain_accuracy}
        self._logbook.write("eval", step, {"epoch": epoch, **measures})
        self._progress.evaluated(step, epoch, measures)

    def resume(self):
        """Restarts the clock of the training speed after an evaluation or a save."""
        self._start_clock(self._since[0])

    def _start_clock(self, step):
        self._since, self._waited_s = (step, time.perf_counter()), 0.0


def _when_ready(means) -> float:
    """Waits for a step, and returns when it is over; an error shows in `flush`."""
    with contextlib.suppress(Exception):
        jax.block_until_ready(means)
    return time.perf_counter()


def divides(every: int, step: int) -> bool:
    """Returns whether `step` is a multiple of `every`, where that is above 0."""
    return every > 0 and step % every == 0
