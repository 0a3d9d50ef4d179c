"""An evaluation's folder: rows, tables, figures, decisions, and a page to look at.

`evaluation.jsonl` has the rows, `evaluation.json` the circumstances, `evaluation.md`
the tables, `figures/` each figure as PNG and SVG, `decisions/` the models' decisions in
the published format, and `report.html` all of it in one file.
"""

import collections
import json
import pathlib
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from jigsaw_shape.data.decisions import Decisions, write_csv
from jigsaw_shape.reports import look
from jigsaw_shape.reports.evaluation import page
from jigsaw_shape.reports.evaluation.parts import Report, Table
from jigsaw_shape.runs import rows

ROWS, FACTS, MARKDOWN, HTML = (
    *("evaluation.jsonl", "evaluation.json"),
    *("evaluation.md", "report.html"),
)
_FIGURES, _DECISIONS = "figures", "decisions"
_DPI = 160


def refuse_others(folder: pathlib.Path) -> None:
    """Refuses a folder that is neither new, nor empty, nor of an earlier evaluation.

    Raises:
      ValueError: It holds something else, which is not overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is not a folder")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    # Rows come last, facts first: one that was killed in between has the latter alone.
    killed = FACTS in names and names <= {FACTS, MARKDOWN, HTML, _FIGURES, _DECISIONS}
    if names and ROWS not in names and not killed:
        raise ValueError(
            f"--out {folder} holds other files: name a new folder, or an earlier "
            "evaluation's, which is replaced"
        )


def write(
    folder: pathlib.Path,
    found: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decisions],
    report: Report,
    about: Mapping[str, Any],
) -> None:
    """Writes everything; what an earlier evaluation left goes.

    Args:
      folder: It is there.
      found: Flat rows.
      decisions: Of the models, to be written in the published format.
      report: What is shown.
      about: See `facts.collect`.
    """
    identity = {name: dict(facts) for name, facts in about["models"].items()}
    for facts in identity.values():
        facts.pop("classes", None)
    lines = []
    for row in found:
        of_model = identity.get(row["model"], {}) if row["group"] == "model" else {}
        whole = {"kind": "evaluation", **row, "time": about["time"]}
        whole |= {f"model/{key}": value for key, value in of_model.items()}
        lines.append(json.dumps(rows.strict(whole), allow_nan=False) + "\n")
    (folder / ROWS).unlink(missing_ok=True)
    (folder / FACTS).write_text(json.dumps(rows.strict(about), indent=2) + "\n")
    for part in (_FIGURES, _DECISIONS):
        shutil.rmtree(folder / part, ignore_errors=True)
    observers, figures = _FileNames(), _FileNames()
    for decided, parent in _with_folders(decisions):
        experiment = _file_name(decided.experiment)
        name = f"{experiment}_{observers[decided.observer]}_session_1"
        write_csv(decided, folder / _DECISIONS / parent / f"{name}.csv")
    for section in report.sections:
        for name, figure in section.figures.items():
            _save(figure, folder / _FIGURES, figures[name])
    (folder / MARKDOWN).write_text(_markdown(report.tables, about))
    made = page.make(report.sections, report.tables, report.cards, about)
    (folder / HTML).write_text(made)
    (folder / ROWS).write_text("".join(lines))  # last: says that the rest is there


def _with_folders(
    decisions: Sequence[Decisions],
) -> Iterator[tuple[Decisions, str]]:
    """Yields decisions with their folder: the experiment, numbered by other images.

    Other images are those of other names, and those of which an observer of the folder
    decided otherwise.
    """
    sets = collections.defaultdict(list)
    for decided in decisions:
        folders = sets[decided.experiment]
        number = next(
            (n for n, held in enumerate(folders) if _fits(decided, held)), len(folders)
        )
        if number == len(folders):
            folders.append([])
        folders[number].append(decided)
        suffix = f"-{number + 1}" if number else ""
        yield decided, _file_name(decided.experiment) + suffix


def _fits(decided: Decisions, held: Sequence[Decisions]) -> bool:
    return held[0].images == decided.images and all(
        other.observer != decided.observer
        or np.array_equal(other.response, decided.response)
        for other in held
    )


def print_summary(
    tables: Sequence[Table], about: Mapping[str, Any], console: Console
) -> None:
    """Prints the tables; those of more than a dozen columns are in the files alone."""
    for table in tables:
        if len(table.columns) > 12:
            continue
        shown = RichTable(title=table.title, box=box.SIMPLE_HEAD, title_justify="left")
        for number, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if number == 0 else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in about["notes"]:
        console.print(f"note: {note}", soft_wrap=True)
    for passed in about["speed"]:
        console.print(
            f"{passed['data']}: {passed['n_answers']} answers in "
            f"{passed['total_s']:.1f} s, {passed['images_per_s']:.1f} images/s, "
            f"{100 * passed['forward_share']:.0f} % of the time in the models",
            soft_wrap=True,
        )


def _save(figure: Figure, folder: pathlib.Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with look.look():
        figure.savefig(folder / f"{name}.png", dpi=_DPI)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _markdown(all_tables: Sequence[Table], about: Mapping[str, Any]) -> str:
    lines = ["# Evaluation", "", f"{about['time']}, {about['devices']}", ""]
    lines += ["```", shlex.join(about["command"]), "```", ""]
    for table in all_tables:
        lines += [f"**{table.title}**", ""]
        cells = [table.columns, ["---"] * len(table.columns), *table.rows]
        lines += ["| " + " | ".join(map(_escaped, row)) + " |" for row in cells] + [""]
    if about["notes"]:
        lines += ["Notes:", "", *(f"- {note}" for note in about["notes"]), ""]
    for name, data in about["data"].items():
        made = f"; {data['made_by']}" if data["made_by"] else ""
        lines.append(f"- {name}: {data['n_images']} images, {data['digest']}{made}")
    return "\n".join(lines) + "\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


class _FileNames(dict):
    """Files' names of texts, each its own: the second one of a name ends in -2."""

    def __missing__(self, text: str) -> str:
        taken = {name.casefold() for name in self.values()}  # as some disks have it
        name, number = _file_name(text), 1
        while name.casefold() in taken:
            number += 1
            name = f"{_file_name(text)}-{number}"
        self[text] = name
        return name


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in text).strip("-.")
