"""Lists that come with data sets: which images there are, and their official split.

Read are PACS's `photo_train_kfold.txt`, `photo_crossval_kfold.txt`; DomainNet's
`clipart_train.txt`, `clipart_test.txt`; and tables, CSV with a header or JSON Lines,
with the columns `path`, `class`, `domain` and `split`: one called `splits.csv` or
`splits.jsonl` beside the images, or one that is the data set itself.
"""

import csv
import io
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from jigsaw_shape.system.command_line import counted

_TEXT = (
    r"(?P<domain>.+)_(?P<split>train|val|valid|crossval|test)(?P<kfold>_kfold)?\.txt"
)
LIST_FILE = re.compile(rf"{_TEXT}|splits\.(csv|jsonl)", re.IGNORECASE)
TABLES = (".csv", ".jsonl")  # suffixes
_OFFICIAL = {
    "train": "train",
    **dict.fromkeys(("val", "valid", "validation", "crossval"), "val"),
    **dict.fromkeys(("test", ""), ""),
}
# Other names of columns, of which the first that is there counts.
_COLUMNS = {
    "path": ("path", "file", "file_name", "filename", "image"),
    "class": ("class", "label", "class_name"),
    "domain": ("domain",),
    "split": ("split",),
}


class Row(NamedTuple):
    """A line of a table; what it does not say is `""`."""

    path: str
    class_name: str
    domain: str
    split: str


def read_table(name: str, text: str) -> list[Row]:
    """Returns the rows of a table.

    Args:
      name: For messages; its suffix says whether it is CSV or JSON Lines.
      text: Its contents.

    Raises:
      ValueError: It has no column `path`, a line is no row, or names an unknown split.
    """
    rows = []
    for number, line in _lines(name, text):
        found = {}
        for column, names in _COLUMNS.items():
            value = next((line[n] for n in names if line.get(n) is not None), "")
            found[column] = str(value).strip()
        if not found["path"]:
            raise ValueError(
                f"{name}, line {number}: no path; the columns are path, class, domain "
                "and split, the last two as far as needed"
            )
        split = found["split"].lower()
        if split not in _OFFICIAL:
            raise ValueError(
                f"{name}, line {number}: split is {split!r}: train, val or test allowed"
            )
        path = found["path"].replace("\\", "/")
        rows.append(Row(path, found["class"], found["domain"], split))
    return rows


def read_splits(
    texts: Mapping[str, str],
) -> tuple[dict[tuple[str, str, str], str], list[str]]:
    """Returns `{(domain, class, file): "train" | "val"}`, and warnings.

    A line reads `art_painting/dog/pic_001.jpg 1`; the number repeats the class. PACS's
    `test` lists name every image and say nothing. A domain whose other lists have no
    validation is validated on their `test`, as DomainNet's.

    Args:
      texts: Contents by path, of files whose names `LIST_FILE` matches.

    Raises:
      ValueError: A table cannot be read.
    """
    rows = [
        row
        for file, text in sorted(texts.items())
        for row in _splits_of(pathlib.PurePath(file).name, text)
    ]
    validated = {image[0] for image, split in rows if official(split) == "val"}
    found, twice = {}, set()
    for image, split in rows:
        both = {found.get(image, ""), official(split, image[0] in validated)}
        found[image] = max(both)  # "", "train", "val"
        if both == {"train", "val"}:
            twice.add("/".join(image))
    notes = [
        f"the split files put {counted(len(twice), 'image')} into both train and val, "
        f"where val counts, such as {name}"
        for name in sorted(twice)[:1]
    ]
    return {image: split for image, split in found.items() if split}, notes


def official(split: str, is_validated: bool = True) -> str:
    """Returns `"train"`, `"val"` or `""` for what a list calls a split.

    Args:
      split: Such as `"train"`, `"crossval"`; `""` for none.
      is_validated: Whether the domain has a validation split; `test` stands for one
        where it has none.
    """
    return "val" if split == "test" and not is_validated else _OFFICIAL[split]


def _splits_of(file: str, text: str) -> Iterator[tuple[tuple[str, str, str], str]]:
    if pathlib.PurePath(file).suffix.lower() in TABLES:
        for row in read_table(file, text):
            *_, domain, class_name, name = ("", "", *row.path.split("/"))
            yield (row.domain or domain, row.class_name or class_name, name), row.split
        return
    named = LIST_FILE.fullmatch(file)
    split = named["split"].lower()
    if split == "test" and named["kfold"]:
        return
    for line in text.splitlines():
        path = re.sub(r"\s+\d+\s*$", "", line).strip().replace("\\", "/")
        image = tuple(path.split("/")[-3:])
        if len(image) == 3:
            yield image, split


def _lines(name: str, text: str) -> Iterator[tuple[int, Mapping]]:
    """Yields the number and the columns of each line of a table."""
    if name.lower().endswith(".csv"):
        reader = csv.DictReader(io.StringIO(text))
        for line in reader:
            yield (
                reader.line_num,
                {(k or "").strip().lower(): v for k, v in line.items()},
            )
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield number, dict(json.loads(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}, line {number}: not a JSON object") from error
