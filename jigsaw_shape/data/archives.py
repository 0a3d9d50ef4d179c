"""Files: found, downloaded, listed in folders and archives, extracted."""

import http.client
import io
import os
import pathlib
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence

from jigsaw_shape.data.image_folders import File, is_junk, walk
from jigsaw_shape.data.names import plain
from jigsaw_shape.system.download import download

Parts = tuple[str, ...]  # a path below the folder or archive

_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, EOFError)
# zipfile raises RuntimeError for a password or a compression it does not know.
_UNREADABLE = (*_DAMAGE, zlib.error, RuntimeError)
_CHUNK = 1 << 20  # bytes
_LISTS = "label|split|list|annotation|official"  # in names of folders that hold lists


def list_files(source: pathlib.Path) -> tuple[list[File], list[str]]:
    """Returns the files of a folder or archive, and links that are not followed.

    Of an archive every file is as old as the archive.

    Raises:
      ValueError: There is no such folder or archive, or the archive holds what could
        escape from where it is extracted.
    """
    if source.is_dir():
        return walk(source, with_sizes=True)
    members = [(parts, size) for _, parts, size in _members(source)]
    changed = source.stat().st_mtime_ns
    return [File("/".join(parts), size, changed) for parts, size in members], []


def read_texts(source: pathlib.Path, names: Collection[str]) -> dict[str, str]:
    """Returns `{name: text}` of files in a folder or archive."""
    found = read_files(source, set(names)) if names else ()
    return {name: as_text(data) for name, data in found}


