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
from rich.console import Console

from jigsaw_shape.data.decisions import Decisions, write_csv
from jigsaw_shape.reports import page
from jigsaw_shape.reports.page import Report
from jigsaw_shape.reports.table import NONE, Table, print_table, to_markdown
from jigsaw_shape.runs import rows

ROWS, FACTS = "evaluation.jsonl", "evaluation.json"
MARKDOWN, HTML = "evaluation.md", "report.html"
_FIGURES, _DECISIONS = "figures", "decisions"
_MOST_COLUMNS = 12  # of a table in the terminal


def refuse_others(folder: pathlib.Path) -> None:
    """Refuses a folder that holds anything other than an earlier evaluation.

    Raises:
      ValueError: It does, or it is a file; nothing is overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder} is not a folder")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    # Facts are written first and rows last: a killed evaluation may lack the rows.
    killed = FACTS in names and names <= {FACTS, MARKDOWN, HTML, _FIGURES, _DECISIONS}
    if names and ROWS not in names and not killed:
        raise ValueError(
            f"--out {folder} holds other files: choose a new folder, or the folder of "
            "an earlier evaluation to replace it"
        )


def write(
    folder: pathlib.Path,
    found: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decisions],
    report: Report,
    about: Mapping[str, Any],
) -> None:
    """Writes all files of an evaluation, in place of those of an earlier one.

    Args:
      folder: It exists.
      found: Flat rows.
      decisions: Of the models, to be written in the published format.
      report: What is shown.
      about: Command, versions, data and models, in JSON's types.
    """
    (folder / ROWS).unlink(missing_ok=True)
    _write(folder / FACTS, json.dumps(rows.strict(about), indent=2) + "\n")
    for part in (_FIGURES, _DECISIONS):
        shutil.rmtree(folder / part, ignore_errors=True)
    observers, figures = _FileNames(), _FileNames()
    for decided, parent in _with_folders(decisions):
        experiment = _file_name(decided.experiment)
        name = f"{experiment}_{observers[decided.observer]}_session_1"
        write_csv(decided, folder / _DECISIONS / parent / f"{name}.csv")
    drawn = [("overview", report.overview)] if report.overview else []
    for section in report.sections:
        drawn += section.drawings.items()
    for name, drawing in drawn:
        for suffix in (".png", ".svg"):
            drawing.write(folder / _FIGURES / f"{figures[name]}{suffix}")
    _write(folder / MARKDOWN, _markdown(report, about))
    _write(folder / HTML, _page(report, about))
    lines = "".join(_lines(found, about))
    _write(folder / ROWS, lines)  # last: says that the rest is there


def _write(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _lines(found, about) -> Iterator[str]:
    """Yields a line of JSON for each row, with what is known of its model."""
    for row in found:
        whole = {"kind": "evaluation", **row, "time": about["time"]}
        if row["group"] == "model":
            facts = about["models"].get(row["model"], {})
            whole |= {f"model/{k}": v for k, v in facts.items() if k != "classes"}
        yield json.dumps(rows.strict(whole), allow_nan=False) + "\n"


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


def print_summary(report: Report, about: Mapping[str, Any], console: Console) -> None:
    """Prints the tables, without very wide ones, sentences, notes and the speed."""
    for table in report.tables:
        if len(table.header) <= _MOST_COLUMNS:
            print_table(table, console)
    for name, said in report.sentences:
        console.print(f"\n{name} {said}", soft_wrap=True)
    for note in about["notes"]:
        console.print(f"note: {note}", soft_wrap=True)
    for passed in about["speed"]:
        console.print(
            f"{passed['data']}: {passed['n_answers']} answers in "
            f"{passed['total_s']:.1f} s, {passed['images_per_s']:.1f} images/s, "
            f"{100 * passed['forward_share']:.0f} % of the time in the models",
            soft_wrap=True,
        )


def _markdown(report: Report, about: Mapping[str, Any]) -> str:
    parts = [
        f"# Evaluation\n\n{about['time']}, {about['devices']}\n",
        f"```\n{shlex.join(about['command'])}\n```\n",
        *(f"**{name}** {said}\n" for name, said in report.sentences),
        *map(to_markdown, report.tables),
    ]
    if about["notes"]:
        parts.append("\n".join(["Notes:", "", *(f"- {n}" for n in about["notes"]), ""]))
    parts.append(to_markdown(_data_table(about)))
    return "\n".join(parts)


def _page(report: Report, about: Mapping[str, Any]) -> str:
    names = ", ".join(card.name for card in report.cards[:3])
    if len(report.cards) > 3:
        names += f" and {len(report.cards) - 3} more"
    sets = (f"{d['n_images']:,} images of {n}" for n, d in about["data"].items())
    return page.make(
        "evaluation.html",
        title=f"What {names} look{'s' if len(report.cards) == 1 else ''} at",
        lead="; ".join(sets),
        report=report,
        about=about,
        command=shlex.join(about["command"]),
        models=json.dumps(about["models"], indent=1, ensure_ascii=False),
        facts=[_data_table(about), _speed_table(about)],
    )


def _data_table(about: Mapping[str, Any]) -> Table:
    header = ("data", "experiment", "images", "side, px", "digest", "made by")
    body = [
        (
            name,
            d["experiment"],
            f"{d['n_images']:,}",
            str(d["side_px"] or "various"),
            d["digest"],
            d["made_by"] or NONE,
        )
        for name, d in about["data"].items()
    ]
    return Table("Data", header, body)


def _speed_table(about: Mapping[str, Any]) -> Table:
    header = ("data", "models", "answers", "seconds", "images/s", "in the models, %")
    body = [
        (
            passed["data"],
            ", ".join(passed["models"]),
            f"{passed['n_answers']:,}",
            f"{passed['total_s']:.1f}",
            f"{passed['images_per_s']:.1f}",
            f"{100 * passed['forward_share']:.0f}",
        )
        for passed in about["speed"]
    ]
    return Table("Passes over the images", header, body)


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
