"""What a benchmark writes into each run's directory, beside what `train` writes.

`plan.json` says which run it is, before it begins; `failed.json` why the last attempt
failed, until another one begins; `log.txt` is what `train` printed.
"""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Mapping

from jigsaw_shape.runs import rows
from jigsaw_shape.system import whole_files

NAMES = (PLAN, FAILED, LOG) = "plan.json", "failed.json", "log.txt"
LOCK = ".benchmark.lock"  # held while a benchmark works on the run


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a benchmark.

    Attributes:
      name: Of its directory. It holds the digest of the settings, so a changed
        configuration is another run.
      preset: The method's name.
      target: The held-out domain.
      seed: Of the run.
      settings: `fingerprint.digest` of its configuration.
      arguments: Of `train`, without the directory.
      config: Its configuration, as `fingerprint.to_json` has it.
      method: The digest that all trials of a search share, its settings without what
        was drawn; without a search, `settings`.
      trial: Its number in a search; None without one. Trial 0 draws nothing.
      drawn: What the search drew: fields and values.
      validates: The target whose trial this run helps to choose, by its accuracy on a
        source that it holds out as well; "" for a run whose target is one.
    """

    name: str
    preset: str
    target: str
    seed: int
    settings: str
    arguments: tuple[str, ...]
    config: Mapping[str, object]
    method: str
    trial: int | None = None
    drawn: Mapping[str, object] = dataclasses.field(default_factory=dict)
    validates: str = ""


def write_plan(run: Run, directory: pathlib.Path) -> None:
    """Writes `plan.json`, and makes the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    plan = dataclasses.asdict(run)
    if _read(directory / PLAN) != json.loads(json.dumps(plan)):
        _write(directory / PLAN, plan)


def read_plan(directory: pathlib.Path) -> dict | None:
    """Returns what `plan.json` holds, None if it is missing."""
    return _read(directory / PLAN)


def write_failure(directory: pathlib.Path, code: int, reason: str) -> None:
    """Writes `failed.json`: the exit code, why, and when (UTC)."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    _write(directory / FAILED, {"code": code, "reason": reason, "time": now})


def read_failure(directory: pathlib.Path) -> dict | None:
    """Returns what `failed.json` holds, None if it is missing."""
    return _read(directory / FAILED)


def _write(path: pathlib.Path, content: dict) -> None:
    whole_files.write_text(path, json.dumps(content, indent=2) + "\n")


def _read(path: pathlib.Path) -> dict | None:
    return json.loads(path.read_text()) if path.exists() else None


def is_finished(directory: pathlib.Path) -> bool:
    """Returns whether the run has its result rows, all of them."""
    found = {r["selection"] for r in rows.read(directory) if r["kind"] == "result"}
    return found >= set(rows.RULES)
