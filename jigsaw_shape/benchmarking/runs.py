"""Runs one after another, or several at once, each in a process of its own.

A run that crashes ends alone and frees its memory. Several callers may share a
directory: a lock in each run's directory keeps two of them from the same run.
"""

import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console

from jigsaw_shape.runs import benchmark_files, file_names, rows
from jigsaw_shape.runs.benchmark_files import Run
from jigsaw_shape.system import buckets, command_line
from jigsaw_shape.system.lock import lock

_POLL_S = 0.1
_SHOW_EVERY_S = 2.0
_MEASURE_EVERY_S = 1.0  # it reads all rows of each run
_TAIL_BYTES = 4000
# Else JAX writes a note on tracebacks below the error, which should be the last line.
_UNFILTERED = {"JAX_TRACEBACK_FILTERING": "off"}
_DEVICE_SHARE = 0.9  # of an accelerator's memory, for all runs together
_ENOUGH_ROWS = 3  # with a speed, to know how fast a run is

OUTCOMES = (FINISHED, FAILED, STOPPED, ELSEWHERE) = (
    "finished",
    "failed",
    "stopped or not begun",
    "being run by another process",
)


def run_all(
    runs: Sequence[Run],
    out: pathlib.Path,
    command: Callable[[Run], list[str]],
    console: Console,
    parallel: int = 1,
) -> dict[str, dict[str, str]]:
    """Runs what is missing; returns for each of `OUTCOMES` names and what to say.

    SIGTERM or Ctrl-C stops the current runs, which save themselves, and all that would
    follow; a second one kills them.

    Args:
      runs: In order.
      out: The benchmark's directory.
      command: The command of a run.
      console: Where a line is printed for each run.
      parallel: How many runs share this machine at once. The first begins alone, until
        its speed is known; a line says what the others beside it gained.
    """
    tally = {outcome: {} for outcome in OUTCOMES}
    stop = _Stop()

    def work(i, run):
        if stop.came:
            tally[STOPPED][run.name] = ""
            return
        label = f"[{i}/{len(runs)}] {describe(run)}"
        where = out / run.name, console, stop, label, parallel
        try:
            outcome, words = _run_one(run, command, *where)
        except (OSError, ValueError) as error:  # its directory, not its training
            outcome, words = FAILED, f"FAILED: {error}"
        console.print(f"{label}: {words}", soft_wrap=True)
        tally[outcome][run.name] = words

    missing = [r for r in runs if not benchmark_files.is_finished(out / r.name)]
    n_beside = len(missing[:parallel])
    with stop, ThreadPoolExecutor(parallel) as pool:
        futures = {}
        for i, run in enumerate(runs, 1):
            futures[run.name] = pool.submit(work, i, run)
            if n_beside > 1 and run is missing[0]:
                alone = _speeds_of_first([out / run.name], [futures[run.name]])
        if n_beside > 1:
            names = [run.name for run in missing[:parallel]]
            together = _speeds_of_first(
                [out / name for name in names], [futures[name] for name in names]
            )
            console.print(_gain(alone, together, n_beside))
        for future in futures.values():
            future.result()
    return tally


def _speeds_of_first(directories, futures) -> list[float]:
    """Returns images a second of the first of some runs while all of them train.

    Waits until they are known, or one of the runs has ended. Rows from before do not
    count.
    """
    first, *others = directories
    begun = [len(_speeds(directory)) for directory in directories]
    start, found = begun[0], []

    def all_train():
        return not any(future.done() for future in futures)

    while others and all_train():
        counts = [len(_speeds(directory)) for directory in directories]
        # The row that was being measured when the last one began is of both.
        start = counts[0] + 1
        if all(n > before for n, before in zip(counts, begun, strict=True)):
            break
        time.sleep(_MEASURE_EVERY_S)
    while all_train() and len(found) < _ENOUGH_ROWS:
        found = _speeds(first)[start:]
        time.sleep(_MEASURE_EVERY_S)
    return found


def _speeds(directory: pathlib.Path) -> list[float]:
    """Returns the images a second of a run's rows of training."""
    speeds = (row.get("images_per_s") for row in rows.read(directory))
    return [speed for speed in speeds if speed is not None]


def _gain(alone: Sequence[float], together: Sequence[float], parallel: int) -> str:
    """Returns what several runs at once gained, by the speed of one of them.

    Args:
      alone: Images a second of its rows before others ran beside it.
      together: The same while all of them trained.
      parallel: How many ran at once.
    """
    if not alone or not together:
        return f"too short to tell whether {parallel} runs at once are faster"
    gain = parallel * statistics.median(together) / statistics.median(alone)
    advice = "" if gain > 1 else ": slower than one after the other, without --parallel"
    return f"{parallel} runs at once do {gain:.2f} times the work of one alone{advice}"


def describe(run: Run) -> str:
    """Returns a run in words."""
    trial = "" if run.trial is None else f", trial {run.trial}"
    purpose = f", to choose for {run.validates}" if run.validates else ""
    return f"{run.preset} on {run.target}, seed {run.seed}{trial}{purpose}"


