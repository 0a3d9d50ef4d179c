"""Folders in buckets: `gs://`, `s3://`, and whatever else fsspec opens.

Work is done in a copy on a disk, below the user's cache directory. `fetch` makes the
copy what the bucket has, `store` the bucket what the copy has, and `kept` does both
around a run. Any other folder passes through all of them untouched.

Only what has changed since the two were last the same is copied, which is noted beside
the copies; so work that did not reach the bucket is not lost where its copy is.

Checkpoints, `checkpoints/STEP`, appear in a bucket whole: the file that completes one
is stored last, after the rows that belong to it, and one without it does not count. A
bucket has no locks: two machines must not write the same folder at once.
"""

import contextlib
import pathlib
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import fsspec
from absl import logging
from fsspec.callbacks import Callback
from fsspec.utils import tokenize

from jigsaw_shape.system.cache import cache_dir
from jigsaw_shape.system.command_line import progress_bar
from jigsaw_shape.system.lock import lock

_INSTALL = "gs:// and s3:// need pip install 'jigsaw_shape[buckets]'"
_STEPS = "checkpoints"
_COMPLETES = "_CHECKPOINT_METADATA"  # Orbax's, in the folder of each step
_UNFINISHED = "orbax-checkpoint-tmp"  # in the name of what Orbax is writing
_LOOK_EVERY_S = 5.0
_UNKNOWN = ""
_ROOTS = {"file": "file:///"}  # where an address does not begin with PROTOCOL://


class _State(NamedTuple):
    """A file when it was the same there and here.

    Attributes:
      token: What tells its version there; `_UNKNOWN` while it is being stored.
      size: Here, in bytes.
      mtime_ns: Here, when it was last changed.
    """

    token: str
    size: int
    mtime_ns: int

    def is_stored(self, noted: "_State | None") -> bool:
        """Returns whether a file here is what was noted when it had been stored."""
        return noted is not None and noted.token != _UNKNOWN and noted[1:] == self[1:]


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
    if not parts or {".", ".."} & set(parts):
        raise ValueError(f"{name}: name a folder in a bucket, such as gs://MINE/runs")
    _open(name)
    return _home().joinpath(scheme, *parts)


def address_of(folder: pathlib.Path) -> str:
    """Returns the address whose copy a folder is; "" of any other folder."""
    home, folder = _home(), folder.absolute()
    if home not in folder.parents:
        return ""
    scheme, *parts = folder.relative_to(home).parts
    return _ROOTS.get(scheme, f"{scheme}://") + "/".join(parts)


def here(name: str, *, weights: bool = True) -> str:
    """Returns the name of a folder on a disk, with what an address has in it.

    Args:
      name: An address; anything else is returned as it is.
      weights: See `fetch`.

    Raises:
      ValueError: Nothing is there, or such addresses cannot be opened.
      OSError: It cannot be read.
    """
    if not is_address(name):
        return name
    folder = copy_of(name)
    if not fetch(folder, weights=weights):
        raise ValueError(f"{name}: nothing is there")
    return str(folder)


def fetch(folder: pathlib.Path, *, weights: bool = True) -> bool:
    """Copies what has changed in the bucket, and drops the checkpoints that went there.

    A run that is `kept` on this machine is left as it is. Returns whether the folder is
    a copy of something.

    Args:
      folder: A copy, of a run, of a folder of runs, or of anything else.
      weights: Whether checkpoints are needed.

    Raises:
      OSError: The bucket cannot be read.
    """
    return _fetch(folder, weights, lambda path: _is_kept(folder, path))


