"""A benchmark's report: printed, and as a folder of a page, tables and figures."""

import pathlib
import re
from collections.abc import Sequence

from rich.console import Console

from jigsaw_shape.reports import benchmark_figures, comparison, page, run_tables
from jigsaw_shape.reports.benchmark_tables import (
    accuracy_table,
    difference_table,
    mean_text,
    numbers_table,
)
from jigsaw_shape.reports.comparison import ACCURACY, SHAPE_BIAS
from jigsaw_shape.reports.figures import Drawing
from jigsaw_shape.reports.grouping import Benchmark
from jigsaw_shape.reports.table import (
    Table,
    print_table,
    to_csv,
    to_latex,
    to_markdown,
)
from jigsaw_shape.runs import records, rows
from jigsaw_shape.runs.records import Record

PAGE = "report.html"
_FIGURE = re.compile(r"(accuracy|difference|shape_bias|curves)(_\d+)?\.png")


def all_tables(
    benchmark: Benchmark, rules: Sequence[str], baseline: str, with_published: bool
) -> list[Table]:
    """Returns each rule's table, and each one's differences to the baseline."""
    made = []
    for rule in rules:
        made += [
            accuracy_table(benchmark, rule, baseline, with_published),
            difference_table(benchmark, rule, baseline),
        ]
    return [table for table in made if table is not None]


def print_benchmark(
    benchmark: Benchmark,
    console: Console,
    *,
    rules: Sequence[str],
    chosen: str,
    baseline: str,
    with_published: bool,
) -> None:
    """Prints the table of each of `rules`, and the differences of the rule `chosen`."""
    for rule in rules:
        print_table(accuracy_table(benchmark, rule, baseline, with_published), console)
    table = difference_table(benchmark, chosen, baseline, with_intervals=False)
    if table is not None:
        print_table(table, console)


def write(
    out: pathlib.Path,
    benchmarks: Sequence[Benchmark],
    *,
    name: str,
    baseline: str,
    with_published: bool,
    strangers: Sequence[Record] = (),
) -> list[pathlib.Path]:
    """Writes the page, tables in Markdown, LaTeX and CSV, and figures; returns them.

    Figures of an earlier report in the folder are deleted.

    Args:
      out: The folder, which is made.
      benchmarks: See `grouping.group`.
      name: The page's title.
      baseline: The method that others are compared with.
      with_published: Whether papers' numbers stand below.
      strangers: Runs that do not say which method and data they are of.
    """
    out.mkdir(parents=True, exist_ok=True)
    if (out / PAGE).exists():
        for path in list(out.iterdir()):
            if _FIGURE.fullmatch(path.name):
                path.unlink()
    tables = [
        table
        for benchmark in benchmarks
        for table in all_tables(benchmark, list(rows.RULES), baseline, with_published)
    ]
    shown = [_Shown(benchmark, baseline, with_published) for benchmark in benchmarks]
    texts = {
        PAGE: _page(shown, name, [r for b in benchmarks for r in b.records], strangers),
        "report.md": "\n".join(map(to_markdown, tables)),
        "report.tex": "\n".join(map(to_latex, tables)),
        "report.csv": to_csv(numbers_table(benchmarks, baseline)),
    }
    for file, text in texts.items():
        (out / file).write_text(text, encoding="utf-8", errors="backslashreplace")
    written = [out / file for file in texts]
    for i, one in enumerate(shown):
        number = f"_{i + 1}" if len(shown) > 1 else ""
        for kind, drawing in one.pictures.items():
            written.append(out / f"{kind}{number}.png")
            drawing.write(written[-1])
    return written


class _Shown:
    """What the page shows of a benchmark; its template reads the attributes."""

    def __init__(self, benchmark: Benchmark, baseline: str, with_published: bool):
        self.title, self.baseline = benchmark.title, baseline
        self.headlines = list(_headlines(benchmark, baseline))
        self.accuracies = [
            (
                f"{rule}: {meaning}",
                accuracy_table(benchmark, rule, baseline, with_published),
                Drawing(benchmark_figures.accuracy_figure(benchmark, rule)),
            )
            for rule, meaning in rows.RULES.items()
        ]
        self.differences = []
        for rule in rows.RULES:
            table = difference_table(benchmark, rule, baseline)
            figure = benchmark_figures.difference_figure(benchmark, rule, baseline)
            if table is not None and figure is not None:
                self.differences.append((rule, table, Drawing(figure)))
        bias = benchmark_figures.bias_figure(benchmark, "val")
        curves = benchmark_figures.curves_figure(benchmark)
        self.bias, self.curves = bias and Drawing(bias), curves and Drawing(curves)
        self.draws = run_tables.draws_table(benchmark)

    @property
    def pictures(self) -> dict[str, Drawing]:
        """The figures that are files too, those of a rule selected on validation."""
        chosen = {
            "accuracy": self.accuracies[_VAL][2],
            "difference": self.differences[_VAL][2] if self.differences else None,
            "shape_bias": self.bias,
            "curves": self.curves,
        }
        return {name: drawing for name, drawing in chosen.items() if drawing}


# Shown first: it is what someone who has no target images would report.
_VAL = list(rows.RULES).index("val")


def _page(shown, name, known: Sequence[Record], strangers: Sequence[Record]) -> str:
    everything = [*known, *strangers]
    done = sum(r.status == records.FINISHED for r in everything)
    return page.make(
        "benchmark.html",
        title=name,
        lead=f"{done} of {len(everything)} runs are finished.",
        benchmarks=shown,
        chosen=_VAL,
        runs=run_tables.statuses_table(everything),
    )


def _headlines(benchmark: Benchmark, baseline: str):
    """Yields the numbers that a reader wants first, selected on validation."""
    methods, targets = benchmark.methods, benchmark.targets
    where = "on average" if len(targets) > 1 else f"on {targets[0]}"
    means = {
        label: comparison.of_average(cells, targets, "val", ACCURACY)
        for label, cells in methods.items()
    }
    means = {label: mean for label, mean in means.items() if mean is not None}
    if means:
        best = max(means, key=lambda label: means[label].mean)
        text = mean_text(means[best], benchmark.n_seeds(best))
        yield text, f"{best}, % {where}"
        if baseline in means and best != baseline:
            gain = comparison.paired(methods[best], methods[baseline], targets, "val")
            if gain is not None:
                pairs = f"{gain.n} pair{'s' * (gain.n > 1)}"
                yield f"{100 * gain.mean:+.1f}", f"points over {baseline}, {pairs}"
        bias = comparison.of_average(methods[best], targets, "val", SHAPE_BIAS)
        if bias is not None:
            yield f"{100 * bias.mean:.1f}", f"shape bias of {best}, %"
    counts = {
        status: sum(r.status == status for r in benchmark.records)
        for status in (records.FINISHED, records.FAILED)
    }
    yield (
        f"{counts[records.FINISHED]}/{len(benchmark.records)}",
        f"runs finished, {counts[records.FAILED]} failed",
    )
