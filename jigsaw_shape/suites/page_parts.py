"""What an evaluation's page says: first of all, in cards, and suite by suite."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from jigsaw_shape.reports import fonts, look
from jigsaw_shape.reports.figures import Drawing
from jigsaw_shape.reports.page import Card, Report
from jigsaw_shape.suites import SUITES, figure_parts
from jigsaw_shape.suites.results import Results
from jigsaw_shape.suites.suite import Headline


def make_report(results: Results, models: Sequence[str]) -> Report:
    """Returns sentences, cards, tables and sections, with their figures drawn.

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
            if rows:
                tables += (
                    dataclasses.replace(table, suite=name)
                    for table in suite.overall(results.rows)
                )
            if suite.one_section and rows:
                sections.append(suite.section(rows, "", results, looks))
    leads = {model: _headlines(results, model) for model in models}
    overview = _overview(leads, looks)
    figures = [figure for one in sections for figure in one.figures.values()]
    for figure in [*figures, *([overview] if overview else [])]:
        fonts.fit(figure)
    if note := fonts.note():
        results.notes.append(note)
    return Report(
        _cards(results, looks),
        sections,
        tables,
        [(model, said) for model in models if (said := _sentence(leads[model]))],
        Drawing(overview, "overview") if overview else None,
    )


def _of_model(results: Results, suite: str, model: str) -> list[dict]:
    """Returns a model's rows over all categories, without comparisons."""
    return [
        row
        for row in results.rows
        if (row["suite"], row["model"]) == (suite, model)
        and "category" not in row
        and "difference" not in row
    ]


def _headlines(results: Results, model: str) -> list[Headline]:
    """Returns what is said of a model first; of several sets of images, of which."""
    found = []
    for name, suite in SUITES.items():
        rows = _of_model(results, name, model)
        for data in dict.fromkeys(row["data"] for row in rows):
            here = [row for row in rows if row["data"] == data]
            found += ((data, headline) for headline in suite.headlines(here))
    n_sets = collections.Counter(headline.measure for _, headline in found)
    return [one if n_sets[one.measure] == 1 else _on(one, data) for data, one in found]


def _on(headline: Headline, data: str) -> Headline:
    clause = headline.clause and f"{headline.clause} ({data})"
    measure = f"{headline.measure}, {data}"
    return dataclasses.replace(headline, measure=measure, clause=clause)


def _sentence(headlines: Sequence[Headline]) -> str:
    said = "; ".join(one.clause for one in headlines if one.clause)
    return f"{said}." if said else ""


def _overview(leads: Mapping[str, Sequence[Headline]], looks) -> Figure | None:
    """Returns every model's headlines beside each other; None without any."""
    measures = list(dict.fromkeys(h.measure for lead in leads.values() for h in lead))
    if not measures:
        return None
    points = []
    for model, lead in leads.items():
        for one in lead:
            row = dataclasses.asdict(one) | {"model": model, "group": "model"}
            points.append((measures.index(one.measure), "value", row))
    with look.look():
        size = figure_parts.size_of_list(7.6, measures)
        figure, axes = figure_parts.new_axes(size[0], 1.3 + 0.42 * len(measures))
        figure_parts.interval_groups(axes, points, measures, looks)
        axes.set_xlabel("share (95 % interval)")
        look.legend_above(figure, axes)
    figure.set_label("What leads the page: each measure of each model, as a share")
    return figure


def _cards(results: Results, looks: look.Looks) -> list[Card]:
    """Returns a card for each model, with its measures over all categories."""
    found = []
    for model, (colour, _) in looks.items():
        facts = []
        for name, suite in SUITES.items():
            facts += suite.facts(_of_model(results, name, model))
        found.append(Card(model, colour, tuple(facts)))
    return found
