"""Tables of rows: a line a row, or one key down and another across."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter

from jigsaw_shape.reports.table import NONE, Table, percent

Row = Mapping
WHO = itemgetter("model")


def listed(
    title: str, rows: Sequence[Row], columns: Mapping[str, str | Callable[[Row], str]]
) -> Iterator[Table]:
    """Yields a table with a line for each row; none without rows.

    Args:
      title: With units.
      rows: In their order.
      columns: What writes a cell, by heading: a function of the row, or the key of a
        share, which is written in percent.
    """
    if rows:
        body = [[_text(cell, row) for cell in columns.values()] for row in rows]
        yield Table(title, tuple(columns), body)


def crossed(
    title: str,
    rows: Sequence[Row],
    down: str,
    across: str,
    cell: str | Callable[[Row], str],
    *,
    name: Callable[[object], str] = str,
) -> Iterator[Table]:
    """Yields a table with a line for each value of one key; none without rows.

    Args:
      title: With units.
      rows: One for each cell; a missing one leaves it empty.
      down: Key of a row, of which each value has a line.
      across: Key of a row, of which each value has a column.
      cell: See `listed`.
      name: How values of keys other than `model` are written.
    """
    if rows:
        cells = {(row[down], row[across]): _text(cell, row) for row in rows}
        lines = dict.fromkeys(row[down] for row in rows)
        columns = dict.fromkeys(row[across] for row in rows)

        def written(key, value):
            return value if key == "model" else name(value)

        body = [
            [written(down, line), *(cells.get((line, c), NONE) for c in columns)]
            for line in lines
        ]
        yield Table(title, ("", *(written(across, c) for c in columns)), body)


def _text(cell, row: Row) -> str:
    return percent(row.get(cell)) if isinstance(cell, str) else cell(row)
