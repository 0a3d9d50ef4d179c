"""A survey of a user's copy of a data set: which images it holds, and what is amiss."""

import collections
import dataclasses
import hashlib
import itertools
import pathlib
import re
import unicodedata

from jigsaw_shape.data import archives, image_folders, layouts, split_lists
from jigsaw_shape.data.known_sets import KnownSet
from jigsaw_shape.data.layouts import BETWEEN
from jigsaw_shape.data.names import plain, printable, squashed
from jigsaw_shape.data.shared_classes import some
from jigsaw_shape.system.command_line import counted

_UNLISTED = (
    "image that the official lists leave out",
    "images that the official lists leave out",
)


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
    if layouts.is_table(source):
        return _assemble(spec, source, layouts.of_table(source), {}, [])
    root = extracted or source
    files, repeated = archives.list_files(root)
    if not source.is_dir():
        changed = source.stat().st_mtime_ns
        files = [file._replace(mtime_ns=changed) for file in files]
    found, warnings = layouts.of_files(spec, source, files)
    kept, again = image_folders.without_repeats([entry.file for entry in found])
    if again:
        once = set(kept)
        found = [entry for entry in found if entry.file in once]
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
        warnings.append(layouts.passed(image_folders.REPEATED, repeated))
    return _assemble(spec, source, found, official, notes + warnings)


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
    _refuse_two_spellings(entries, is_known=bool(spec.classes))
    images, unknown, named, unlisted = [], collections.Counter(), set(), []
    with_list = {domain for domain, *_ in official} if spec.listed else set()
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
        if domain in with_list and listed not in official:
            unlisted.append(file.name)
            continue
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
            f"the split files name {counted(len(unnamed), 'missing image')}, such as "
            f"{example}"
        )
    problems = [
        f"{domain}: unknown class folder {folder!r} with {counted(n, 'image')}"
        for (domain, folder), n in sorted(unknown.items())
    ]
    if unlisted:
        warnings.append(layouts.passed(_UNLISTED, unlisted))
    missing = _missing(spec, domains, classes, images)
    if spec.listed and not layouts.is_table(source):
        missing += [
            f"{domain}: {spec.name}'s lists say which images count: put "
            f"{domain}_train.txt and {domain}_test.txt in {source} or beside it"
            for domain in domains
            if domain not in with_list
        ]
    (problems if spec.domains and not spec.totals else warnings).extend(missing)
    return Survey(
        source, spec, domains, classes, tuple(images), tuple(problems), tuple(warnings)
    )


def _refuse_two_spellings(entries, *, is_known: bool) -> None:
    """Refuses two class folders that would be one class, in a domain or over all.

    Over all domains case, Unicode form and kind of space may differ, and in a known set
    any spelling of its classes may stand.
    """
    first = {}
    for place, *_ in entries:
        key, path = squashed(place.class_name), f"{place.domain}/{place.class_name}"
        spelled = {(place.domain, place.between, key): place.class_name}
        if not is_known:
            spelled[key] = _spaced(place.class_name)
        for where, spelling in spelled.items():
            other, expected = first.setdefault(where, (path, spelling))
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
        if empty and (spec.classes or not spec.domains):
            notes.append(f"{domain}: no images of {some(empty)}")
        total = sum(counts[domain, k] for k in range(len(classes)))
        one = spec.domains.get(domain)
        expected = spec.totals.get(domain, () if one is None else (one,))
        if expected and total not in expected:
            allowed = " or ".join(map(str, expected))
            notes.append(f"{domain}: {total} images found, {allowed} expected")
    if spec.n_classes and len(classes) != spec.n_classes:
        notes.append(f"{len(classes)} classes found, {spec.n_classes} expected")
    if spec.n_images and len(images) != spec.n_images:
        notes.append(f"{len(images)} images found in all, {spec.n_images} expected")
    return notes


def _spaced(name: str) -> str:
    """Returns a name whose case, Unicode form and kind of space no longer matter."""
    lower = unicodedata.normalize("NFC", name.lower())
    return re.sub(r"[\s_-]+", "_", lower).strip("_")
