"""What folders of images look like: from paths to domains, classes and splits.

Every layout is `.../{domain}/{class}/*`, perhaps with a folder between domain and
class, under any number of folders, so the end of a file's path says what it is. The
folder between is a split (`train`, `val`) or says nothing (`images`, as in Office-31).
Of a user's own, a folder called `test` or `images` that stands beside domains is one of
them. A table of images (`split_lists`) needs no layout.
"""

import collections
import dataclasses
import hashlib
import itertools
import os
import pathlib
import re
import unicodedata
from collections.abc import Container, Iterable
from typing import NamedTuple

from jigsaw_shape.data import archives, image_folders, split_lists
from jigsaw_shape.data.image_folders import File
from jigsaw_shape.data.known_sets import KnownSet
from jigsaw_shape.data.names import plain, printable, squashed
from jigsaw_shape.data.shared_classes import some

# Folders between domain and class, and the official split that they stand for. `full`,
# in copies of VLCS, repeats the others.
BETWEEN = {
    "train": "train",
    "val": "val",
    "crossval": "val",
    **dict.fromkeys(("test", "full", "images"), ""),
}
_CLEAR_MAJORITY = 0.9  # of the images, where folders of domains are looked for


@dataclasses.dataclass(frozen=True)
class Image:
    """One file: `path` below the surveyed folder, and what it is a picture of.

    `name` is `{domain}/{class}/{file}`, or `{domain}/{split}/{class}/{file}`, in our
    spelling, whatever the folders above are called; `official` is `"train"`, `"val"`
    or `""`; `size` is in bytes; `mtime_ns` is when the file, or the archive that it is
    in, was last changed.
    """

    path: str
    name: str
    domain: str
    label: int
    size: int
    official: str = ""
    mtime_ns: int = 0


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a folder, archive or table holds: `images` by domain, class and name.

    Attributes:
      source: The folder, archive or table that was named.
      spec: What it was taken for.
      domains: Those that have images.
      classes: The spec's, or those found.
      images: In the order of domains, labels and names.
      problems: What is missing or too much, an item each; empty when complete.
      warnings: What was passed over.
    """

    source: pathlib.Path
    spec: KnownSet
    domains: tuple[str, ...]
    classes: tuple[str, ...]
    images: tuple[Image, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def fingerprint(self) -> str:
        """Returns a digest of every image's name, size and official split."""
        lines = sorted(f"{i.name}\t{i.size}\t{i.official}\n" for i in self.images)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Place(NamedTuple):
    """What a file's path says it is."""

    above: tuple[str, ...]  # folders above the domain's
    domain: str
    between: str  # a key of BETWEEN, or ""
    class_name: str


class _Entry(NamedTuple):
    place: _Place
    file: File
    name: str  # the file's alone
    official: str = ""


def survey(
    spec: KnownSet, source: pathlib.Path, *, extracted: pathlib.Path | None = None
) -> Survey:
    """Returns what a folder, archive or table holds, judged by paths and sizes alone.

    Args:
      spec: What to look for.
      source: What the user named.
      extracted: Where the archive's files are, if they are anywhere.

    Raises:
      ValueError: There is no such source, nothing in it is laid out as
        `{domain}/{class}/*`, or several of its folders are.
    """
    if is_table(source):
        return _assemble(spec, source, _listed(source), {}, [])
    root = extracted or source
    files, repeated = archives.list_files(root)
    if not source.is_dir():
        changed = source.stat().st_mtime_ns
        files = [file._replace(mtime_ns=changed) for file in files]
    found, warnings = _placed(spec, source, files)
    kept, again = image_folders.without_repeats([entry.file for entry in found])
    found = [entry for entry in found if entry.file in set(kept)] if again else found
    repeated += again
    lists = [f.name for f in files if split_lists.LIST_FILE.fullmatch(f.parts[-1])]
    texts = archives.read_texts(root, lists)
    domains = {spec.domain(entry.place.domain) for entry in found}

    def is_ours(name):
        match = split_lists.LIST_FILE.fullmatch(name)
        return match and spec.domain(match["domain"] or "") in domains

    texts = texts or archives.read_texts_near(source, is_ours)
    official, notes = split_lists.read_splits(texts)
    official = {
        (spec.domain(domain), squashed(label), file.lower()): split
        for (domain, label, file), split in official.items()
    }
    if repeated:
        warnings.append(_passed("links to what is found by another name", repeated))
    return _assemble(spec, source, found, official, notes + warnings)


def is_table(source: pathlib.Path) -> bool:
    """Returns whether a data set's source is a table of images."""
    return source.suffix.lower() in split_lists.TABLES and source.is_file()


def _placed(spec, source, files) -> tuple[list[_Entry], list[str]]:
    """Returns the images that are in a domain's class, and warnings of the others."""
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
            found[place.above].append(_Entry(place, file, file.parts[-1]))
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
    for what, passed in (
        ("images that are not in {domain}/{class}/", misplaced),
        ("files that are no images by their suffix", others),
        ("folders beside the domains", sorted(strangers[above])),
    ):
        warnings += [_passed(what, passed)] if passed else []
    with_images = {spec.domain(entry.place.domain) for entry in entries}
    for domain, names in no_image.items():
        notes = image_folders.unread_notes(names)
        if domain and domain not in with_images and notes:
            notes[0] = f"{domain}: the whole domain is passed over: {notes[0]}"
        warnings += notes
    return entries, warnings


