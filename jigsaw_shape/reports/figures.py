"""Figures: encoding them, and those that several commands draw. Imports no JAX."""

import base64
import functools
import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from jigsaw_shape.reports import fonts, look

_DPI = 160
_LARGE_BYTES = 600_000  # a larger SVG is put into pages as PNG
_MOST_NAMED = 70  # classes of a confusion matrix


class Drawing:
    """A figure that is laid out once, and encoded once for files and pages.

    Attributes:
      alt: What it shows, for readers who cannot see it: the figure's label, else its
        name.
    """

    def __init__(self, figure: Figure, name: str = ""):
        """Takes `figure`, complete but for its layout; `name` is its file's."""
        self.alt = figure.get_label() or name.replace("_", " ")
        self._figure = figure
        fonts.fit(figure)

    @functools.cached_property
    def _laid_out(self) -> Figure:
        with look.look():
            self._figure.draw_without_rendering()
        self._figure.set_layout_engine("none")
        return self._figure

    @functools.cached_property
    def svg(self) -> str:
        """The figure as an SVG document, the same bytes each time it is made."""
        buffer = io.StringIO()
        with look.look():
            self._laid_out.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    @functools.cached_property
    def png(self) -> bytes:
        """The figure as PNG."""
        buffer = io.BytesIO()
        with look.look():
            self._laid_out.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()

    @property
    def is_large(self) -> bool:
        """Whether a page is better off with the PNG."""
        return len(self.svg) > _LARGE_BYTES

    @property
    def svg_element(self) -> Markup:
        """The SVG without the declarations above it, for a page."""
        return Markup(self.svg[self.svg.index("<svg") :])

    @property
    def png_uri(self) -> str:
        """The PNG as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    def write(self, path: pathlib.Path) -> None:
        """Writes the figure to `path`, which ends in `.svg` or `.png`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".svg":
            path.write_text(self.svg, encoding="utf-8")
        else:
            path.write_bytes(self.png)


def save(figure: Figure, path: pathlib.Path) -> None:
    """Writes `figure` to `path`, whose suffix names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fonts.fit(figure)
    figure.savefig(path, dpi=120)


def sheet(rows: Sequence[tuple[str, np.ndarray, Sequence[str]]]) -> Figure:
    """Returns a grid of pictures.

    Args:
      rows: For each row its name, images float [n, H, W, 3] in [0, 1] and n titles;
        n may differ.
    """
    n_columns = max(len(images) for _, images, _ in rows)
    figure = Figure(
        figsize=(1.25 * n_columns + 0.4, 1.45 * len(rows)), layout="constrained"
    )
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, (name, images, titles) in enumerate(rows):
        for empty in axes[row][len(images) :]:
            empty.set_visible(False)
        for column, (image, title) in enumerate(zip(images, titles, strict=True)):
            cell = axes[row][column]
            cell.imshow(np.clip(image, 0, 1), interpolation="nearest")
            cell.set_title(title, fontsize=7)
            cell.set_xticks([])
            cell.set_yticks([])
            cell.spines[:].set_color("0.8")  # a white image still has an edge
        axes[row][0].set_ylabel(name, fontsize=9)
    return figure


def confusion_figure(result: Mapping, classes: Sequence[str]) -> Figure:
    """Returns the confusion matrix of a result row, in shares of each true class.

    Args:
      result: With `target/confusion`, `target/accuracy`, `target`, `selection`.
      classes: Names, in the order of the matrix. Of very many none is written, and the
        picture grows no further.
    """
    counts = np.asarray(result["target/confusion"])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    n = len(classes)
    names = classes if n <= _MOST_NAMED else ()
    side = max(3.2, 0.45 * min(n, _MOST_NAMED) + 1.6)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    which = "" if names else f", {n:,} classes in the order of their labels"
    axes.set_xlabel(f"answered{which}")
    axes.set_ylabel(f"true{which}")
    axes.set_title(
        f"held out: {result['target']}, {100 * result['target/accuracy']:.1f} % right\n"
        f"selected by: {result['selection']}; cells in %",
        fontsize=10,
    )
    if n <= 20:  # beyond that numbers are illegible
        for i, j in np.ndindex(n, n):
            colour = "white" if shares[i, j] > 0.6 else "black"
            text = f"{100 * shares[i, j]:.0f}"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="share of the true class")
    return figure
