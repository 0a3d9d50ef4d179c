"""Folders in buckets: `gs://`, `s3://`, and whatever else fsspec opens.

Work is done in a copy on a disk, below the user's cache directory. `fetch` makes the
copy what the bucket has, `store` the bucket what the copy has; `kept` and `storing` do
both around a run. Any other folder passes through all of them untouched.

A folder in a bucket says which copy it was stored from last. That copy is as new as the
bucket or newer, and is never written to: what did not reach the bucket is not lost.
Every other copy follows the bucket. A bucket has no locks: two machines must not write
the same folder at once.

Checkpoints, `checkpoints/STEP`, appear in a bucket whole: the file that completes one
is stored last, after the rows that belong to it, and one without it does not count.
"""

import contextlib
import os
import pathlib
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping

from absl import logging

from jigsaw_shape.system import addresses, bucket_files, whole_files
from jigsaw_shape.system.bucket_copies import (
    COMPLETES,
    STEPS,
    alone,
    beside,
    completes,
    files_of,
    identity_of,
    is_visible,
    names_in,
    step_of,
)
from jigsaw_shape.system.bucket_files import BucketFiles, failing
from jigsaw_shape.system.lock import lock

_WRITER = ".writer"  # in the bucket: the identity of the copy that it was stored from
_CLAIMED = bucket_files.State("", 0, 0)  # that there is a writer: there was something
_LOOK_EVERY_S = 5.0


def here(name: str, *, weights: bool = True) -> str:
    """Returns the name of a folder on a disk, with what an address has in it.

    Args:
      name: An address; anything else is returned as it is.
      weights: See `fetch`.

    Raises:
      ValueError: Nothing is there, or such addresses cannot be opened.
      OSError: It cannot be read.
    """
    if not addresses.is_address(name):
        return name
    folder = addresses.copy_of(name)
    fetch(folder, weights=weights)
    files = (path for path in folder.rglob("*") if path.is_file())
    if not any(is_visible(path.relative_to(folder)) for path in files):
        raise ValueError(f"{name}: nothing is there")
    return str(folder)


def fetch(folder: pathlib.Path, *, weights: bool = True) -> None:
    """Makes a copy what the bucket has, unless it was stored from this copy.

    Args:
      folder: A copy, of a run, of a folder of runs, or of anything else.
      weights: Whether checkpoints are needed.

    Raises:
      OSError: The bucket cannot be read.
    """
    if not (address := addresses.address_of(folder)):
        return
    with failing(f"{address} cannot be read"):
        files = files_of(folder)
        there, stored = files.tokens(), _stored_folders(files.noted())
        inside = _stored_folders(there) | {""}
        groups = {name: {} for name in inside}
        for path, token in there.items():
            parents = [str(p) for p in pathlib.PurePosixPath(path).parents]
            name = next(p for p in (*parents[:-1], "") if p in inside)
            groups[name][path[len(name) :].lstrip("/")] = token
        for name in stored:
            if not groups.get(name):
                _drop(folder / name)
        for name, tokens in groups.items():
            if tokens:
                _follow(folder / name, tokens, weights)


def store(
    folder: pathlib.Path, *, apart: Collection[str] = (), is_new: bool = False
) -> None:
    """Makes the bucket what a copy has, if it was stored from there or has nothing.

    What the copy had and has no more is deleted there.

    Args:
      folder: A copy, of a run or a data set.
      apart: Names of files that are left to `put`.
      is_new: Whether the copy replaces all that is there.

    Raises:
      OSError: The bucket cannot be written, or is stored from another copy now.
    """
    _store(folder, apart, is_new=is_new)


def complete(folder: pathlib.Path) -> None:
    """Stores what an earlier attempt did not, and deletes nothing.

    Raises:
      OSError: The bucket cannot be written.
    """
    _store(folder, (), deletes=False)


