"""Tables as data, and how they are written: terminal, Markdown, LaTeX, CSV, HTML."""

import csv
import dataclasses
import io
import math
import re
from collections.abc import Collection, Mapping, Sequence

import rich.table
from markupsafe import Markup
from rich import box
from rich.console import Console
from rich.text import Text

from jigsaw_shape.reports import templates
from jigsaw_shape.runs.rows import NONE, percent

_NUMBER = re.compile(r"[+-]?[\d∞]")


@dataclasses.dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Attributes:
      text: Plain text; `±` before a standard error.
      best: Whether it is the best of its column.
      badge: `good`, `bad` or `warn` frames it on pages, as a run's status.
    """

    text: str
    best: bool = False
    badge: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells under a title.

    Attributes:
      title: One line, with units.
      header: A name for each column; the first column says who or what.
      body: Rows of as many cells; a plain str becomes a `Cell`.
      aside: Indices of rows that are set apart, such as published numbers.
      notes: What a reader has to know, a sentence each.
      suite: The suite of an evaluation that it belongs to; "" elsewhere.
    """

    title: str
    header: Sequence[str]
    body: Sequence[Sequence[Cell | str]]
    aside: Collection[int] = ()
    notes: Sequence[str] = ()
    suite: str = ""

    def __post_init__(self):
        body = tuple(
            tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row)
            for row in self.body
        )
        for row in body:
            if len(row) != len(self.header):
                raise ValueError(
                    f"table {self.title!r}: a row has {len(row)} cells, the header "
                    f"{len(self.header)}"
                )
        object.__setattr__(self, "body", body)

    @property
    def is_text(self) -> list[bool]:
        """Whether each column holds words, which are aligned to the left."""
        found = []
        for i in range(len(self.header)):
            texts = {row[i].text for row in self.body} - {"", NONE}
            found.append(i == 0 or (bool(texts) and not any(map(_NUMBER.match, texts))))
        return found


def interval(row: Mapping, text=percent) -> str:
    """Returns the interval from a row's `low` to its `high`, `-` where it has none."""
    ends = [row.get("low"), row.get("high")]
    if any(end is None or not math.isfinite(end) for end in ends):
        return NONE
    return f"{text(ends[0])} to {text(ends[1])}"


def print_table(table: Table, console: Console) -> None:
    """Prints the title, the table and its notes."""
    console.print(f"\n{table.title}", soft_wrap=True, style="bold")
    console.print(to_rich(table))
    for note in table.notes:
        console.print(note, soft_wrap=True)


def to_rich(table: Table) -> rich.table.Table:
    """Returns the table for a terminal, without title and notes."""
    made = rich.table.Table(box=box.SIMPLE_HEAD)
    for name, is_text in zip(table.header, table.is_text, strict=True):
        side = "left" if is_text else "right"
        made.add_column(Text(name), justify=side, overflow="fold")
    for i, row in enumerate(table.body):
        texts = (
            Text(cell.text.replace(" ± ", "±"), style="bold" if cell.best else "")
            for cell in row
        )
        made.add_row(*texts, style="dim italic" if i in table.aside else None)
    return made


def to_markdown(table: Table) -> str:
    """Returns the table in GitHub's Markdown, under a heading."""

    def line(texts):
        return "| " + " | ".join(texts) + " |\n"

    def show(cell, is_aside):
        text = _in_markdown(cell.text)
        if cell.best:
            return f"**{text}**"
        return f"*{text}*" if is_aside and text != NONE else text

    out = f"### {_in_markdown(table.title)}\n\n"
    out += line(map(_in_markdown, table.header))
    out += line("---" if is_text else "---:" for is_text in table.is_text)
    for i, row in enumerate(table.body):
        out += line(show(cell, i in table.aside) for cell in row)
    return out + "".join(f"\n{_in_markdown(note)}\n" for note in table.notes)


def _in_markdown(text: str) -> str:
    return re.sub(r"[|<*`]", r"\\\g<0>", " ".join(text.split("\n")))


_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


def to_latex(table: Table) -> str:
    """Returns the table for a document that loads the package `booktabs`."""

    def show(text):
        # One pass, so that no replacement is replaced.
        text = re.sub(r"[\\&%$#_{}~^±]", lambda found: _LATEX[found[0]], text)
        return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", text)

    def line(texts):
        return " & ".join(texts) + r" \\" + "\n"

    sides = "".join("l" if is_text else "r" for is_text in table.is_text)
    out = "\\begin{table}\n  \\centering\n"
    out += f"  \\caption{{{show(table.title)}. {show(' '.join(table.notes))}}}\n"
    out += f"  \\begin{{tabular}}{{{sides}}}\n    \\toprule\n"
    out += "    " + line(map(show, table.header)) + "    \\midrule\n"
    for i, row in enumerate(table.body):
        if table.aside and i == min(table.aside):
            out += "    \\midrule\n"
        texts = (f"\\textbf{{{show(c.text)}}}" if c.best else show(c.text) for c in row)
        out += "    " + line(texts)
    return out + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"


def to_csv(table: Table) -> str:
    """Returns header and body as CSV; the title and notes are left out."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows([cell.text for cell in row] for row in table.body)
    return buffer.getvalue()


def to_html(table: Table) -> Markup:
    """Returns the table as HTML that scrolls sideways where the page is too narrow."""
    return templates.part("table", table)
