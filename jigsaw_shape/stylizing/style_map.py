"""A style map: which content is to get which style, from a CSV file."""

import csv
import hashlib
from collections.abc import Collection
from pathlib import Path


def read_style_map(
    path: Path, contents: Collection[str], styles: Collection[str]
) -> dict[str, list[str]]:
    """Returns the styles of each content that a map lists, in the order of its rows.

    Args:
      path: A CSV file, UTF-8, with the columns `content` and `style`: names of images
        below their folders, with `/`. A content on several rows is made in each style.
      contents: The names there are.
      styles: The names there are.

    Raises:
      ValueError: It lists nothing, a name that is not there, or a pair twice.
      OSError: It cannot be read.
    """
    found = {}
    known = {"content": frozenset(contents), "style": frozenset(styles)}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            missing = known.keys() - set(rows.fieldnames or ())
            if missing:
                raise ValueError(f"it has no column {' and '.join(sorted(missing))}")
            for row in rows:
                for column, names in known.items():
                    if row[column] not in names:
                        raise ValueError(
                            f"line {rows.line_num}: no {column} is called "
                            f"{row[column]!r}"
                        )
                chosen = found.setdefault(row["content"], [])
                if row["style"] in chosen:
                    raise ValueError(f"line {rows.line_num}: this pair is there twice")
                chosen.append(row["style"])
            if not found:
                raise ValueError("it lists no content")
        except (ValueError, csv.Error) as error:
            raise ValueError(f"--style-map {path}: {error}") from error
    return found


def digest(style_map: dict[str, list[str]]) -> str:
    """Returns a digest of who gets which style."""
    text = repr(sorted(style_map.items()))
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]
