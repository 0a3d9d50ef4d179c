"""Files that are written whole or not at all."""

import contextlib
import pathlib
import secrets
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a file's name to write to, which takes `path`'s place when the block ends.

    A kill or an error leaves the old file or the new one. Several processes may write
    `path`: the last one's stays. Its folder exists.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file as `replacing` does."""
    with replacing(path) as partial:
        partial.write_text(text)
