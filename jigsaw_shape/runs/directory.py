"""A run's directory: `config.json`, its configuration, and `run.json`, its starts."""

import contextlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from jigsaw_shape import config as config_lib
from jigsaw_shape.runs import fingerprint, logbook, rows, stored_weights
from jigsaw_shape.runs.file_names import CONFIG, LOCK, STARTS
from jigsaw_shape.system import whole_files
from jigsaw_shape.system.lock import lock

# What `knowledge` returns.
KNOWLEDGE = ("dataset", "target", "sources", "selection", "setting", "after")
_WAY_OUT = "choose another --workdir, or delete the directory"


@contextlib.contextmanager
def claim(
    config: ConfigDict, digests: Mapping[str, str], init: Mapping[str, Any]
) -> Iterator[pathlib.Path]:
    """Yields the run's directory, new or to be continued, locked until the end.

    Args:
      config: The run's.
      digests: Of what the run reads, by name, such as `images`; those of a continued
        run must be the same as at its first start.
      init: See `initial_weights.knowledge`.

    Raises:
      ValueError: It holds a run of another configuration or other images, or another
        process has locked it.
    """
    directory = config_lib.workdir(config)
    if jax.process_index() > 0:  # the first process checks and writes for all
        yield directory
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"{directory} is a file, or inside of one: --workdir names a folder"
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(directory / LOCK, wait=False))
        except BlockingIOError as error:
            raise ValueError(
                f"{directory} is in use by another process: wait, or choose another "
                "--workdir"
            ) from error
        _record_start(config, digests, init, directory)
        yield directory


def read_config(directory: pathlib.Path) -> ConfigDict:
    """Returns a run's configuration; fields that it lacks have their defaults.

    Raises:
      ValueError: The directory is not a run's.
    """
    path = directory / CONFIG
    if not path.is_file():
        raise ValueError(f"{directory} is no training run: it has no {CONFIG}")
    try:
        config = fingerprint.from_json(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    config.workdir = str(directory)  # the folder may have moved
    return config


def keep_background(config: ConfigDict) -> None:
    """Drops `config.data.background` where the run to be continued began without it.

    So that a run from before the field sees the same pixels to its end. A background
    other than the default stays, and is refused as any other change is.
    """
    path = config_lib.workdir(config) / CONFIG
    usual = config_lib.default_config().data.background
    is_continued = path.is_file() and config.data.background == usual
    if is_continued and "background" not in read_config(path.parent).data:
        with config.unlocked():
            del config.data.background


def knowledge(
    directory: pathlib.Path, config: ConfigDict, selection: str
) -> dict[str, Any]:
    """Returns what a run's weights have seen, in JSON's types.

    `dataset`, `target` and `sources` of its configuration, and its `setting` if that is
    adaptation; `selection`, the rule that picks the weights; and `after`, the same of
    the run that its first weights are from, if any.

    Args:
      directory: The run's.
      config: Its configuration.
      selection: A key of `rows.RULES`.
    """
    data = config.data
    facts = {
        "dataset": data.name,
        "target": data.target,
        "sources": data.sources,
        "selection": selection,
    }
    if data.setting == "adaptation":
        facts["setting"] = data.setting
    before = _first_start(directory).get("init")
    return facts | ({"after": before} if before else {})


def read_images(directory: pathlib.Path) -> str:
    """Returns the digest of the images at a run's first start; "" if unknown."""
    return _first_start(directory).get("images", "")


def read_evaluations(directory: pathlib.Path) -> list[dict]:
    """Returns a run's rows of kind `eval`, at least one.

    Raises:
      ValueError: It has none.
    """
    evaluations = [row for row in rows.read(directory) if row["kind"] == "eval"]
    if not evaluations:
        raise ValueError(f"{directory} has no evaluation yet: nothing to select from")
    return evaluations


def _first_start(directory: pathlib.Path) -> dict:
    return next(iter(_read_starts(directory)), {})


def _read_starts(directory: pathlib.Path) -> list[dict]:
    """Returns the circumstances of a run's starts; [] of a new run.

    Raises:
      ValueError: They cannot be read.
    """
    path = directory / STARTS
    if not path.exists():
        return []
    try:
        return list(json.loads(path.read_text())["starts"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} does not say how the run began ({error}): {_WAY_OUT}"
        ) from error


def _record_start(
    config: ConfigDict,
    digests: Mapping[str, str],
    init: Mapping[str, Any],
    directory: pathlib.Path,
) -> None:
    """Adds this start to `run.json`; refuses one that does not continue the first."""
    stored, facts = directory / CONFIG, directory / STARTS
    starts = _read_starts(directory)
    if not stored.exists() and _has_begun(directory):
        raise ValueError(f"{directory} holds a run without its config.json: {_WAY_OUT}")
    _refuse_gap(directory)
    if stored.exists():
        changes = fingerprint.differences(stored.read_text(), config)
        if changes:
            raise ValueError(
                f"{directory} holds a run of another configuration "
                f"({'; '.join(changes)}): {_WAY_OUT}"
            )
        for name, digest in digests.items():
            if starts and starts[0][name] != digest:
                raise ValueError(
                    f"{directory} holds a run with other {name} (digest "
                    f"{starts[0][name]}, now {digest}): {_WAY_OUT}"
                )
    start = logbook.circumstances() | dict(digests)
    start |= {"init": dict(init)} if init else {}
    document = json.dumps({"starts": [*starts, start]}, indent=2)
    whole_files.write_text(facts, document + "\n")
    whole_files.write_text(stored, fingerprint.to_json(config))


def _refuse_gap(directory: pathlib.Path) -> None:
    """Refuses a run that has lost the rows before its latest checkpoint."""
    saved = max(stored_weights.steps_in(directory / "checkpoints"), default=0)
    last = max((row["step"] for row in rows.read(directory)), default=0)
    if last < saved:
        raise ValueError(
            f"{directory} has a checkpoint of step {saved}, and {rows.FILE_NAME} ends "
            f"at step {last}: evaluations are lost, so nothing can be selected: "
            f"{_WAY_OUT}"
        )


def _has_begun(directory: pathlib.Path) -> bool:
    checkpoints = directory / "checkpoints"
    saved = checkpoints.is_dir() and any(checkpoints.iterdir())
    return saved or (directory / rows.FILE_NAME).exists()
