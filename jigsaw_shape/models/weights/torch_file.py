"""Reads arrays from PyTorch's files without PyTorch, and without running their code.

A `.pth` file is a pickle that names tensors, next to their bytes: a zip archive since
PyTorch 1.6, before that pickles one after another. Pickles call whatever they name, so
the unpickler here knows an ordered dict, "rebuild a tensor" and the storage types, and
refuses every other name.
"""

import collections
import dataclasses
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

# The legacy format's first pickle (torch/serialization.py), and its only version.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

# Where training scripts put the state dict.
_WRAPPERS = ("state_dict", "model_state_dict", "model")

_STORAGE_DTYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A file's run of numbers, of which tensors are views."""

    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage, before its bytes are read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, numbers: np.ndarray) -> np.ndarray:
        """Returns a copy of this view of the storage's `numbers` [size]."""
        integers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or any(
            not isinstance(i, int) or i < 0 for i in integers
        ):
            raise ValueError(f"a tensor's shape or strides are damaged: {integers}")
        last = self.offset + sum(
            (n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True)
        )
        size = math.prod(self.shape)
        # Without the second check, a stride of 0 could ask for any amount of memory.
        if size > 0 and (last >= numbers.size or size > numbers.size):
            raise ValueError(f"a tensor of shape {self.shape} exceeds its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(
            numbers[min(self.offset, numbers.size) :], self.shape, strides
        )
        return np.array(view, order="C")


def _rebuild_parameter(tensor, *_) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise ValueError("a parameter without a tensor")
    return tensor


def _rebuild_tensor(storage, offset, shape, strides, *_) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): np.dtype(dtype) for name, dtype in _STORAGE_DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise ValueError(
                f"it names {module}.{name}, which a file of weights has no use for"
            )
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size, *view = pid
        whole = not view or view[0] is None
        if kind != "storage" or not isinstance(dtype, np.dtype) or not whole:
            raise ValueError(f"it refers to {kind!r}, expected a whole storage")
        if not isinstance(size, int) or size < 0:
            raise ValueError(f"a storage's size is {size!r}")
        return _Storage(str(key), dtype, size)


def read_torch_file(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the state dict of a `.pth` file, as arrays by PyTorch's names.

    Args:
      path: A file that `torch.save(model.state_dict(), path)` wrote, in either format;
        or a training script's checkpoint, a dict with a state dict under `state_dict`,
        `model_state_dict` or `model`, beside numbers, texts and other tensors.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is truncated or damaged, names anything but tensors in
        dicts, or holds something else than a state dict.
    """
    with open(path, "rb") as file:
        try:
            if zipfile.is_zipfile(file):
                content, storages = _read_zip(file)
            else:
                file.seek(0)
                content, storages = _read_legacy(file)
            content = _unwrapped(content)
            if not isinstance(content, dict):
                raise ValueError(f"expected a state dict, not {type(content).__name__}")
            strange = [
                str(name)
                for name, value in content.items()
                if not isinstance(name, str) or not isinstance(value, _Tensor)
            ]
            if strange:
                raise ValueError(
                    f"expected a state dict of tensors, got also {', '.join(strange)}"
                )
            return {
                name: tensor.view(storages[tensor.storage.key])
                for name, tensor in content.items()
            }
        except Exception as error:  # damaged pickles raise nearly anything
            message = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"cannot read weights from {path}: {message}") from error


def _numbers(data: bytes, storage: _Storage, byteorder: str = "<") -> np.ndarray:
    if len(data) != storage.size * storage.dtype.itemsize:
        raise ValueError(
            f"truncated: storage {storage.key} has {len(data)} bytes, "
            f"expected {storage.size * storage.dtype.itemsize}"
        )
    numbers = np.frombuffer(data, storage.dtype)
    return numbers if byteorder == "<" else numbers.byteswap()


def _unwrapped(content: Any) -> Any:
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            return content[key]
    return content


def _storages_of(content: Any) -> dict[str, _Storage]:
    """Returns every storage that anything in the file is a view of."""
    if isinstance(content, _Tensor):
        return {content.storage.key: content.storage}
    values = content.values() if isinstance(content, dict) else content
    if not isinstance(content, dict | list | tuple):
        return {}
    return {key: s for value in values for key, s in _storages_of(value).items()}


def _read_zip(file: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("a zip archive without PyTorch's data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        with archive.open(pickles[0]) as data:
            content = _Unpickler(data).load()
        big = root + "byteorder" in names and archive.read(root + "byteorder") == b"big"
        storages = {
            key: _numbers(
                archive.read(f"{root}data/{key}"), storage, ">" if big else "<"
            )
            for key, storage in _storages_of(_unwrapped(content)).items()
        }
    return content, storages


def _read_legacy(file: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise ValueError("not a PyTorch file")
    version = _Unpickler(file).load()
    if version != _LEGACY_VERSION:
        raise ValueError(f"format version {version!r}, expected {_LEGACY_VERSION}")
    system = _Unpickler(file).load()
    if not system["little_endian"]:
        raise ValueError("written on a big-endian machine, which is not supported")
    content = _Unpickler(file).load()
    needed = _storages_of(content)
    storages = {}
    # The storages follow in this order, each a count (int64) and its numbers.
    for key in _Unpickler(file).load():
        if key not in needed:
            raise ValueError(f"storage {key} belongs to no tensor")
        size = int.from_bytes(file.read(8), "little")
        if size != needed[key].size:
            raise ValueError(f"truncated: storage {key} is missing or damaged")
        data = file.read(size * needed[key].dtype.itemsize)
        storages[key] = _numbers(data, needed[key])
    missing = needed.keys() - storages.keys()
    if missing:
        raise ValueError(f"storages are missing: {', '.join(sorted(missing))}")
    return content, storages
