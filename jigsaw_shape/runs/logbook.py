"""What a run writes down: JSONL rows, TensorBoard points, its circumstances."""

import datetime
import json
import math
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping

import jax
import tensorboardX

from jigsaw_shape.runs import rows
from jigsaw_shape.system import versions, whole_files

_VERSIONS_OF = (
    "jigsaw_shape",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "tensorflow-datasets",
    "clu",
    "numpy",
    "pillow",
)


class Logbook:
    """The rows of one run, in `metrics.jsonl`, and the same numbers in TensorBoard.

    See `rows` for what a row is.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        *,
        resume_step: int,
        tensorboard: bool,
        is_writer: bool = True,
    ):
        """Opens the logbook; rows of steps that are trained again are dropped.

        Args:
          directory: The run's.
          resume_step: The step that the run continues from, 0 for a new run.
          tensorboard: Whether to write event files too.
          is_writer: False in all processes but one: nothing is written there.
        """
        self._file = self._board = None
        if not is_writer:
            return
        path = directory / rows.FILE_NAME
        kept = [row for row in rows.read(directory) if row["step"] <= resume_step]
        kept = [row for row in kept if row["kind"] != "result"]
        whole_files.write_text(path, "".join(_line(row) for row in kept))
        self._file = path.open("a")
        if tensorboard:
            self._board = tensorboardX.SummaryWriter(
                str(directory / "tensorboard"), purge_step=resume_step + 1
            )

    def write(self, kind: str, step: int, values: Mapping) -> None:
        """Appends a row and, for its finite numbers, TensorBoard points."""
        if self._file is None:
            return
        self._file.write(_line({"kind": kind, "step": step, **values}))
        self._file.flush()
        if self._board is None or kind == "result":
            return
        for name, value in values.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


def _line(row: Mapping) -> str:
    return json.dumps(rows.strict(row), allow_nan=False) + "\n"


def circumstances() -> dict:
    """Returns what is needed to repeat a run: command, versions, devices, commit.

    `git` is this program's commit, with `+changes` if files differ from it; None
    outside of a checkout.
    """
    devices = jax.devices()
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        "git": _git_commit(),
        "python": platform.python_version(),
        "versions": versions.installed(*_VERSIONS_OF),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "processes": jax.process_count(),
    }


def _git_commit() -> str | None:
    def git(*arguments):
        here = ["git", "-C", str(pathlib.Path(__file__).parent)]
        done = subprocess.run([*here, *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain")
    except OSError:  # git is not installed
        return None
    return commit and commit + ("+changes" if changes else "")