def store(folder: pathlib.Path) -> None:
    """Makes the bucket what a run's copy has, or any other folder's without runs in it.

    What the copy had and has no more is deleted there.

    Raises:
      OSError: The bucket cannot be written.
    """
    if not (address := address_of(folder)) or not folder.is_dir():
        return
    failing = f"{address} cannot be written ({folder} has all that there is)"
    with _transfer(folder, failing):
        noted = _read_notes(address)
        files = {}
        for path in _files(folder):
            status = path.stat()
            name = path.relative_to(folder).as_posix()
            files[name] = _State(_UNKNOWN, status.st_size, status.st_mtime_ns)
        changed = [n for n, state in files.items() if not state.is_stored(noted.get(n))]
        # So that what is stored now is deleted later even where this ends half-way.
        _write_notes(address, {name: files[name] for name in changed})

        complete = [name for name in changed if name.endswith(f"/{_COMPLETES}")]
        of_steps = [n for n in changed if _step(n) and n not in complete]
        # Of these, rows, at least those that were there when the steps were listed.
        others = [name for name in changed if not _step(name)]
        for names in (of_steps, others, complete):
            _put(address, folder, names)
        there = _list(address)
        gone = [name for name in noted if name not in files]
        _delete(address, [name for name in gone if name in there])
        now = {name: files[name]._replace(token=there[name]) for name in changed}
        _write_notes(address, now, forget=gone)


