"""What image folders look like: the known data sets, and a survey of a user's copy.

Every layout is `.../{domain}/{class}/*` or `.../{domain}/{train,val}/{class}/*` under
any number of folders, so the end of a file's path says what it is, and the folders
above are whatever the copy came in: `PACS/`, `PACS/kfold/`, DomainBed's. Of a user's
own, a folder called `test` or the like that stands beside domains is one of them.
"""

import collections
import dataclasses
import hashlib
import itertools
import pathlib
import re
import unicodedata
from collections.abc import Container
from typing import NamedTuple

from jigsaw_shape.data import archives as files_lib
from jigsaw_shape.data import image_folders, splits
from jigsaw_shape.data.known_sets import KnownSet
from jigsaw_shape.data.names import plain, squashed

# Folders between domain and class, as Dassl lays out Digits-DG, and the `official` that
# they stand for. `full`, in copies of VLCS, repeats the others.
_SPLIT_FOLDERS = {
    "train": "train",
    "val": "val",
    "crossval": "val",
    "test": "",
    "full": "",
}


@dataclasses.dataclass(frozen=True)
class Image:
    """One file: `path` below the surveyed folder, and what it is a picture of.

    `name` is `{domain}/{class}/{file}`, or `{domain}/{split}/{class}/{file}`, in our
    spelling, whatever the folders above are called; `official` is `"train"`, `"val"`
    or `""`; `size` is in bytes.
    """

    path: str
    name: str
    domain: str
    label: int
    size: int
    official: str = ""


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a folder holds: `images` by domain, class and name.

    Attributes:
      source: The folder or archive that was named.
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
    """Returns what a folder or archive holds, judged by paths and sizes alone.

    Args:
      spec: What to look for.
      source: The folder or archive that the user named.
      extracted: Where the archive's files are, if they are anywhere.

    Raises:
      ValueError: There is no such folder or archive, nothing in it is laid out as
        `{domain}/{class}/*`, or several of its folders are.
    """
    root = extracted or source
    files = files_lib.list_files(root)
    found = collections.defaultdict(list)  # the folder above the domains -> files
    strangers = collections.defaultdict(set)  # the same, of folders that are no domain
    lists, misplaced, no_image = [], [], []
    images = [parts for parts in files if image_folders.is_image(parts[-1])]
    homes = set() if spec.domains else {p.above for p in map(_place, images) if p}
    for parts, size in files.items():
        if splits.KFOLD_FILE.fullmatch(parts[-1]):
            lists.append(parts)
            continue
        place, is_image = _place(parts, homes), image_folders.is_image(parts[-1])
        if place is None:
            misplaced += ["/".join(parts)] if is_image else []
        elif not is_image:
            no_image.append("/".join(parts))
        elif not spec.domain(place.folder):
            strangers[place.above].add(place.folder)
        else:
            found[place.above].append((place, parts, size))
    if not found:
        raise ValueError(_nothing_found(spec, source, files, misplaced))
    above = _choose(spec, source, found)
    texts = files_lib.read_texts(root, lists)
    texts = texts or files_lib.read_texts_near(source, splits.KFOLD_FILE)
    official, warnings = splits.read_kfold(texts)
    official = {
        f"{spec.domain(domain)}/{plain(label)}/{file}".lower(): split
        for (domain, label, file), split in official.items()
    }
    warnings += [
        f"{folder} is taken for a domain, since it stands beside others: if it holds "
        "the same images as they, move it away or leave it out of config.data.sources"
        for folder in sorted({place.folder for place, _, _ in found[above]})
        if not spec.domains and folder.lower() in _SPLIT_FOLDERS
    ]
    for what, passed in (
        ("images that are not in {domain}/{class}/", misplaced),
        ("files that are no images by their suffix", no_image),
        ("folders beside the domains", sorted(strangers[above])),
    ):
        if passed:
            warnings.append(f"passed over {len(passed)} {what}, such as {passed[0]}")
    return _assemble(spec, source, found[above], official, warnings)


class _Place(NamedTuple):
    above: tuple[str, ...]  # folders above the domain's
    folder: str  # the domain's
    split: str  # a key of _SPLIT_FOLDERS, or ""
    class_folder: str


def _place(parts: tuple[str, ...], homes: Container = ()) -> _Place | None:
    """Returns what a file's path says it is; None where it is not deep enough.

    Args:
      parts: The path.
      homes: Folders that hold domains: what is directly in them is no split.
    """
    *folders, class_folder = parts[:-1] or ("",)
    split = ""
    is_split = folders and folders[-1].lower() in _SPLIT_FOLDERS
    if is_split and tuple(folders[:-1]) not in homes:
        split = folders.pop().lower()
    if not folders:
        return None
    return _Place(tuple(folders[:-1]), folders[-1], split, class_folder)


