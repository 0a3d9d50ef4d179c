"""Pages of one HTML file, which fetches nothing, and their pieces."""

import base64
import dataclasses
import functools
import io
import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from jigsaw_shape.reports import templates
from jigsaw_shape.reports.figures import Drawing
from jigsaw_shape.reports.table import Table

_THUMB_PX = 168
_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_SVG_ID = re.compile(r'\bid="|\bhref="#|url\(#')


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

    @property
    def has_cues(self) -> bool:
        """Whether an answer named the shape or the texture."""
        return any(kind != "other" for _, _, kind in self.answers)

    @property
    def uri(self) -> str:
        """The image, made small, as JPEG in a data URI."""
        picture = Image.fromarray(self.image)
        picture.thumbnail((_THUMB_PX, _THUMB_PX))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=88, subsampling=0)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
      suite: That it is of.
      title: Heading.
      lead: What one sees, in a few sentences.
      figures: By file name. A figure's label (`Figure.set_label`) describes it to
        readers who cannot see it.
      tiles: Images to look at, in rows of a title each.
    """

    suite: str
    title: str
    lead: str
    figures: Mapping[str, Figure]
    tiles: Sequence[tuple[str, Sequence[Tile]]] = ()

    @functools.cached_property
    def drawings(self) -> dict[str, Drawing]:
        """The figures, drawn once for files and page, by file name."""
        return {name: Drawing(figure, name) for name, figure in self.figures.items()}


@dataclasses.dataclass(frozen=True)
class Report:
    """All that is shown of an evaluation.

    Attributes:
      cards: One for each model.
      sentences: What is said first: a model's name and its sentence.
      overview: The figure that compares all models; None without shares to draw.
      sections: In their order; tables of a suite are shown in its last section.
      tables: In their order.
    """

    cards: Sequence[Card]
    sections: Sequence[Section]
    tables: Sequence[Table]
    sentences: Sequence[tuple[str, str]] = ()
    overview: Drawing | None = None


def make(template: str, **values: object) -> str:
    """Returns a page.

    Args:
      template: Its file in `reports/templates`, which extends `page.html`.
      **values: What the template fills in; `title` and `lead` among them.
    """
    numbers = itertools.count()

    def with_own_ids(drawing):
        """Numbers a drawing's ids, as those of all drawings have to differ."""
        number = next(numbers)
        return _SVG_ID.sub(lambda found: f"{found[0]}d{number}-", drawing[0])

    return _SVG.sub(with_own_ids, templates.render(template, **values))