def read_files(
    source: pathlib.Path, names: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Yields name and contents of files in a folder, an archive or beside a table."""
    if source.is_file() and (zipfile.is_zipfile(source) or tarfile.is_tarfile(source)):
        for member, parts, _ in _members(source):
            if "/".join(parts) in names:
                yield "/".join(parts), member.read()
        return
    folder = source if source.is_dir() else source.parent
    yield from ((name, (folder / name).read_bytes()) for name in names)


def as_text(data: bytes) -> str:
    """Returns what a file says, UTF-8 with or without a mark of it."""
    return data.decode("utf-8-sig", errors="replace")


def read_texts_near(
    source: pathlib.Path, is_wanted: Callable[[str], bool]
) -> dict[str, str]:
    """Returns the texts beside or above `source` whose names are wanted.

    Looked for in the two folders above and in folders there for labels, lists, splits
    or annotations, or called official; the first of them that has any.
    """
    for above in source.resolve().parents[:2]:
        if not os.access(above, os.R_OK | os.X_OK):
            continue
        beside = [
            entry
            for entry in sorted(above.iterdir())
            if re.search(_LISTS, entry.name.lower()) and entry.is_dir()
        ]
        for folder in (above, *beside):
            if not os.access(folder, os.R_OK | os.X_OK):
                continue
            names = [name for name in os.listdir(folder) if is_wanted(name)]
            if names := [name for name in names if (folder / name).is_file()]:
                return read_texts(folder, names)
    return {}


def extract(archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Writes an archive's files, junk left out, below `folder`, which is made.

    Raises:
      ValueError: It is no archive, is damaged, or holds a link, a device or a path
        that leads out of `folder`: refused before anything is written.
    """
    list_files(archive)  # refuses before the first file is written
    for member, parts, _ in _members(archive):
        path = folder.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            member.copy_to(out)


def find(
    name: str,
    *,
    source_dir: str | os.PathLike,
    manual: pathlib.Path,
    mirrors: Sequence[str] = (),
    fault_fn: Callable[[pathlib.Path], str],
) -> pathlib.Path:
    """Returns where a data set's files are, a folder or an archive.

    Args:
      name: Of the data set; `$NAME_DIR` may say where it is.
      source_dir: What the user named; `""`: the environment, `manual`, `mirrors`.
      manual: TFDS's folder for what users download themselves, where an entry has the
        data set's name, in any spelling and with any suffix.
      mirrors: Addresses of archives, downloaded to `manual`.
      fault_fn: As for `fetch`.

    Raises:
      ValueError: There is none; says what was tried.
    """
    named = source_dir or named_folder(name)
    if named:
        source = pathlib.Path(named).expanduser().absolute()
        if not source.exists():
            origin = "" if source_dir else f" (from ${name.upper()}_DIR)"
            raise ValueError(f"{source}{origin} does not exist.")
        return source
    for entry in sorted(manual.iterdir()) if manual.is_dir() else ():
        stem = plain(entry.name.split(".")[0])
        if stem == name and entry.suffix not in (".part", ".tag"):
            return entry
    if not mirrors:
        raise ValueError("No public mirror of it is known.")
    try:
        return fetch(mirrors, manual, name, fault_fn=fault_fn)
    except ValueError as error:
        raise ValueError(f"Downloading it failed: {error}") from error


def named_folder(name: str) -> str:
    """Returns where `$NAME_DIR` says that a data set is; "" for nothing."""
    return os.environ.get(f"{name.upper()}_DIR", "")


def fetch(
    urls: Sequence[str],
    folder: pathlib.Path,
    name: str,
    *,
    fault_fn: Callable[[pathlib.Path], str],
) -> pathlib.Path:
    """Returns the archive that the first of `urls` to work gives, in `folder`.

    An interrupted download goes on where it stopped, where the server can do that.

    Args:
      urls: http, https or file, tried in turn.
      folder: Made where it is missing.
      name: Of the archive, without a suffix.
      fault_fn: Says what is wrong with an archive, `""` if it is the right one.

    Raises:
      ValueError: None of them gives the right archive; says why for each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for number, url in enumerate(urls):
        part = folder / f"{name}.{number}.part"
        try:
            download(url, part)
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "code", 0) == 416:  # nothing after what is there
                part.unlink()
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
            continue
        try:
            fault = fault_fn(part)
        except ValueError as error:
            fault = str(error)
        if not fault:
            suffix = "zip" if zipfile.is_zipfile(part) else "tar"
            return part.rename(folder / f"{name}.{suffix}")
        part.unlink()
        reasons.append(f"{url}: {fault}")
    raise ValueError("; ".join(reasons))


class _Member:
    """A file in an open archive."""

    def __init__(self, archive, info, path: pathlib.Path):
        self._archive, self._info, self._path = archive, info, path

    def read(self) -> bytes:
        out = io.BytesIO()
        self.copy_to(out)
        return out.getvalue()

    def copy_to(self, out) -> None:
        is_zip = isinstance(self._archive, zipfile.ZipFile)
        open_fn = self._archive.open if is_zip else self._archive.extractfile
        try:
            with open_fn(self._info) as file:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
        except _UNREADABLE as error:
            name = self._info.filename if is_zip else self._info.name
            raise ValueError(
                f"{name} of {self._path} cannot be read: {error}"
            ) from error


def _members(path: pathlib.Path) -> Iterator[tuple[_Member, Parts, int]]:
    """Yields (member, parts, size) of each file in an archive, junk left out."""
    if not path.exists():
        raise ValueError(f"{path} does not exist")
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    kind = stat.S_IFMT(info.external_attr >> 16)
                    odd = kind not in (0, stat.S_IFREG, stat.S_IFDIR)
                    parts = _safe_parts(path, info.filename, odd=odd)
                    if parts and not info.is_dir():
                        yield _Member(archive, info, path), parts, info.file_size
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                for info in archive:
                    odd = not (info.isfile() or info.isdir())
                    parts = _safe_parts(path, info.name, odd=odd)
                    if parts and info.isfile():
                        yield _Member(archive, info, path), parts, info.size
        else:
            raise ValueError(f"{path} is neither a folder nor a zip or tar archive")
    except (*_DAMAGE, OSError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _safe_parts(archive: pathlib.Path, name: str, *, odd: bool) -> Parts:
    """Returns a member's path, empty for junk; refuses one that could escape."""
    path = pathlib.PurePosixPath(name.replace("\\", "/"))
    escapes = path.is_absolute() or ".." in path.parts
    if re.match("[A-Za-z]:", name) or escapes:
        raise ValueError(f"{archive} is refused: {name!r} leads out of it")
    if odd:
        raise ValueError(f"{archive} is refused: {name!r} is a link or a device")
    return () if any(map(is_junk, path.parts)) else path.parts