def _choose(spec: KnownSet, source: pathlib.Path, found: dict) -> tuple[str, ...]:
    """Returns the folder whose subfolders are the domains."""

    def n_domains(above):
        return len({spec.domain(place.folder) for place, _, _ in found[above]})

    most = max(map(n_domains, found))
    best = [above for above in found if n_domains(above) == most or not spec.domains]
    if len(best) > 1:
        folders = ", ".join(str(source.joinpath(*above)) for above in sorted(best))
        many = f"several folders hold {{domain}}/{{class}}/ for {spec.name}"
        raise ValueError(f"{many}: name one of {folders}")
    return best[0]


def _nothing_found(spec: KnownSet, source: pathlib.Path, files, misplaced) -> str:
    wanted = f"{source}/{{domain}}/{{class}}/*"
    if spec.domains:
        wanted += f" with the domains {', '.join(spec.domains)}"
    folders = sorted({parts[0] for parts in files if len(parts) > 1})
    seen = ", ".join(folders[:8]) + (", ..." if len(folders) > 8 else "")
    seen = f"the folders {seen}" if folders else "no folders with files"
    if misplaced:
        seen += f" and images without a domain folder above, such as {misplaced[0]}"
    return f"{spec.name} looks like {wanted}; {source} has {seen}"


def _assemble(spec, source, entries, official, warnings) -> Survey:
    """Returns the survey of `entries`, (place, parts, size) of each file."""
    spellings, inside = collections.defaultdict(set), collections.defaultdict(set)
    for place, _, _ in entries:
        spellings[spec.domain(place.folder)].add(place.folder)
        inside[spec.domain(place.folder)].add(place.split)
    for domain, names in spellings.items():
        if len(names) > 1:
            raise ValueError(f"two folders for {domain}: {', '.join(sorted(names))}")
    if "all" in spellings:
        raise ValueError("TFDS reserves the name 'all': rename the domain's folder")
    domains = tuple(d for d in spec.domains or sorted(spellings) if d in spellings)
    seen = {squashed(e[0].class_folder): plain(e[0].class_folder) for e in entries}
    classes = spec.classes or tuple(sorted(seen.values()))
    label_of = {squashed(name): label for label, name in enumerate(classes)}
    images, unknown, class_folders = [], collections.Counter(), {}
    for place, parts, size in entries:
        domain = spec.domain(place.folder)
        label = label_of.get(squashed(place.class_folder))
        if place.split == "full" and len(inside[domain]) > 1:
            continue
        if label is None:
            unknown[domain, place.class_folder] += 1
            continue
        folders = [domain, place.split, classes[label]]
        path = f"{domain}/{place.class_folder}"
        spelled = {tuple(folders): place.class_folder}
        if not spec.classes:  # over all domains
            spelled[label] = _spaced(place.class_folder)
        for key, spelling in spelled.items():
            first, expected = class_folders.setdefault(key, (path, spelling))
            if spelling != expected:
                raise ValueError(
                    f"the class folders {first!r} and {path!r} have one name but for "
                    "case, punctuation and Unicode's forms: rename one"
                )
        name = "/".join(f for f in (*folders, parts[-1]) if f)
        split = official.get(name.lower(), _SPLIT_FOLDERS.get(place.split, ""))
        images.append(Image("/".join(parts), name, domain, label, size, split))
    if not images:
        raise ValueError(f"{source} has no class folders of {', '.join(classes)}")
    domains = tuple(d for d in domains if any(i.domain == d for i in images))
    images.sort(key=lambda i: (domains.index(i.domain), i.label, i.name))
    for before, image in itertools.pairwise(images):
        if before.name == image.name:
            raise ValueError(f"two files for {image.name}: {before.path}, {image.path}")
    unnamed = official.keys() - {i.name.lower() for i in images}
    if unnamed:
        absent = f"{len(unnamed)} images that are not there, such as {min(unnamed)}"
        warnings.append(f"the split files name {absent}")
    problems = [
        f"{domain}: unknown class folder {folder!r} with {n} images"
        for (domain, folder), n in sorted(unknown.items())
    ]
    missing = _missing(spec, domains, classes, images)
    (problems if spec.domains else warnings).extend(missing)
    return Survey(
        source, spec, domains, classes, tuple(images), tuple(problems), tuple(warnings)
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
            notes.append(f"{domain}: no images of {', '.join(empty)}")
        total = sum(counts[domain, k] for k in range(len(classes)))
        expected = spec.domains.get(domain, total)
        if total != expected:
            notes.append(f"{domain}: {total} images found, {expected} expected")
    return notes


def _spaced(name: str) -> str:
    """Returns a name whose case, Unicode form and kind of space no longer matter."""
    lower = unicodedata.normalize("NFC", name.lower())
    return re.sub(r"[\s_-]+", "_", lower).strip("_")
