"""Locks between processes, held by files."""

import contextlib
import fcntl
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def lock(path: pathlib.Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a file's lock, which ends with the process however it ends.

    Args:
      path: The file, created where it is missing.
      wait: Wait for another process that holds it.

    Raises:
      BlockingIOError: Another process holds it, and `wait` is false.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
