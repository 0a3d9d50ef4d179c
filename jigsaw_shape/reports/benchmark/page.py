"""A benchmark as one page."""

from collections.abc import Sequence

from jigsaw_shape.reports import html
from jigsaw_shape.reports.benchmark import comparison, plots, tables
from jigsaw_shape.reports.benchmark.comparison import ACCURACY, SHAPE_BIAS
from jigsaw_shape.reports.benchmark.grouping import Benchmark
from jigsaw_shape.runs import records, rows
from jigsaw_shape.runs.records import Record

_KINDS = {
    records.FINISHED: "good",
    records.FAILED: "bad",
    records.UNFINISHED: "warn",
    records.MISSING: "warn",
}


def make(
    benchmarks: Sequence[Benchmark],
    *,
    name: str,
    baseline: str,
    with_published: bool = False,
    strangers: Sequence[Record] = (),
) -> str:
    """Returns the page: what came out, how sure that is, and what became of each run.

    Args:
      benchmarks: See `grouping.group`.
      name: Of the page.
      baseline: The method that others are compared with.
      with_published: Whether papers' numbers stand below.
      strangers: Runs that do not say what they are of.
    """
    parts = []
    for i, benchmark in enumerate(benchmarks):
        parts += _benchmark(benchmark, f"b{i}", baseline, with_published)
    everything = [r for b in benchmarks for r in b.records] + list(strangers)
    parts.append(_runs(everything))
    done = sum(r.status == records.FINISHED for r in everything)
    lead = f"{done} of {len(everything)} runs are finished."
    return html.page(name, lead, *parts)


def _benchmark(benchmark, key, baseline, with_published) -> list[str]:
    cards = html.cards(_headlines(benchmark, baseline))
    panels = [
        (
            f"{rule}: {meaning}",
            _table(
                tables.accuracy_table(
                    benchmark,
                    rule,
                    baseline,
                    with_published=with_published,
                    with_intervals=False,
                )
            )
            + html.drawing(
                plots.accuracy_figure(benchmark, rule),
                "Accuracy on each held-out domain: mean over seeds and its standard "
                "error.",
            ),
        )
        for rule, meaning in rows.RULES.items()
    ]
    # `val` first: it is what someone who has no target images would report.
    chosen = list(rows.RULES).index("val")
    parts = [
        cards,
        html.section(tables.title(benchmark), html.tabs(f"{key}r", panels, chosen)),
    ]
    differences = [
        (rule, _table(table) + html.drawing(figure, _DIFFERENCE))
        for rule in rows.RULES
        if (table := tables.difference_table(benchmark, rule, baseline))
        and (figure := plots.difference_figure(benchmark, rule, baseline))
    ]
    if differences:
        parts.append(
            html.section(
                f"Against {baseline}", html.tabs(f"{key}d", differences, chosen)
            )
        )
    bias = plots.bias_figure(benchmark, "val")
    if bias is not None:
        parts.append(
            html.section(
                "Shape bias and accuracy",
                html.paragraph(
                    "Of the images whose shape and texture disagree, and that were "
                    "named by either, the share that was named by shape."
                ),
                html.drawing(bias, "Selected on validation; bars are standard errors."),
            )
        )
    curves = plots.curves_figure(benchmark)
    if curves is not None:
        parts.append(
            html.section(
                "Training",
                html.drawing(
                    curves,
                    "Solid: the held-out domain, with the standard error over seeds. "
                    "Dashed: the sources' validation images.",
                ),
            )
        )
    drawn = _draws(benchmark)
    return [*parts, drawn] if drawn else parts


_DIFFERENCE = (
    "Mark and line: mean and 95 % interval over all pairs of target and seed, cut off "
    "where it leaves the figure; ticks below: the mean on each target."
)


