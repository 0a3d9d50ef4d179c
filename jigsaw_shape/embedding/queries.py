"""Queries: which images are nearest to others, printed and drawn."""

from pathlib import Path
from typing import NamedTuple

from rich import box
from rich.table import Table

from jigsaw_shape.embedding import nearest
from jigsaw_shape.embedding.features_file import Features
from jigsaw_shape.system.command_line import printable


class Nearest(NamedTuple):
    """What is nearest to a query.

    Attributes:
      query: Its path.
      paths: Of the nearest images, the nearest first.
      cosines: Theirs.
    """

    query: str
    paths: list[str]
    cosines: list[float]

    def table(self) -> Table:
        """Returns a table to print."""
        title = printable(self.query)
        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
        table.add_column("", justify="right")
        table.add_column("cosine", justify="right")
        table.add_column("image")
        pairs = zip(self.paths, self.cosines, strict=True)
        for rank, (path, cosine) in enumerate(pairs, 1):
            table.add_row(str(rank), f"{cosine:.4f}", printable(path))
        return table

    def row(self) -> tuple[str, list[str], list[str]]:
        """Returns name, paths and titles of its row of a contact sheet."""
        titles = ["query", *(f"{cosine:.3f}" for cosine in self.cosines)]
        return "", [self.query, *self.paths], titles


def find(
    queries: Features, stored: Features, top: int, index: Path | None
) -> list[Nearest]:
    """Returns the stored images that are nearest to each query, without itself.

    Args:
      queries: Whose nearest are wanted.
      stored: Among which they are looked for.
      top: How many of each.
      index: Of the stored ones; None to compare with all of them.

    Raises:
      ValueError: The index is none, or of other vectors.
    """
    n = top + 1  # a query that is among the images is left out
    if index is not None:
        indices, cosines = nearest.search_index(index, queries.vectors, n)
    else:
        indices, cosines = nearest.nearest(queries.vectors, stored.vectors, n)
    found = []
    for query, places, values in zip(queries.paths, indices, cosines, strict=True):
        pairs = [
            (stored.paths[place], float(value))
            for place, value in zip(places, values, strict=True)
            if place >= 0 and not _is_same(stored.paths[place], query)
        ][:top]
        paths, kept = [path for path, _ in pairs], [value for _, value in pairs]
        found.append(Nearest(query, paths, kept))
    return found


def _is_same(path: str, query: str) -> bool:
    return Path(path).resolve() == Path(query).resolve()