@contextlib.contextmanager
def kept(folder: pathlib.Path) -> Iterator[None]:
    """Fetches a run's copy, stores it after each checkpoint, and when the block ends.

    Raises:
      ValueError: A process on this machine keeps it already.
      OSError: The bucket cannot be read or, in the end, not be written.
    """
    if not address_of(folder):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(_lock_file(folder, "kept"), wait=False))
        except BlockingIOError as error:
            raise ValueError(
                f"{address_of(folder)} is in use by another process: wait, or choose "
                "another --workdir"
            ) from error
        _fetch(folder, True, lambda path: False)
        stop = threading.Event()
        keeper = threading.Thread(target=_keep, args=(folder, stop), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            stop.set()
            keeper.join()
            store(folder)


def _keep(folder: pathlib.Path, stop: threading.Event) -> None:
    stored = _whole(folder)
    while not stop.wait(_LOOK_EVERY_S):
        whole = _whole(folder)
        if whole == stored:
            continue
        try:
            store(folder)
            stored = whole
        except OSError as error:
            # A step may be deleted for a later one while it is copied.
            if not isinstance(error.__cause__, FileNotFoundError):
                logging.warning("%s. Trying again", error)


def _whole(folder: pathlib.Path) -> set[pathlib.Path]:
    return set((folder / _STEPS).glob(f"[0-9]*/{_COMPLETES}"))


def _fetch(folder: pathlib.Path, weights: bool, is_left: Callable[[str], bool]) -> bool:
    if not (address := address_of(folder)):
        return False
    with _transfer(folder, f"{address} cannot be read"):
        there, noted = _list(address), _read_notes(address)
        steps = {_step(n) for n in there if n.endswith(f"/{_COMPLETES}")} | {""}
        wanted = [
            name
            for name, token in there.items()
            if _step(name) in (steps if weights else [""])
            and not (
                name in noted
                and noted[name].token == token
                and (folder / name).exists()
            )
            and not is_left(name)
        ]
        for run in {(folder / name).parent for name in wanted if not _step(name)}:
            for step in (run / _STEPS).glob("[0-9]*"):
                if step.relative_to(folder).as_posix() not in steps:
                    shutil.rmtree(step)
        _get(address, folder, wanted)
        now = {}
        for name in wanted:
            status = (folder / name).stat()
            now[name] = _State(there[name], status.st_size, status.st_mtime_ns)
        _write_notes(address, now)
    return bool(there)


def _step(name: str) -> str:
    """Returns the folder of the checkpoint that a file is of; "" of any other file."""
    parts = name.split("/")
    n = parts.index(_STEPS) + 2 if _STEPS in parts else 0
    return "/".join(parts[:n]) if n < len(parts) else ""


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the files that a bucket keeps: no locks, nothing that is being written."""
    for path in folder.rglob("*"):
        is_own = path.name.startswith(".") or _UNFINISHED in str(path)
        if not is_own and path.is_file():
            yield path


def _is_kept(folder: pathlib.Path, name: str) -> bool:
    """Returns whether a process on this machine keeps the run that a file is of."""
    for parent in (folder / name).parents:
        file = _lock_file(parent, "kept")
        if file.exists():
            try:
                with lock(file, wait=False):
                    pass
            except BlockingIOError:
                return True
        if parent == folder:
            return False
    return False


@contextlib.contextmanager
def _transfer(folder: pathlib.Path, failing: str) -> Iterator[None]:
    """Copies files alone; what a bucket's library raises becomes an `OSError`."""
    with lock(_lock_file(folder, "transfer")):
        try:
            yield
        except Exception as error:  # they raise nearly any kind
            reason = " ".join(str(error).split()) or type(error).__name__
            raise OSError(f"{failing}: {reason}") from error


def _lock_file(folder: pathlib.Path, purpose: str) -> pathlib.Path:
    """Returns a file to lock: beside the copies, as a copy shows what a bucket has."""
    locks = _home() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return locks / f"{tokenize(str(folder.absolute()))}.{purpose}"


def _home() -> pathlib.Path:
    return cache_dir().absolute() / "buckets"


def _open(address: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Returns the file system of an address, and its path there."""
    options = {"auto_mkdir": True} if address.startswith("file://") else {}
    try:
        return fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        raise ValueError(f"{address}: {error} ({_INSTALL})") from error
    except ValueError as error:
        raise ValueError(f"{address}: {error}: use gs:// or s3://") from error


def _list(address: str) -> dict[str, str]:
    """Returns a token for each file below an address, other when the file is."""
    files, root = _open(address)
    files.invalidate_cache()
    found = files.find(root, detail=True)
    return {
        name[len(root) :].strip("/"): tokenize(info) for name, info in found.items()
    }


def _get(address: str, folder: pathlib.Path, names: list[str]) -> None:
    if not names:
        return
    files, root = _open(address)
    with progress_bar(f"fetching {address}", len(names)) as update:
        callback = Callback(hooks={"bar": lambda size, value, **_: update(value)})
        targets = [str(folder / name) for name in names]
        files.get([f"{root}/{name}" for name in names], targets, callback=callback)


def _put(address: str, folder: pathlib.Path, names: list[str]) -> None:
    if names:
        files, root = _open(address)
        sources = [str(folder / name) for name in names]
        files.put(sources, [f"{root}/{name}" for name in names])


def _delete(address: str, names: list[str]) -> None:
    if names:
        files, root = _open(address)
        files.rm([f"{root}/{name}" for name in names])


@contextlib.contextmanager
def _notes() -> Iterator[sqlite3.Connection]:
    """Yields the table of what was the same; what is written appears together."""
    _home().mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(_home() / "notes.sqlite", 60)) as notes:
        columns = "address TEXT PRIMARY KEY, token TEXT, size INTEGER, mtime INTEGER"
        with notes:
            notes.execute(f"CREATE TABLE IF NOT EXISTS same ({columns})")
            yield notes


def _read_notes(address: str) -> dict[str, _State]:
    with _notes() as notes:
        rows = notes.execute(
            "SELECT * FROM same WHERE address BETWEEN ? AND ?",
            (f"{address}/", f"{address}0"),  # 0 follows /
        ).fetchall()
    return {name[len(address) + 1 :]: _State(*state) for name, *state in rows}


def _write_notes(
    address: str, states: Mapping[str, _State], forget: Iterable[str] = ()
) -> None:
    with _notes() as notes:
        notes.executemany(
            "REPLACE INTO same VALUES (?, ?, ?, ?)",
            [(f"{address}/{name}", *state) for name, state in states.items()],
        )
        notes.executemany(
            "DELETE FROM same WHERE address = ?",
            [(f"{address}/{name}",) for name in forget],
        )