def _store(
    folder: pathlib.Path,
    apart: Collection[str],
    *,
    is_new: bool = False,
    deletes: bool = True,
) -> None:
    if not (address := addresses.address_of(folder)) or not folder.is_dir():
        return
    with alone(folder), failing(f"{address} cannot be written; all is in {folder}"):
        files = files_of(folder)
        there = files.tokens()
        if not there or is_new:
            _claim(folder, files)
        elif not _is_ours(folder, files, there):
            if deletes:
                raise PermissionError("it is stored from another machine now")
            return
        noted = files.noted()
        ours = {}
        for name in set(names_in(folder)) - set(apart):
            with contextlib.suppress(FileNotFoundError):  # just deleted
                ours[name] = files.state(name)
        changed = [
            name
            for name, state in ours.items()
            if there.get(name) is None
            or noted.get(name) != state._replace(token=there[name])
        ]
        completing = [n for n in changed if completes(n)]
        # What completes the old must not complete a part of the new.
        files.delete(name for name in completing if name in there)
        # Rows after the weights: at least those that were there with the step.
        rows = [n for n in changed if not step_of(n) and n not in completing]
        for step in sorted({step_of(n) for n in changed} - {""}):
            names = [n for n in changed if step_of(n) == step and n not in completing]
            if not _put_if_there(files, folder / step, names):
                completing = [n for n in completing if step_of(n) != step]
        files.put(rows)
        for name in completing:
            _put_if_there(files, folder / name, [name])
        gone = [
            name
            for name in there.keys() - ours.keys() - {_WRITER, *apart}
            if is_new or (deletes and (name in noted or step_of(name)))
        ]
        files.delete(gone)
        there = files.tokens()
        states = {n: s._replace(token=there[n]) for n, s in ours.items() if n in there}
        files.note(states, forget=gone)


def _put_if_there(files: BucketFiles, path: pathlib.Path, names: list[str]) -> bool:
    """Stores files; returns False where `path`, which they are of, has been deleted."""
    try:
        files.put(names)
    except FileNotFoundError:
        if path.exists():
            raise
        return False
    return True


def put(folder: pathlib.Path, names: Collection[str]) -> None:
    """Stores some files of a copy, and deletes there those that it has not.

    Raises:
      OSError: The bucket cannot be written.
    """
    if not (address := addresses.address_of(folder)):
        return
    with alone(folder), failing(f"{address} cannot be written"):
        files = files_of(folder)
        there = files.tokens()
        files.put([name for name in names if (folder / name).exists()])
        files.delete(n for n in names if n in there and not (folder / n).exists())


@contextlib.contextmanager
def kept(folder: pathlib.Path, apart: Collection[str] = ()) -> Iterator[None]:
    """Fetches a run's copy, and keeps other processes of this machine from it.

    Args:
      folder: The run's directory.
      apart: Names of files that another process writes and `put`s.

    Raises:
      ValueError: A process on this machine keeps it already.
      OSError: The bucket cannot be read.
    """
    if not (address := addresses.address_of(folder)):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(beside(folder, "kept"), wait=False))
        except BlockingIOError as error:
            raise ValueError(
                f"{address} is in use by another process: wait, or choose another "
                "--workdir"
            ) from error
        with failing(f"{address} cannot be read"):
            files = files_of(folder)
            there = files.tokens()
            if inner := _stored_folders(there) - {""}:
                raise ValueError(
                    f"it holds runs, such as {min(inner)}: name a folder of its own"
                )
            if not there and files.noted():
                _drop(folder, apart, is_kept=True)
            _follow(folder, there, True, apart)
        yield


@contextlib.contextmanager
def storing(folder: pathlib.Path, apart: Collection[str] = ()) -> Iterator[None]:
    """Stores a run's copy, which is `kept`, after each checkpoint and in the end.

    Args:
      folder: The run's directory.
      apart: As for `kept`.

    Raises:
      OSError: The bucket cannot be written.
    """
    if not (address := addresses.address_of(folder)):
        yield
        return
    with failing(f"{address} cannot be written"):
        _claim(folder, files_of(folder))
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(folder, apart, stop), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()
        store(folder, apart=apart)


