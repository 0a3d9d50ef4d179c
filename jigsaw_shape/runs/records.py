"""What is known of each run, finished or not, from its directory. Imports no JAX."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from jigsaw_shape.runs import benchmark_files, fingerprint, rows
from jigsaw_shape.runs.file_names import CONFIG, STARTS

FINISHED, FAILED, UNFINISHED, MISSING = "finished", "failed", "unfinished", "missing"
_MARKS = {rows.FILE_NAME, benchmark_files.PLAN, STARTS}  # any makes a folder a run


@dataclasses.dataclass(frozen=True)
class Record:
    """A run.

    Attributes:
      name: Of its directory.
      status: `finished`, `failed`, `unfinished` (begun) or `missing` (planned).
      preset: The method; empty if neither configuration nor rows tell.
      target: The held-out domain.
      seed: Of the run.
      method: A digest of the settings; in a search, of those before the draw.
      note: Why it is not finished, or how far it is.
      trial: Its number in a search, None without one.
      protocol: What must agree where runs are averaged or compared, by name.
      fields: The fields of its configuration that are not at their defaults.
      drawn: What a search drew.
      validates: The target whose trial the run helps to choose; "" for other runs.
      results: The result row of each rule; empty unless finished.
      evaluations: Its evaluation rows.
    """

    name: str
    status: str
    preset: str
    target: str
    seed: int
    method: str
    note: str = ""
    trial: int | None = None
    protocol: Mapping[str, object] = dataclasses.field(default_factory=dict)
    fields: Mapping[str, object] = dataclasses.field(default_factory=dict)
    drawn: Mapping[str, object] = dataclasses.field(default_factory=dict)
    validates: str = ""
    results: Mapping[str, Mapping] = dataclasses.field(default_factory=dict)
    evaluations: Sequence[Mapping] = ()

    @property
    def trial_key(self) -> tuple:
        """Names the trial that the run is, or that it helps to choose; last its number.

        Without the number it names the cell.
        """
        target = self.validates or self.target
        return self.preset, self.method, target, self.seed, self.trial


def find_runs(paths: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """Returns the runs among `paths` and in the folders below them, each once.

    They are in the paths' order, those of one path sorted. Links are followed.

    Raises:
      ValueError: A path has none.
    """
    runs = {}
    for path in paths:
        below = sorted(folder for folder, files in _walk(path) if files & _MARKS)
        if not below:
            raise ValueError(f"{path} holds no run: no {rows.FILE_NAME} in or below it")
        for folder in below:
            runs.setdefault(folder.resolve(), folder)
    return list(runs.values())


def _walk(path: pathlib.Path) -> Iterator[tuple[pathlib.Path, set[str]]]:
    """Yields the folders from `path` down, each once, with the names of their files.

    Links are followed after all else, so a folder that is reached both ways goes by its
    own name, and a link to a folder that was seen ends there.
    """
    seen, tops = set(), [path]
    while tops:
        links = []
        for top in tops:
            for name, folders, files in os.walk(top):
                folder, real = pathlib.Path(name), os.path.realpath(name)
                if real in seen:
                    folders.clear()
                    continue
                seen.add(real)
                below = (folder / name for name in sorted(folders))
                links += [path for path in below if path.is_symlink()]
                yield folder, set(files)
        tops = links


def read(directory: pathlib.Path) -> Record:
    """Returns what a run's directory says about it.

    Raises:
      ValueError: Its target is among its sources.
    """
    recorded = rows.read(directory)
    results = {r["selection"]: r for r in recorded if r["kind"] == "result"}
    results = results if results.keys() >= set(rows.RULES) else {}
    row = results.get("last", {})
    plan = benchmark_files.read_plan(directory) or {}
    asked, config = _configs(directory, plan)
    target = row.get("target") or config.get("data", {}).get("target", "")
    if target in row.get("sources", ()):
        raise ValueError(
            f"{directory}: the target {target} is among the sources "
            f"{', '.join(row['sources'])}, so its accuracy is no result"
        )
    if plan.get("trial") is not None:
        method = plan["method"]
    else:
        method = row.get("settings") or plan.get("settings")
        method = method or (fingerprint.digest_stored(asked) if asked else "")
    status, note = _status(directory, bool(results), recorded)
    return Record(
        name=directory.name,
        status=status,
        note=note,
        preset=row.get("preset") or config.get("preset", ""),
        target=target,
        seed=row.get("seed", config.get("seed", 0)),
        method=method,
        trial=plan.get("trial"),
        protocol=_protocol(row, config, directory),
        fields=fingerprint.fields(asked) if asked else {},
        drawn=plan.get("drawn", {}),
        validates=plan.get("validates", ""),
        results=results,
        evaluations=[row for row in recorded if row["kind"] == "eval"],
    )


def _configs(directory, plan) -> tuple[str, dict]:
    """Returns the configuration as it was asked for, stored, and as the run has it.

    A run's own is completed by its weights, with their means for example. Runs are
    compared by what was asked for, as a run that has not begun has only a plan.
    """
    planned = json.dumps(plan["config"]) if "config" in plan else ""
    path = directory / CONFIG
    stored = path.read_text() if path.exists() else planned
    return planned or stored, json.loads(stored or "{}")


def _status(directory, is_finished: bool, recorded) -> tuple[str, str]:
    if is_finished:
        return FINISHED, ""
    failure = benchmark_files.read_failure(directory)
    if failure:
        return FAILED, f"code {failure['code']}: {failure['reason']}"
    if recorded:
        return UNFINISHED, f"at epoch {recorded[-1].get('epoch', 0):.1f}"
    if (directory / CONFIG).exists():
        return UNFINISHED, "begun"
    return MISSING, "not begun"


def _protocol(row, config, directory) -> dict:
    """Returns the data set, encoder, split and images, without what is unknown."""
    data, path = config.get("data", {}), directory / STARTS
    starts = json.loads(path.read_text())["starts"] if path.exists() else []
    name = data.get("name") and rows.dataset_name(data["name"], data.get("setting"))
    known = {
        "dataset": row.get("dataset") or name,
        "encoder": row.get("encoder") or config.get("model", {}).get("encoder"),
        "split": row.get("split") or data.get("split"),
        "split_seed": row.get("split_seed", data.get("split_seed")),
        "images": starts[0].get("images") if starts else None,
    }
    return {name: value for name, value in known.items() if value is not None}
