"""Flax variables under other libraries' names and back, by `rename_tables.RENAMES`."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from jigsaw_shape.models.weights.rename_tables import KERAS, RENAMES, Table

Path = tuple[str, ...]

# A module's array by its last name and number of axes -> collection, Flax's name,
# transposition. OIHW -> HWIO also serves grouped convolutions, [O, I / g, k, k], and
# depthwise ones, [C, 1, k, k].
_LEAVES = {
    ("weight", 4): ("params", "kernel", (2, 3, 1, 0)),
    ("weight", 2): ("params", "kernel", (1, 0)),
    ("weight", 1): ("params", "scale", (0,)),
    ("bias", 1): ("params", "bias", (0,)),
    ("running_mean", 1): ("batch_stats", "mean", (0,)),
    ("running_var", 1): ("batch_stats", "var", (0,)),
}
_KERAS_LEAVES = {
    ("kernel", 4): ("params", "kernel", (0, 1, 2, 3)),
    ("kernel", 2): ("params", "kernel", (0, 1)),
    ("bias", 1): ("params", "bias", (0,)),
}


def _inverse(leaves: Mapping) -> Mapping:
    return {
        (collection, leaf, n_axes): (foreign, tuple(np.argsort(axes).tolist()))
        for (foreign, n_axes), (collection, leaf, axes) in leaves.items()
    }


_FOREIGN_LEAVES, _FOREIGN_KERAS_LEAVES = _inverse(_LEAVES), _inverse(_KERAS_LEAVES)
_SIDE = 7  # of the maps before VGG's first fully connected layer


def _from_hwc(kernel):
    n_out = kernel.shape[-1]
    maps = kernel.reshape(_SIDE, _SIDE, -1, n_out)
    return maps.transpose(2, 0, 1, 3).reshape(-1, n_out)


def _to_hwc(kernel):
    n_out = kernel.shape[-1]
    maps = kernel.reshape(-1, _SIDE, _SIDE, n_out)
    return maps.transpose(1, 2, 0, 3).reshape(-1, n_out)


# Other differences of layout: how to convert from a library's, and to it.
_LAYOUTS = {
    "bgr": (lambda kernel: kernel[:, :, ::-1], lambda kernel: kernel[:, :, ::-1]),
    "hwc": (_from_hwc, _to_hwc),
    "c11": (lambda array: array[:, 0, 0], lambda array: array[:, None, None]),
}
# PyTorch counts batches with it if momentum is None. It is not used here.
_COUNTER = "num_batches_tracked"
_CLASSIFIER = "classifier"
_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class Renamed:
    """A foreign checkpoint's arrays under Flax's paths.

    Attributes:
      library: Whose names they had.
      arrays: float32 in Flax's layout, by path from the collection on, such as
        `("params", "conv1", "kernel")`.
      classifier: The checkpoint's own, `kernel` [F, n] and `bias` [n], as far as it
        has one.
      extra: Names that the library's table does not know.
      names: The foreign name of each path in `arrays`.
    """

    library: str
    arrays: dict[Path, np.ndarray]
    classifier: dict[str, np.ndarray]
    extra: list[str]
    names: dict[Path, str]


def to_foreign(
    family: str,
    variables: Mapping[str, Any],
    classifier: Mapping[str, Any] | None = None,
    library: str | None = None,
) -> dict[str, np.ndarray]:
    """Returns an encoder's variables as a library's state dict.

    What `load_state_dict(strict=True)` of that library's model takes, less its
    classifier where none is given: BatchNorm's counters (int64 0) are among it.

    Args:
      family: A name in `RENAMES`, the `family` of an `EncoderSpec`.
      variables: `params` and, with BatchNorm, `batch_stats` of the encoder; arrays.
      classifier: `{"kernel": [F, n], "bias": [n]}`, to become the model's last layer.
      library: A name in `RENAMES[family]`; None for the first.

    Returns:
      float32 arrays in the library's layout, by its names.

    Raises:
      ValueError: There is no such table, or it lacks a variable.
    """
    tables = _tables(family)
    if library is None:
        library = next(iter(tables))
    if library not in tables:
        raise ValueError(
            f"{family} has the names of {', '.join(tables)}, not {library}"
        )
    table = [(_pattern(flax), foreign, how) for foreign, flax, *how in tables[library]]
    leaves = _FOREIGN_KERAS_LEAVES if library == KERAS else _FOREIGN_LEAVES
    flat = traverse_util.flatten_dict(dict(variables))
    for leaf, array in (classifier or {}).items():
        flat["params", _CLASSIFIER, leaf] = array
    state = {}
    for path, value in flat.items():
        collection, *modules, leaf = path
        array = np.asarray(value, np.float32)
        known = leaves.get((collection, leaf, array.ndim))
        module, how = _renamed(table, "/".join(modules))
        if module is not None and known is not None:
            foreign_leaf, axes = known
            if leaf == "kernel":
                array = _laid_out(array, how, 1)
            name = f"{module}.{foreign_leaf}"
            state[name] = np.ascontiguousarray(array.transpose(axes))
            if foreign_leaf == "running_var":
                state[f"{module}.{_COUNTER}"] = np.zeros((), np.int64)
            continue
        name, how = _renamed(table, "/".join(path[1:]))
        if name is None:
            raise ValueError(f"{library}'s names of {family} lack {'/'.join(path)}")
        state[name] = np.ascontiguousarray(_laid_out(array, how, 1))
    return state


def from_foreign(family: str, state: Mapping[str, np.ndarray]) -> Renamed:
    """Returns a library's state dict under Flax's paths; the inverse of `to_foreign`.

    The library is the one of `RENAMES[family]` that knows most of the names.

    Args:
      family: A name in `RENAMES`.
      state: Arrays by the library's names.

    Raises:
      ValueError: There is no such family, or an array is not of floating point.
    """
    read = [_read(state, name, table) for name, table in _tables(family).items()]
    return max(read, key=lambda renamed: len(renamed.names))


def _read(state: Mapping[str, np.ndarray], library: str, rows: Table) -> Renamed:
    table = [(_pattern(foreign), flax, how) for foreign, flax, *how in rows]
    leaves = _KERAS_LEAVES if library == KERAS else _LEAVES
    arrays, extra, names = {}, [], {}
    for name, array in state.items():
        module, _, leaf = name.rpartition(".")
        if leaf == _COUNTER:
            continue
        (path, how), known = _renamed(table, module), leaves.get((leaf, array.ndim))
        if path is not None and known is not None:
            collection, flax_leaf, axes = known
            full = (collection, *path.split("/"), flax_leaf)
        else:
            single, how = _renamed(table, name)
            if single is None:
                extra.append(name)
                continue
            full, axes = ("params", *single.split("/")), tuple(range(array.ndim))
        if array.dtype.name not in _FLOATS:
            raise ValueError(
                f"{name} is of {array.dtype.name}: {', '.join(_FLOATS)} allowed"
            )
        array = array.transpose(axes)
        if full[-1] not in ("bias", "scale", "mean", "var"):
            array = _laid_out(array, how, 0)
        arrays[full] = np.ascontiguousarray(array, np.float32)
        names[full] = name
    classifier = {
        path[-1]: arrays.pop(path)
        for path in list(arrays)
        if path[:-1] == ("params", _CLASSIFIER)
    }
    return Renamed(library, arrays, classifier, extra, names)


def _tables(family: str) -> dict[str, Table]:
    if family not in RENAMES:
        raise ValueError(f"no names of {family!r} are known: {', '.join(RENAMES)}")
    return RENAMES[family]


def _pattern(name: str) -> re.Pattern:
    return re.compile(re.escape(name).replace(r"\{\}", r"(\d+)"))


def _renamed(table: list, name: str) -> tuple[str | None, list[str]]:
    """Returns `name` by the first row that matches all of it, and its layout."""
    for pattern, other, how in table:
        match = pattern.fullmatch(name)
        if match is not None:
            return other.format(*match.groups()), how
    return None, []


def _laid_out(array: np.ndarray, how: list[str], direction: int) -> np.ndarray:
    for name in how:
        try:
            array = _LAYOUTS[name][direction](array)
        except (IndexError, ValueError):
            return array  # of a wrong shape, which `loading.fit` refuses
    return array