def _keep(folder: pathlib.Path, apart: Collection[str], stop: threading.Event) -> None:
    stored = set()
    while not stop.wait(_LOOK_EVERY_S):
        whole = set((folder / STEPS).glob(f"[0-9]*/{COMPLETES[0]}"))
        if whole != stored:
            try:
                store(folder, apart=apart)
                stored = whole
            except OSError as error:
                if isinstance(error.__cause__, PermissionError):
                    logging.error("%s", error)
                    return
                logging.warning("%s. Trying again", error)


def _follow(
    folder: pathlib.Path,
    there: Mapping[str, str],
    weights: bool,
    apart: Collection[str] = (),
) -> None:
    """Makes a run's or data set's copy what the bucket has, unless that was its writer.

    Args:
      folder: The copy.
      there: Tokens of the bucket's files.
      weights: Whether checkpoints are needed.
      apart: Names of files that are left alone.
    """
    with alone(folder):
        files = files_of(folder)
        noted = files.noted()
        if not there or _is_ours(folder, files, there):
            return
        steps = {step_of(n) for n in there if completes(n)}
        usable = {n for n in there if step_of(n) in steps | {""} and n != _WRITER}
        if _WRITER in there:
            files.note({_WRITER: _CLAIMED})
            for step in (folder / STEPS).glob("[0-9]*"):
                if f"{STEPS}/{step.name}" not in steps:
                    shutil.rmtree(step)
            for name in set(names_in(folder)) - usable - set(apart):
                (folder / name).unlink()
        wanted = {
            name: there[name]
            for name in usable
            if name not in apart
            and (weights or not step_of(name))
            and not (
                (folder / name).exists()
                and noted.get(name) == files.state(name)._replace(token=there[name])
            )
        }
        # A step's folder is complete when all else is there.
        order = sorted(wanted, key=completes)
        files.get({name: wanted[name] for name in order})


def _drop(
    folder: pathlib.Path, apart: Collection[str] = (), *, is_kept: bool = False
) -> None:
    """Deletes the copy of what was deleted in the bucket.

    It stays where it has what was never there, or a process keeps it.
    """
    with contextlib.ExitStack() as stack:
        if not is_kept:
            try:
                stack.enter_context(lock(beside(folder, "kept"), wait=False))
            except BlockingIOError:
                return
        stack.enter_context(alone(folder))
        files = files_of(folder)
        noted, names = files.noted(), set(names_in(folder)) - set(apart)
        for name in names:
            state = files.state(name)
            if name in noted and noted[name][1:] != state[1:]:
                return
            is_weights = step_of(name) or completes(name)
            if name not in noted and is_weights:
                return
        shutil.rmtree(folder / STEPS, ignore_errors=True)
        for name in names:
            (folder / name).unlink(missing_ok=True)
        for parent, *_ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):  # there is more in it
                os.rmdir(parent)
        inner = tuple(f"{name}/" for name in _stored_folders(noted) if name)
        files.note({}, forget=[name for name in noted if not name.startswith(inner)])


def _claim(folder: pathlib.Path, files: BucketFiles) -> None:
    """Says in the bucket that it is stored from this copy."""
    identity = identity_of(folder)
    if not identity.exists():
        whole_files.write_text(identity, secrets.token_hex(16))
    files.write(_WRITER, identity.read_text())
    files.note({_WRITER: _CLAIMED})


def _is_ours(
    folder: pathlib.Path, files: BucketFiles, there: Mapping[str, str]
) -> bool:
    """Returns whether the bucket was stored from this copy."""
    identity = identity_of(folder)
    if _WRITER not in there or not identity.exists() or not folder.is_dir():
        return False
    return files.read(_WRITER) == identity.read_text()


def _stored_folders(names: Collection[str]) -> set[str]:
    """Returns the folders among these files that were stored: of runs or data sets."""
    writers = (name for name in names if name.rpartition("/")[2] == _WRITER)
    return {name.rpartition("/")[0] for name in writers}
