"""What folders of images look like: from paths to domains, classes and splits.

Every layout is `.../{domain}/{class}/*`, perhaps with a folder between domain and
class, under any number of folders, so the end of a file's path says what it is. The
folder between is a split (`train`, `val`) or says nothing (`images`, as in Office-31).
Of a user's own, a folder called `test` or `images` that stands beside domains is one of
them. A table of images (`split_lists`) needs no layout.
"""

import collections
import itertools
import os
import pathlib
from collections.abc import Container, Sequence
from typing import NamedTuple

from jigsaw_shape.data import archives, image_folders, split_lists
from jigsaw_shape.data.image_folders import File
from jigsaw_shape.data.known_sets import KnownSet
from jigsaw_shape.data.names import plain, printable
from jigsaw_shape.system.command_line import counted

# Folders between domain and class, and the official split that they stand for. `full`,
# in copies of VLCS, repeats the others.
BETWEEN = {
    "train": "train",
    "val": "val",
    "crossval": "val",
    **dict.fromkeys(("test", "full", "images"), ""),
}
_CLEAR_MAJORITY = 0.9  # of the images, where folders of domains are looked for


class Place(NamedTuple):
    """What a file's path says it is."""

    above: tuple[str, ...]  # folders above the domain's
    domain: str
    between: str  # a key of BETWEEN, or ""
    class_name: str


class Entry(NamedTuple):
    """A file of a data set."""

    place: Place
    file: File
    name: str  # the file's alone
    official: str = ""


def is_table(source: pathlib.Path) -> bool:
    """Returns whether a data set's source is a table of images."""
    return source.suffix.lower() in split_lists.TABLES and source.is_file()


def of_files(
    spec: KnownSet, source: pathlib.Path, files: Sequence[File]
) -> tuple[list[Entry], list[str]]:
    """Returns the images that are in a domain's class, and warnings of the others.

    Args:
      spec: What to look for.
      source: The folder or archive, for messages.
      files: What is in it.

    Raises:
      ValueError: None is, or there are several folders of domains.
    """
    found = collections.defaultdict(list)  # the folder above the domains -> entries
    strangers = collections.defaultdict(set)  # the same, of folders that are no domain
    no_image = collections.defaultdict(list)  # domain -> files
    misplaced = []
    images = [file for file in files if file.is_image]
    homes = set() if spec.domains else {p.above for p in map(_place, images) if p}
    for file in files:
        if split_lists.LIST_FILE.fullmatch(file.parts[-1]):
            continue
        place = _place(file, homes)
        if place is None:
            misplaced += [file.name] if file.is_image else []
        elif not file.is_image:
            no_image[spec.domain(place.domain)].append(file.name)
        elif not spec.domain(place.domain):
            strangers[place.above].add(place.domain)
        else:
            found[place.above].append(Entry(place, file, file.parts[-1]))
    if not found:
        raise ValueError(_nothing_found(spec, source, files, misplaced))
    above = _choose(spec, source, found)
    entries = found[above]
    warnings = [
        f"{folder} is taken for a domain, since it stands beside others: if it holds "
        "the same images as they, move it away or leave it out of config.data.sources"
        for folder in sorted({entry.place.domain for entry in entries})
        if not spec.domains and folder.lower() in BETWEEN
    ]
    others = list(itertools.chain.from_iterable(no_image.values()))
    outside = (
        "image outside of {domain}/{class}/",
        "images outside of {domain}/{class}/",
    )
    beside = "folder beside the domains", "folders beside the domains"
    for what, names in (
        (outside, misplaced),
        (image_folders.NO_IMAGES, others),
        (beside, sorted(strangers[above])),
    ):
        warnings += [passed(what, names)] if names else []
    with_images = {spec.domain(entry.place.domain) for entry in entries}
    for domain, names in no_image.items():
        notes = image_folders.unread_notes(names)
        if domain and domain not in with_images and notes:
            notes[0] = f"{domain}: the whole domain is passed over: {notes[0]}"
        warnings += notes
    return entries, warnings


def passed(what: tuple[str, str], names: Sequence[str]) -> str:
    """Returns the warning that files were passed over; `what`: one, and several."""
    n = counted(len(names), *what)
    return f"passed over {n}, such as {printable(names[0])}"


