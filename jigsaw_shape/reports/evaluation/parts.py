"""What the page and the tables are made of. Imports no JAX."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

NONE = "-"


@dataclasses.dataclass(frozen=True)
class Card:
    """A model at a glance.

    Attributes:
      name: Of the model.
      colour: As in the figures.
      facts: `(number, what it is, share in [0, 1] or None)`, the most telling first.
    """

    name: str
    colour: str
    facts: tuple[tuple[str, str, float | None], ...]


@dataclasses.dataclass(frozen=True)
class Tile:
    """An image and what was said of it.

    Attributes:
      image: uint8 [H, W, 3].
      title: Above it.
      answers: `(who, what, kind)`; kind is `shape`, `texture`, or `other`.
    """

    image: np.ndarray
    title: str
    answers: tuple[tuple[str, str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
      suite: That it is of.
      title: Heading.
      lead: What one sees, in a few sentences.
      figures: By file name.
      tiles: Images to look at, in rows of a title each.
    """

    suite: str
    title: str
    lead: str
    figures: dict[str, Figure]
    tiles: tuple[tuple[str, tuple[Tile, ...]], ...] = ()


@dataclasses.dataclass(frozen=True)
class Table:
    """Text in cells.

    Attributes:
      suite: That it belongs to.
      title: What it says, with units.
      columns: Headings; the first column is who or what.
      rows: Cells, as many in each row.
    """

    suite: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """All that is shown of an evaluation.

    Attributes:
      cards: One for each model.
      sections: In their order; tables of a suite are shown in its last section.
      tables: In their order.
    """

    cards: Sequence[Card]
    sections: Sequence[Section]
    tables: Sequence[Table]


def percent(value, digits: int = 1) -> str:
    """Returns a share in percent, `-` for none."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{100 * value:.{digits}f}"


def interval(row, text=percent) -> str:
    """Returns a row's 95 % interval as text."""
    ends = [row.get("low"), row.get("high")]
    if any(end is None or not math.isfinite(end) for end in ends):
        return NONE
    return f"{text(ends[0])} to {text(ends[1])}"
