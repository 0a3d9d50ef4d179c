"""The data sets of runs, loaded once for all suites of an evaluation.

Drawing the embedded set takes longer than showing it to a small network.
"""

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from jigsaw_shape.data import sources
from jigsaw_shape.data.dataset import Dataset
from jigsaw_shape.data.splits import Splits
from jigsaw_shape.training import run_data

_loaded: dict[tuple, Any] = {}


def forget() -> None:
    """Forgets all data sets, as another evaluation begins."""
    _loaded.clear()


def load(config: ConfigDict) -> tuple[Dataset, Splits]:
    """Returns what `run_data.load_again` returns of a run's configuration."""
    return _once("images", config, run_data.load_again)


def load_conflict(config: ConfigDict) -> Dataset | None:
    """Returns what `sources.load_cue_conflict` returns of a run's configuration."""
    return _once("conflict", config, lambda c: sources.load_cue_conflict(c.data))


def _once(kind: str, config: ConfigDict, read: Callable[[ConfigDict], Any]) -> Any:
    key = kind, config.data.to_json(), config.workdir
    if key not in _loaded:
        _loaded[key] = read(config)
    return _loaded[key]