def _place(file: File, homes: Container = ()) -> Place | None:
    """Returns what a file's path says it is; None where it is not deep enough.

    Args:
      file: An image.
      homes: Folders that hold domains: what is directly in them is one.
    """
    *folders, class_name = file.parts[:-1] or ("",)
    between = ""
    last = folders[-1].lower() if folders else ""
    may_be = last in BETWEEN and (last != "images" or len(folders) > 1)
    if may_be and tuple(folders[:-1]) not in homes:
        between = folders.pop().lower()
    if not folders:
        return None
    return Place(tuple(folders[:-1]), folders[-1], between, class_name)


def _choose(spec: KnownSet, source: pathlib.Path, found: dict) -> tuple[str, ...]:
    """Returns the folder whose subfolders are the domains."""

    def n_domains(above):
        return len({spec.domain(entry.place.domain) for entry in found[above]})

    most = max(map(n_domains, found))
    best = [above for above in found if n_domains(above) == most or not spec.domains]
    if len(best) == 1:
        return best[0]
    largest = max(best, key=lambda above: len(found[above]))
    share = len(found[largest]) / sum(len(found[above]) for above in best)
    if share >= _CLEAR_MAJORITY or () in best:
        odd = [
            entry.file.name
            for above in best
            if above != largest
            for entry in found[above]
        ]
        where = source.joinpath(*largest)
        name_it = f", or name {where}" if largest else ""
        raise ValueError(
            f"{source}: {counted(len(found[largest]), 'image')} laid out as "
            f"{where}/{{domain}}/{{class}}/*, {len(odd)} elsewhere, such as "
            f"{printable(odd[0])}: move what is elsewhere{name_it}"
        )
    folders = ", ".join(str(source.joinpath(*above)) for above in sorted(best))
    raise ValueError(
        f"several folders hold {{domain}}/{{class}}/ for {spec.name}: name one of "
        f"{folders}"
    )


def _nothing_found(spec: KnownSet, source: pathlib.Path, files, misplaced) -> str:
    wanted = f"{source}/{{domain}}/{{class}}/*"
    if spec.domains:
        wanted += f" with the domains {', '.join(spec.domains)}"
    folders = sorted({file.parts[0] for file in files if len(file.parts) > 1})
    seen = ", ".join(map(printable, folders[:8])) + (
        ", ..." if len(folders) > 8 else ""
    )
    seen = f"the folders {seen}" if folders else "no folders with files"
    if misplaced:
        seen += f" and images without a domain folder above, such as {misplaced[0]}"
    notes = image_folders.unread_notes(file.name for file in files)
    return "; ".join(
        [f"{spec.name} should look like {wanted}; {source} has {seen}", *notes]
    )


def of_table(table: pathlib.Path) -> list[Entry]:
    """Returns the images of a table, whose paths are absolute or from its folder."""
    rows = split_lists.read_table(table.name, archives.as_text(table.read_bytes()))
    if not rows:
        raise ValueError(f"{table} names no image")
    placed = []
    for row in rows:
        *_, domain, class_name, base = ("", "", *row.path.split("/"))
        domain, class_name = row.domain or domain, row.class_name or class_name
        if not (domain and class_name):
            raise ValueError(
                f"{table}: {row.path} has no domain or no class: give both as columns, "
                "or paths that end in domain/class/file"
            )
        placed.append((row, Place((), plain(domain), "", plain(class_name)), base))
    same_name = collections.Counter((place, base) for _, place, base in placed)
    validated = {
        place.domain
        for row, place, _ in placed
        if split_lists.official(row.split) == "val"
    }
    entries, missing = [], []
    for row, place, base in placed:
        try:
            found = os.stat(table.parent / row.path)
        except OSError:
            missing.append(row.path)
            continue
        is_one = same_name[place, base] == 1
        entries.append(
            Entry(
                place,
                File(row.path, found.st_size, found.st_mtime_ns),
                base if is_one else row.path.strip("/").replace("/", "_"),
                split_lists.official(row.split, place.domain in validated),
            )
        )
    if missing:
        raise ValueError(
            f"{table} names {counted(len(missing), 'missing file')}, such as "
            f"{table.parent / missing[0]}"
        )
    return entries
