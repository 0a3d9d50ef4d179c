"""Cards, tables and sections of an evaluation, suite by suite."""

import dataclasses
from collections.abc import Sequence

from jigsaw_shape.reports import fonts, look
from jigsaw_shape.reports.page import Card, Report
from jigsaw_shape.suites import SUITES
from jigsaw_shape.suites.results import Results


def make_report(results: Results, models: Sequence[str]) -> Report:
    """Returns cards, tables and sections, with their figures drawn.

    Args:
      results: What was found.
      models: Their names, in their order.
    """
    looks = look.Looks(models)
    sections, tables = [], []
    with look.look():
        for name, suite in SUITES.items():
            rows = [row for row in results.rows if row["suite"] == name]
            for data in dict.fromkeys(row["data"] for row in rows):
                here = [row for row in rows if row["data"] == data]
                tables += (
                    dataclasses.replace(table, suite=name)
                    for table in suite.tables(here, data)
                )
                if not suite.one_section:
                    sections.append(suite.section(here, data, results, looks))
            if suite.one_section and rows:
                sections.append(suite.section(rows, "", results, looks))
    for section in sections:
        for figure in section.figures.values():
            fonts.fit(figure)
    if note := fonts.note():
        results.notes.append(note)
    return Report(_cards(results, looks), sections, tables)


def _cards(results: Results, looks: look.Looks) -> list[Card]:
    """Returns a card for each model, with its measures over all categories."""
    found = []
    for model, (colour, _) in looks.items():
        facts = []
        for name, suite in SUITES.items():
            own = [
                row
                for row in results.rows
                if (row["suite"], row["model"]) == (name, model)
                and "category" not in row
                and "difference" not in row
            ]
            facts += suite.facts(own)
        found.append(Card(model, colour, tuple(facts)))
    return found
