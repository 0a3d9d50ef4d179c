"""Files that are written whole or not at all, in folders that can be written."""

import contextlib
import pathlib
import secrets
import tempfile
from collections.abc import Iterator


def make_folder(folder: pathlib.Path) -> None:
    """Makes a folder where there is none, and sees that files can be written into it.

    Called before long work whose results go there.

    Raises:
      OSError: It cannot be made, or not be written into.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextlib.contextmanager
def replacing(path: pathlib.Path, *, several: bool = False) -> Iterator[pathlib.Path]:
    """Yields a file's name to write to, which takes `path`'s place when the block ends.

    A kill or an error leaves the old file or the new one.

    Args:
      path: The file; its folder exists.
      several: Other processes may write it meanwhile; the last one's stays. Where none
        does, the next one to write takes up what a kill left, under the same name.
    """
    own = f".{secrets.token_hex(4)}" if several else ""
    partial = path.with_name(f".{path.name}{own}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file as `replacing` does; several processes may."""
    with replacing(path, several=True) as partial:
        partial.write_text(text)