def _passed(what: str, names: Iterable[str]) -> str:
    return f"passed over {len(names)} {what}, such as {printable(names[0])}"


def _place(file: File, homes: Container = ()) -> _Place | None:
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
    return _Place(tuple(folders[:-1]), folders[-1], between, class_name)


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
            f"{source}: {len(found[largest])} images are laid out as "
            f"{where}/{{domain}}/{{class}}/*, but not all ({len(odd)} others), such as "
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
    return "; ".join([f"{spec.name} looks like {wanted}; {source} has {seen}", *notes])


def _listed(table: pathlib.Path) -> list[_Entry]:
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
        placed.append((row, _Place((), plain(domain), "", plain(class_name)), base))
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
            _Entry(
                place,
                File(row.path, found.st_size, found.st_mtime_ns),
                base if is_one else row.path.strip("/").replace("/", "_"),
                split_lists.official(row.split, place.domain in validated),
            )
        )
    if missing:
        raise ValueError(
            f"{table} names {len(missing)} files that are not there, such as "
            f"{table.parent / missing[0]}"
        )
    return entries


def _assemble(spec, source, entries, official, warnings) -> Survey:
    """Returns the survey of `entries`."""
    spellings, inside = collections.defaultdict(set), collections.defaultdict(set)
    for entry in entries:
        spellings[spec.domain(entry.place.domain)].add(entry.place.domain)
        inside[spec.domain(entry.place.domain)].add(entry.place.between)
    for domain, names in spellings.items():
        if len(names) > 1:
            raise ValueError(f"two folders for {domain}: {', '.join(sorted(names))}")
    if "all" in spellings:
        raise ValueError("TFDS reserves the name 'all': rename the domain's folder")
    domains = tuple(d for d in spec.domains or sorted(spellings) if d in spellings)
    folders = {entry.place.class_name for entry in entries}
    seen = {squashed(folder): plain(folder) for folder in sorted(folders)}
    classes = spec.classes or tuple(sorted(seen.values()))
    label_of = {squashed(name): label for label, name in enumerate(classes)}
    if not spec.classes:
        _refuse_two_spellings(entries, label_of)
    images, unknown, named = [], collections.Counter(), set()
    for place, file, base, split in entries:
        domain, key = spec.domain(place.domain), squashed(place.class_name)
        if place.between == "full" and len(inside[domain]) > 1:
            continue
        if key not in label_of:
            unknown[domain, place.class_name] += 1
            continue
        label = label_of[key]
        between = "" if place.between == "images" else place.between
        parts = (domain, between, classes[label], printable(base))
        named.add(listed := (domain, key, base.lower()))
        split = official.get(listed, split or BETWEEN.get(place.between, ""))
        name = "/".join(part for part in parts if part)
        images.append(
            Image(file.name, name, domain, label, file.size, split, file.mtime_ns)
        )
    if not images:
        raise ValueError(f"{source} has no class folders of {some(classes)}")
    domains = tuple(d for d in domains if any(i.domain == d for i in images))
    images.sort(key=lambda i: (domains.index(i.domain), i.label, i.name))
    for before, image in itertools.pairwise(images):
        if before.name == image.name:
            raise ValueError(f"two files for {image.name}: {before.path}, {image.path}")
    if unnamed := official.keys() - named:
        example = "/".join(min(unnamed))
        warnings.append(
            f"the split files name {len(unnamed)} images that are not there, such as "
            f"{example}"
        )
    problems = [
        f"{domain}: unknown class folder {folder!r} with {n} images"
        for (domain, folder), n in sorted(unknown.items())
    ]
    missing = _missing(spec, domains, classes, images)
    (problems if spec.domains else warnings).extend(missing)
    return Survey(
        source, spec, domains, classes, tuple(images), tuple(problems), tuple(warnings)
    )


def _refuse_two_spellings(entries, label_of) -> None:
    """Refuses two class folders that would be one class, in a domain or over all.

    Over all domains case, Unicode form and kind of space may differ.
    """
    first = {}
    for place, *_ in entries:
        label, path = label_of[squashed(place.class_name)], None
        path = f"{place.domain}/{place.class_name}"
        for key, spelling in (
            ((place.domain, place.between, label), place.class_name),
            (label, _spaced(place.class_name)),
        ):
            other, expected = first.setdefault(key, (path, spelling))
            if spelling != expected:
                raise ValueError(
                    f"the class folders {other!r} and {path!r} have one name but for "
                    "case, punctuation and Unicode's forms: rename one"
                )


def _missing(spec, domains, classes, images) -> list[str]:
    """Returns which domains and classes have no images, or not as many as expected."""
    notes, counts = [], collections.Counter((i.domain, i.label) for i in images)
    for domain in spec.domains or domains:
        if domain not in domains:
            notes.append(f"{domain}: the domain is missing")
            continue
        empty = [name for k, name in enumerate(classes) if not counts[domain, k]]
        if empty:
            notes.append(f"{domain}: no images of {some(empty)}")
        total = sum(counts[domain, k] for k in range(len(classes)))
        expected = spec.domains.get(domain, total)
        if total != expected:
            notes.append(f"{domain}: {total} images found, {expected} expected")
    return notes


def _spaced(name: str) -> str:
    """Returns a name whose case, Unicode form and kind of space no longer matter."""
    lower = unicodedata.normalize("NFC", name.lower())
    return re.sub(r"[\s_-]+", "_", lower).strip("_")