def _run_one(
    run, command, directory, console, stop, label, parallel
) -> tuple[str, str]:
    """Returns the outcome of a run and words about it."""
    if benchmark_files.is_finished(directory):
        buckets.complete(directory)
        return FINISHED, "finished before"
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(directory / benchmark_files.LOCK, wait=False))
            # A run whose benchmark was killed may go on by itself.
            with lock(directory / file_names.LOCK, wait=False):
                pass
        except BlockingIOError:
            return ELSEWHERE, "another process is working on it"
        if benchmark_files.is_finished(directory):  # meanwhile
            return FINISHED, "finished before"
        benchmark_files.write_plan(run, directory)
        (directory / benchmark_files.FAILED).unlink(missing_ok=True)
        buckets.put(directory, benchmark_files.NAMES)
        began_s = time.monotonic()
        where = directory, console, stop, label, parallel
        code, reason = _train(command(run), *where)
        minutes = (time.monotonic() - began_s) / 60
        outcome = _outcome(directory, code, reason, minutes, stop)
        buckets.put(directory, benchmark_files.NAMES)
    return outcome


def _outcome(directory, code, reason, minutes, stop) -> tuple[str, str]:
    """Returns the outcome of a run that has ended, and words about it."""
    if code == 0 and benchmark_files.is_finished(directory):
        return FINISHED, f"{_accuracies(directory)} ({minutes:.1f} min)"
    if code == command_line.INTERRUPTED or stop.came:
        return STOPPED, "stopped; run the same command to continue"
    if code < 0:  # the last line that it wrote does not tell
        name = signal.Signals(-code).name
        hint = ", possibly out of memory" * (name == "SIGKILL")
        reason = f"killed by {name}{hint}"
    reason = reason or ("no result rows" if code == 0 else "no output")
    benchmark_files.write_failure(directory, code, reason)
    log = directory / benchmark_files.LOG
    return FAILED, f"FAILED with code {code}: {reason} (see {log})"


def _environment(parallel: int) -> Mapping[str, str]:
    """Returns the variables of a training process; the user's own stand."""
    shared = {}
    # JAX takes three quarters of an accelerator's memory. It refuses this variable
    # beside its old name.
    if parallel > 1 and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:
        shared = {"XLA_CLIENT_MEM_FRACTION": f"{_DEVICE_SHARE / parallel:.3f}"}
    return {**_UNFILTERED, **shared, **os.environ}


def _train(arguments, directory, console, stop, label, parallel) -> tuple[int, str]:
    """Returns the exit code of a training process and the last line that it wrote."""
    path = directory / benchmark_files.LOG
    with path.open("ab") as log:
        begin = log.tell()
        # A session of its own: Ctrl-C reaches it through us, once, as SIGTERM.
        process = subprocess.Popen(
            arguments,
            env=_environment(parallel),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with contextlib.ExitStack() as stack:
            stack.enter_context(stop.forwarding(process))
            # A terminal has room for the progress of one.
            shows = console.is_terminal and parallel == 1
            status = stack.enter_context(console.status(label)) if shows else None
            shown_s = 0.0
            while process.poll() is None:
                time.sleep(_POLL_S)
                if status and time.monotonic() - shown_s > _SHOW_EVERY_S:
                    shown_s = time.monotonic()
                    status.update(f"{label}{_progress(directory)}")
    with path.open("rb") as log:
        log.seek(max(begin, path.stat().st_size - _TAIL_BYTES))
        lines = log.read().decode(errors="replace").splitlines()
    written = [line.strip() for line in lines if line.strip()]
    return process.returncode, written[-1] if written else ""


def _progress(directory: pathlib.Path) -> str:
    trained = [row for row in rows.read(directory) if row["kind"] == "train"]
    if not trained:
        return ": starting"
    last = trained[-1]
    speed = last.get("images_per_s")
    pace = "" if speed is None else f", {speed:.0f} images/s"
    return f": epoch {last['epoch']:.1f}, step {last['step']}{pace}"


def _accuracies(directory: pathlib.Path) -> str:
    chosen = [
        row
        for row in rows.read(directory)
        if row["kind"] == "result" and row["selection"] == "val"
    ]
    labels = {
        "target/accuracy": "target",
        "val/accuracy": "source val",
        "puzzle/shuffled_accuracy": "solved",
    }
    shown = [
        f"{label} {100 * chosen[0][name]:.1f}"
        for name, label in labels.items()
        if name in chosen[0]
    ]
    return ", ".join(shown)


class _Stop:
    """Remembers SIGTERM and Ctrl-C, and passes them on to the current runs."""

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self.came = False
        self._processes = []

    def __enter__(self):
        self._previous = {s: signal.signal(s, self._pass_on) for s in self._SIGNALS}
        return self

    def __exit__(self, *exc_info):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def forwarding(self, process: subprocess.Popen):
        self._processes.append(process)
        if self.came:  # since the loop last checked
            process.terminate()
        try:
            yield
        finally:
            self._processes.remove(process)

    def _pass_on(self, *_):
        first, self.came = not self.came, True
        for process in list(self._processes):
            if process.poll() is None:
                (process.terminate if first else process.kill)()
