"""Flax variables under other libraries' names and back, by tables.

A table has a library's names of modules on the left and Flax's paths on the right; `{}`
is a number, kept in its place and order, so that a table reads in both directions. What
is in a module (weight, running_mean, ...) follows from its last name and its number of
axes. A row may also name a single array, such as a positional embedding, that is in no
such module. `classifier` is beside the encoder, not part of it.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

Path = tuple[str, ...]
Table = tuple[tuple[str, str], ...]

_RESNET: Table = (
    ("conv1", "conv1"),
    ("bn1", "bn1"),
    ("layer{}.{}.conv{}", "layer{}_{}/conv{}"),
    ("layer{}.{}.bn{}", "layer{}_{}/bn{}"),
    ("layer{}.{}.downsample.0", "layer{}_{}/downsample_conv"),
    ("layer{}.{}.downsample.1", "layer{}_{}/downsample_bn"),
    ("fc", "classifier"),
)
_EFFICIENTNET_LITE: Table = (
    ("_conv_stem", "stem_conv"),
    ("_bn0", "stem_bn"),
    ("_blocks.{}._expand_conv", "blocks_{}/expand_conv"),
    ("_blocks.{}._bn0", "blocks_{}/expand_bn"),
    ("_blocks.{}._depthwise_conv", "blocks_{}/depthwise_conv"),
    ("_blocks.{}._bn1", "blocks_{}/depthwise_bn"),
    ("_blocks.{}._project_conv", "blocks_{}/project_conv"),
    ("_blocks.{}._bn2", "blocks_{}/project_bn"),
    ("_conv_head", "head_conv"),
    ("_bn1", "head_bn"),
    ("_fc", "classifier"),
)

# Family -> library -> table. The first library's names are those of exports.
RENAMES: dict[str, dict[str, Table]] = {
    # timm's ResNets have torchvision's names.
    "resnet": {"torchvision": _RESNET},
    "efficientnet_lite": {"efficientnet_lite_pytorch": _EFFICIENTNET_LITE},
}

# A module's array in PyTorch, by its last name and number of axes -> collection, Flax's
# name, transposition. OIHW -> HWIO also serves grouped convolutions, [O, I / g, k, k],
# and depthwise ones, [C, 1, k, k].
_LEAVES = {
    ("weight", 4): ("params", "kernel", (2, 3, 1, 0)),
    ("weight", 2): ("params", "kernel", (1, 0)),
    ("weight", 1): ("params", "scale", (0,)),
    ("bias", 1): ("params", "bias", (0,)),
    ("running_mean", 1): ("batch_stats", "mean", (0,)),
    ("running_var", 1): ("batch_stats", "var", (0,)),
}
_FOREIGN_LEAVES = {
    (collection, leaf, n_axes): (foreign, tuple(np.argsort(axes).tolist()))
    for (foreign, n_axes), (collection, leaf, axes) in _LEAVES.items()
}
# Counts batches, where PyTorch's momentum is None. Nothing here asks.
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
    table = [(_pattern(flax), foreign) for foreign, flax in tables[library]]
    flat = traverse_util.flatten_dict(dict(variables))
    for leaf, array in (classifier or {}).items():
        flat["params", _CLASSIFIER, leaf] = array
    state = {}
    for path, value in flat.items():
        collection, *modules, leaf = path
        array = np.asarray(value, np.float32)
        known = _FOREIGN_LEAVES.get((collection, leaf, array.ndim))
        module = _renamed(table, "/".join(modules))
        if module is not None and known is not None:
            foreign_leaf, axes = known
            state[f"{module}.{foreign_leaf}"] = np.ascontiguousarray(
                array.transpose(axes)
            )
            if foreign_leaf == "running_var":
                state[f"{module}.{_COUNTER}"] = np.zeros((), np.int64)
            continue
        name = _renamed(table, "/".join(path[1:]))
        if name is None:
            raise ValueError(f"{library}'s names of {family} lack {'/'.join(path)}")
        state[name] = array
    return state


def from_foreign(
    family: str, state: Mapping[str, np.ndarray], library: str | None = None
) -> Renamed:
    """Returns a library's state dict under Flax's paths; the inverse of `to_foreign`.

    Args:
      family: A name in `RENAMES`.
      state: Arrays by the library's names.
      library: A name in `RENAMES[family]`; None for that which knows most of `state`.

    Raises:
      ValueError: There is no such family, or an array is not of floating point.
    """
    tables = _tables(family)
    candidates = tables if library is None else {library: tables[library]}
    read = [_read(state, name, table) for name, table in candidates.items()]
    return max(read, key=lambda renamed: len(renamed.names))


def _read(state: Mapping[str, np.ndarray], library: str, rows: Table) -> Renamed:
    table = [(_pattern(foreign), flax) for foreign, flax in rows]
    arrays, extra, names = {}, [], {}
    for name, array in state.items():
        module, _, leaf = name.rpartition(".")
        if leaf == _COUNTER:
            continue
        path, known = _renamed(table, module), _LEAVES.get((leaf, array.ndim))
        if path is not None and known is not None:
            collection, flax_leaf, axes = known
            full = (collection, *path.split("/"), flax_leaf)
        else:
            single = _renamed(table, name)
            if single is None:
                extra.append(name)
                continue
            full, axes = ("params", *single.split("/")), tuple(range(array.ndim))
        if array.dtype.name not in _FLOATS:
            raise ValueError(
                f"{name} is of {array.dtype.name}: {', '.join(_FLOATS)} allowed"
            )
        arrays[full] = np.ascontiguousarray(array.transpose(axes), np.float32)
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


def _renamed(table: list[tuple[re.Pattern, str]], name: str) -> str | None:
    """Returns `name` by the first row that matches the whole of it."""
    matches = ((pattern.fullmatch(name), other) for pattern, other in table)
    return next((other.format(*m.groups()) for m, other in matches if m), None)
