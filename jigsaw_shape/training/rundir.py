"""A run's directory: whose it is, and what a reader needs to repeat the run.

`config.json` is the configuration; `run.json` has the circumstances of each start, the
first and every continuation.
"""

import contextlib
import json
import pathlib
from collections.abc import Iterator, Mapping

import jax
from ml_collections import ConfigDict

from jigsaw_shape import atomic, rows, settings
from jigsaw_shape import config as config_lib
from jigsaw_shape.lock import lock
from jigsaw_shape.training import logbook


@contextlib.contextmanager
def claim(config: ConfigDict, digests: Mapping[str, str]) -> Iterator[pathlib.Path]:
    """Yields the run's directory, new or of a run with this same configuration.

    While it is claimed no other run can write into it.

    Args:
      config: The run's.
      digests: Of what the run reads, by name, such as `images`; a continued run must
        have begun with the same.

    Raises:
      ValueError: It holds a run of another configuration or on other images, or
        another process is at it.
    """
    directory = config_lib.workdir(config)
    if jax.process_index() > 0:  # the first process answers for all
        yield directory
        return
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(directory / ".lock", wait=False))
        except BlockingIOError as error:
            raise ValueError(
                f"{directory} is in use by another process: wait, or choose another "
                "--workdir"
            ) from error
        _record_start(config, digests, directory)
        yield directory


def read_config(directory: pathlib.Path) -> ConfigDict:
    """Returns a run's configuration; fields it was stored without are the defaults.

    Raises:
      ValueError: The directory is no run's.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise ValueError(f"{directory} is no training run: it has no config.json")
    try:
        return settings.from_json(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_evaluations(directory: pathlib.Path) -> list[dict]:
    """Returns a run's rows of kind `eval`, at least one.

    Raises:
      ValueError: It has none.
    """
    evaluations = [row for row in rows.read(directory) if row["kind"] == "eval"]
    if not evaluations:
        raise ValueError(
            f"{directory} has no evaluation yet, so nothing to select from"
        )
    return evaluations


def _record_start(
    config: ConfigDict, digests: Mapping[str, str], directory: pathlib.Path
) -> None:
    """Adds this start to `run.json`; refuses one that does not continue the first."""
    stored, facts = directory / "config.json", directory / "run.json"
    start = logbook.circumstances() | dict(digests)
    starts = json.loads(facts.read_text())["starts"] if facts.exists() else []
    if stored.exists():
        changes = settings.differences(stored.read_text(), config)
        if changes:
            raise ValueError(
                f"{directory} holds a run of another configuration "
                f"({'; '.join(changes)}): choose another --workdir, or delete it"
            )
        for name, digest in digests.items():
            if starts and starts[0][name] != digest:
                raise ValueError(
                    f"{directory} holds a run with other {name} than there are now "
                    f"(digest {starts[0][name]}, now {digest}): choose another "
                    "--workdir"
                )
    atomic.write_text(facts, json.dumps({"starts": [*starts, start]}, indent=2) + "\n")
    atomic.write_text(stored, settings.to_json(config))
