"""Reads arrays by name from files of weights.

No reader runs code from a file: `.pth` is read by `torch_file.py`, `.npz` without
pickles.
"""

import dataclasses
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from jigsaw_shape.models.weights.torch_file import read_torch_file

_SAFETENSORS_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
# Prefixes that DataParallel and torch.compile put before every name.
_PREFIXES = ("module.", "_orig_mod.")


@dataclasses.dataclass(frozen=True)
class WeightFile:
    """What a file holds.

    Attributes:
      arrays: By the file's names, less a prefix that all of them share because of how
        the model was wrapped.
      facts: What it says of them, in JSON's types; often nothing.
    """

    arrays: dict[str, np.ndarray]
    facts: Mapping[str, Any]


def read_weight_file(path: str | Path) -> WeightFile:
    """Returns the arrays of a file, by its suffix.

    `.safetensors`; `.npz`; `.h5` and `.hdf5`, Keras' weights, which need the package
    `h5py`; anything else as PyTorch's: `.pth`, `.pth.tar`, `.pt`, `.bin`, `.ckpt`.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is truncated, damaged, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    read = _READERS.get(path.suffix.lower(), lambda path: (read_torch_file(path), {}))
    arrays, facts = read(path)
    while arrays and (prefix := _shared_prefix(arrays)):
        arrays = {name.removeprefix(prefix): a for name, a in arrays.items()}
    return WeightFile(arrays, facts)


def _shared_prefix(names: Iterable[str]) -> str:
    """Returns which of the wrappers' prefixes all names have; "" for none."""
    found = (p for p in _PREFIXES if all(name.startswith(p) for name in names))
    return next(found, "")


def _safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
        views = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(f"cannot read weights from {path}: {error}") from error
    arrays = {}
    for name, view in views:
        dtype = _SAFETENSORS_DTYPES.get(view["dtype"])
        if dtype is None:
            raise ValueError(
                f"cannot read weights from {path}: {name} is of {view['dtype']}: "
                f"{', '.join(_SAFETENSORS_DTYPES)} allowed"
            )
        arrays[name] = np.frombuffer(view["data"], dtype).reshape(view["shape"])
    facts = {}
    for name, text in metadata.items():
        try:
            facts[name] = json.loads(text)
        except json.JSONDecodeError:  # others' metadata are any strings
            facts[name] = text
    return arrays, facts


def _npz(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}, {}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"cannot read weights from {path}: {error}") from error


# Before Keras 3: block1_conv2/block1_conv2/kernel:0, perhaps below `model_weights`.
# Since: layers/functional/layers/conv2d_1/vars/0, kernel first, then the offset.
_KERAS_LEAF = re.compile(r"(?:.*/)?([^/]+)/(kernel|bias)(?::0)?")
_KERAS_3_LEAF = re.compile(r"(.+)/vars/([01])")


def read_keras_file(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a Keras weights file, `block1_conv2.kernel` and the like.

    In Keras 3's files, a layer is named by its place among those of its block,
    `block1/conv2d_1`, and given here the name that it has in older ones.

    Raises:
      ValueError: `h5py` is not installed, or the file cannot be read.
    """
    try:
        import h5py
    except ImportError:
        raise ValueError(
            f"reading {path} needs h5py: pip install 'jigsaw_shape[pretrained]'"
        ) from None

    found = {}

    def visit(name, item):
        if not isinstance(item, h5py.Dataset):
            return
        old, new = _KERAS_LEAF.fullmatch(name), _KERAS_3_LEAF.fullmatch(name)
        if old is not None:
            found[f"{old[1]}.{old[2]}"] = item[()]
        elif new is not None:
            leaf = ("kernel", "bias")[int(new[2])]
            found[f"{_keras_layer(new[1])}.{leaf}"] = item[()]

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        raise ValueError(f"{path} cannot be read as HDF5: {error}") from error
    return found


def _keras_layer(place: str) -> str:
    parts = [part for part in place.split("/") if part != "layers"]
    block = next((part for part in parts if re.fullmatch(r"block\d+", part)), None)
    convolution = re.fullmatch(r"conv2d(?:_(\d+))?", parts[-1])
    if block is None or convolution is None:
        return parts[-1]
    return f"{block}_conv{int(convolution[1] or 0) + 1}"


_Reader = Callable[[Path], tuple[dict[str, np.ndarray], dict[str, Any]]]
_READERS: dict[str, _Reader] = {
    ".safetensors": _safetensors,
    ".npz": _npz,
    ".h5": lambda path: (read_keras_file(path), {}),
    ".hdf5": lambda path: (read_keras_file(path), {}),
}