def _headlines(benchmark: Benchmark, baseline: str) -> list[tuple[str, str]]:
    """Returns the numbers that a reader wants first, selected on validation."""
    found, targets = [], benchmark.targets
    where = "on average" if len(targets) > 1 else f"on {targets[0]}"
    means = {
        label: mean
        for label, cells in benchmark.methods.items()
        if (mean := comparison.of_average(cells, targets, "val", ACCURACY)) is not None
    }
    if means:
        best = max(means, key=lambda label: means[label].mean)
        text = tables.mean_text(means[best], benchmark.n_seeds(best))
        text = text.replace("+-", "±")
        found.append((text, f"{best}, % {where}"))
        if baseline in means and best != baseline:
            gain = comparison.paired(
                benchmark.methods[best], benchmark.methods[baseline], targets, "val"
            )
            if gain is not None:
                found.append(
                    (
                        f"{100 * gain.mean:+.1f}",
                        f"points over {baseline}, {gain.n} pair{'s' * (gain.n > 1)}",
                    )
                )
        bias = comparison.of_average(
            benchmark.methods[best], targets, "val", SHAPE_BIAS
        )
        if bias is not None:
            found.append((f"{100 * bias.mean:.1f}", f"shape bias of {best}, %"))
    failed = sum(r.status == records.FAILED for r in benchmark.records)
    done = sum(r.status == records.FINISHED for r in benchmark.records)
    found.append(
        (f"{done}/{len(benchmark.records)}", f"runs finished, {failed} failed")
    )
    return found


def _table(table: tables.Table) -> str:
    body = []
    for row in table.body:
        cells = []
        for i, cell in enumerate(row):
            shown = _shown(cell.text)
            kind = "best" if cell.best else ""
            if i and cell.text in (records.FAILED, records.MISSING, records.UNFINISHED):
                shown, kind = html.badge(cell.text, _KINDS[cell.text]), ""
            cells.append(html.cell(shown, kind=kind))
        body.append(cells)
    notes = "".join(html.paragraph(note, note=True) for note in table.notes)
    notes = notes.replace("+-", "±")
    return html.table(table.header, body, aside=table.aside) + notes


def _shown(text: str) -> str:
    """Returns a cell's text, what stands in brackets small below it."""
    first, bracket, rest = text.partition(" [")
    if not bracket or first[:1] not in "+-0":
        return html.text(text).replace("+-", "±")
    return f"{html.text(first)}<small>{html.text(bracket.strip() + rest)}</small>"


def _draws(benchmark: Benchmark) -> str:
    """Returns what a search selected for each cell; empty without a search."""
    keys = sorted({key for r in benchmark.records for key in r.drawn})
    if not keys:
        return ""
    body = [
        [
            html.cell(html.text(label)),
            html.cell(html.text(f"{target}, seed {seed}")),
            html.cell(html.text(record.trial)),
            *(html.cell(html.text(record.drawn.get(key, "-"))) for key in keys),
        ]
        for label, cells in benchmark.methods.items()
        for target, by_seed in cells.items()
        for seed, record in by_seed.items()
    ]
    header = ["method", "cell", "trial", *keys]
    return html.section(
        "What the search selected",
        html.paragraph("On the sources' validation images alone."),
        html.table(header, body),
    )


def _runs(everything: Sequence[Record]) -> str:
    order = [*list(_KINDS)[1:], records.FINISHED]  # what needs a look comes first
    body = []
    for r in sorted(everything, key=lambda r: order.index(r.status)):
        found = r.results.get("val", {})
        numbers = [found.get(ACCURACY), found.get(tables.VAL)]
        body.append(
            [
                html.cell(f"<code>{html.text(r.name)}</code>"),
                html.cell(html.badge(r.status, _KINDS[r.status]), kind="text"),
                html.cell(html.text(r.note), kind="text"),
                *(html.cell(rows.percent(value)) for value in numbers),
            ]
        )
    header = ["run", "status", "", "target", "source val"]
    return html.section(
        "Runs",
        html.table(header, body, left=(0, 1, 2)),
        html.paragraph("Accuracies in %, selected on validation.", note=True),
    )
