"""Runs one after another, each in a process of its own.

A run that crashes ends alone and frees its memory. Several callers may share a
directory: a lock in each run's directory keeps two of them from the same run.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from rich.console import Console

from jigsaw_shape.runs import benchmark_files, file_names, rows
from jigsaw_shape.runs.benchmark_files import Run
from jigsaw_shape.system import command_line
from jigsaw_shape.system.lock import lock

_POLL_S = 0.1
_SHOW_EVERY_S = 2.0
_TAIL_BYTES = 4000
# Else JAX writes a note on tracebacks below the error, which should be the last line.
_UNFILTERED = {"JAX_TRACEBACK_FILTERING": "off"}

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
) -> dict[str, dict[str, str]]:
    """Runs what is missing; returns for each of `OUTCOMES` names and what to say.

    SIGTERM or Ctrl-C stops the current run, which saves itself, and all that would
    follow; a second one kills it.

    Args:
      runs: In order.
      out: The benchmark's directory.
      command: The command of a run.
      console: Where a line is printed for each run.
    """
    tally = {outcome: {} for outcome in OUTCOMES}
    with _Stop() as stop:
        for i, run in enumerate(runs, 1):
            if stop.came:
                tally[STOPPED][run.name] = ""
                continue
            label = f"[{i}/{len(runs)}] {describe(run)}"
            directory = out / run.name
            try:
                outcome, words = _run_one(run, directory, command, console, stop, label)
            except OSError as error:  # its directory, not its training
                outcome, words = FAILED, f"FAILED: {error}"
            console.print(f"{label}: {words}", soft_wrap=True)
            tally[outcome][run.name] = words
    return tally


def describe(run: Run) -> str:
    """Returns a run in words."""
    trial = "" if run.trial is None else f", trial {run.trial}"
    return f"{run.preset} on {run.target}, seed {run.seed}{trial}"


def _run_one(run, directory, command, console, stop, label) -> tuple[str, str]:
    """Returns the outcome of a run and words about it."""
    if benchmark_files.is_finished(directory):
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
        began_s = time.monotonic()
        code, reason = _train(command(run), directory, console, stop, label)
        minutes = (time.monotonic() - began_s) / 60
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


def _train(arguments, directory, console, stop, label) -> tuple[int, str]:
    """Returns the exit code of a training process and the last line that it wrote."""
    path = directory / benchmark_files.LOG
    with path.open("ab") as log:
        begin = log.tell()
        # A session of its own: Ctrl-C reaches it through us, once, as SIGTERM.
        process = subprocess.Popen(
            arguments,
            env={**_UNFILTERED, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with stop.forwarding(process), console.status(label) as status:
            shown_s = 0.0
            while process.poll() is None:
                time.sleep(_POLL_S)
                if console.is_terminal and time.monotonic() - shown_s > _SHOW_EVERY_S:
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
    """Remembers SIGTERM and Ctrl-C, and passes them on to the current run."""

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self.came = False
        self._process = None

    def __enter__(self):
        self._previous = {s: signal.signal(s, self._pass_on) for s in self._SIGNALS}
        return self

    def __exit__(self, *exc_info):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def forwarding(self, process: subprocess.Popen):
        self._process = process
        if self.came:  # since the loop last checked
            process.terminate()
        try:
            yield
        finally:
            self._process = None

    def _pass_on(self, *_):
        first, self.came = not self.came, True
        if self._process is not None and self._process.poll() is None:
            if first:
                self._process.terminate()
            else:
                self._process.kill()
