"""The files of one folder in a bucket, beside those of its copy on a disk."""

import contextlib
import pathlib
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import fsspec
from fsspec.callbacks import Callback
from fsspec.utils import tokenize

from jigsaw_shape.system.command_line import progress_bar

_INSTALL = "gs:// and s3:// need pip install 'jigsaw_shape[buckets]'"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS same "
    "(address TEXT PRIMARY KEY, token TEXT, size INTEGER, mtime_ns INTEGER)"
)
_STAGING = ".fetched"  # in the copy: what is on its way
_LASTING = (FileNotFoundError, PermissionError, ValueError)  # the same the next time


class State(NamedTuple):
    """A file when it was the same there and here.

    Attributes:
      token: What tells its version in the bucket.
      size: Of the copy's file, in bytes.
      mtime_ns: When that was last changed.
    """

    token: str
    size: int
    mtime_ns: int


def check(address: str) -> None:
    """Refuses an address that no library opens.

    Raises:
      ValueError: Says which package is missing, or what is allowed.
    """
    _open(address)


@contextlib.contextmanager
def failing(what: str) -> Iterator[None]:
    """Turns what a bucket's library raises into an `OSError` that begins with `what`.

    A `ConnectionError` if it may pass.
    """
    try:
        yield
    except Exception as error:  # they raise nearly any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        lasts = isinstance(error, _LASTING) or reason.startswith("Forbidden")
        lasts |= getattr(error, "code", None) in (401, 403)  # gcsfs's
        kind = OSError if lasts else ConnectionError
        raise kind(f"{what}: {reason}") from error


class BucketFiles:
    """The files below an address, by their names from there, such as `a/config.json`.

    Which of them are the same as in the copy is noted in a table beside the copies.
    """

    def __init__(self, address: str, folder: pathlib.Path, notes: pathlib.Path):
        """Opens nothing yet.

        Args:
          address: Of the folder in the bucket.
          folder: Its copy.
          notes: The table's file.
        """
        self._address, self._folder, self._notes = address, folder, notes
        self._files, self._root = _open(address)

    def tokens(self) -> dict[str, str]:
        """Returns a token for each file there, which is another when the file is."""
        self._files.invalidate_cache()
        # Else fsspec's own listing passes over folders that it cannot read.
        strict = {} if self._files.async_impl else {"on_error": "raise"}
        try:
            found = self._files.find(self._root, detail=True, **strict)
        except FileNotFoundError:
            if self._files.exists(self._root):
                raise
            return {}
        if self._root in found and found[self._root].get("size"):
            raise ValueError("it is a file: name its folder")
        begin = len(self._root) + 1
        return {  # without the empty files that stand for folders
            path[begin:]: tokenize(about)
            for path, about in found.items()
            if path[begin:] and not path.endswith("/")
        }

    def read(self, name: str) -> str:
        """Returns the text of a file there."""
        return self._files.cat_file(f"{self._root}/{name}").decode()

    def get(self, names: Mapping[str, str]) -> None:
        """Copies files, each with its token, and notes them; each appears whole."""
        if not names:
            return
        staging = self._folder / _STAGING
        shutil.rmtree(staging, ignore_errors=True)
        sources = [f"{self._root}/{name}" for name in names]
        with progress_bar(f"fetching {self._address}", len(names)) as update:
            callback = Callback(hooks={"bar": lambda size, value, **_: update(value)})
            targets = [str(staging / name) for name in names]
            self._files.get(sources, targets, callback=callback)
        states = {}
        for name, token in names.items():
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(target)
            states[name] = self.state(name)._replace(token=token)
        shutil.rmtree(staging, ignore_errors=True)
        self.note(states)

    def put(self, names: Collection[str]) -> None:
        """Stores files of the copy."""
        if names:
            sources = [str(self._folder / name) for name in names]
            self._files.put(sources, [f"{self._root}/{name}" for name in names])

    def write(self, name: str, text: str) -> None:
        """Stores a text under a name that the copy need not have."""
        self._files.pipe_file(f"{self._root}/{name}", text.encode())

    def delete(self, names: Iterable[str]) -> None:
        """Deletes files there."""
        for name in names:
            self._files.rm_file(f"{self._root}/{name}")

    def state(self, name: str) -> State:
        """Returns the state of the copy's file, whose token is not known."""
        status = (self._folder / name).stat()
        return State("", status.st_size, status.st_mtime_ns)

    def noted(self) -> dict[str, State]:
        """Returns what was the same, by names."""
        with self._table() as table:
            rows = table.execute(
                "SELECT * FROM same WHERE address BETWEEN ? AND ?",
                (f"{self._address}/", f"{self._address}0"),  # 0 follows /
            ).fetchall()
        begin = len(self._address) + 1
        return {address[begin:]: State(*state) for address, *state in rows}

    def note(self, states: Mapping[str, State], forget: Iterable[str] = ()) -> None:
        """Notes what is the same now, and forgets what is no more."""
        with self._table() as table:
            table.executemany(
                "REPLACE INTO same VALUES (?, ?, ?, ?)",
                [(f"{self._address}/{name}", *state) for name, state in states.items()],
            )
            table.executemany(
                "DELETE FROM same WHERE address = ?",
                [(f"{self._address}/{name}",) for name in forget],
            )

    @contextlib.contextmanager
    def _table(self) -> Iterator[sqlite3.Connection]:
        self._notes.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self._notes, 60)) as table, table:
            table.execute(_TABLE)
            yield table


def _open(address: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system of an address, and its path there."""
    options = {"auto_mkdir": True} if address.startswith("file://") else {}
    try:
        return fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        raise ValueError(f"{address}: {error} ({_INSTALL})") from error
    except ValueError as error:
        raise ValueError(f"{address}: {error}: use gs:// or s3://") from error
