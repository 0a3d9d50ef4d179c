"""Addresses of folders in buckets, and the folders on a disk that stand for them."""

import pathlib

from jigsaw_shape.system import bucket_files
from jigsaw_shape.system.cache import cache_dir

_ROOTS = {"file": "file:///"}  # where an address does not begin with PROTOCOL://


def is_address(name: object) -> bool:
    """Returns whether this names a folder in a bucket."""
    return "://" in str(name)


def copy_of(name: str) -> pathlib.Path:
    """Returns the folder on a disk that stands for an address, or a folder for itself.

    Raises:
      ValueError: Such addresses cannot be opened.
    """
    if not is_address(name):
        return pathlib.Path(name)
    scheme, _, rest = name.partition("://")
    parts = [part for part in rest.split("/") if part]
    if not parts or {".", ".."} & set(parts) or set(rest) & set("*?[]"):
        raise ValueError(f"{name}: name a folder in a bucket, such as gs://MINE/runs")
    bucket_files.check(name)
    return home().joinpath(scheme, *parts)


def address_of(folder: pathlib.Path) -> str:
    """Returns the address whose copy a folder is; "" of any other folder."""
    folder = folder.absolute()
    if home() not in folder.parents:
        return ""
    scheme, *parts = folder.relative_to(home()).parts
    return _ROOTS.get(scheme, f"{scheme}://") + "/".join(parts)


def home() -> pathlib.Path:
    """Returns the folder of all copies."""
    return cache_dir().absolute() / "buckets"
