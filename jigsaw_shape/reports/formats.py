"""How tables are written: terminal, Markdown, LaTeX, CSV."""

import csv
import io
import re
from collections.abc import Sequence

from rich import box
from rich import table as rich_table
from rich.text import Text

from jigsaw_shape.reports.benchmark import comparison
from jigsaw_shape.reports.benchmark.comparison import ACCURACY, NAMED, SHAPE_BIAS
from jigsaw_shape.reports.benchmark.grouping import Benchmark
from jigsaw_shape.reports.benchmark.tables import EXTRAS, Table
from jigsaw_shape.runs import rows


def to_rich(table: Table) -> rich_table.Table:
    """Returns the table for the terminal, without its title."""
    made = rich_table.Table(box=box.SIMPLE_HEAD)
    for i, name in enumerate(table.header):
        made.add_column(Text(name), justify="left" if i == 0 else "right")
    for i, row in enumerate(table.body):
        texts = [Text(_compact(c.text), style="bold" if c.best else "") for c in row]
        made.add_row(*texts, style="dim italic" if i in table.aside else None)
    return made


def _sign(text: str) -> str:
    return text.replace("+-", "±")


def _compact(text: str) -> str:
    return text.replace(" +- ", "±")


def to_markdown(table: Table) -> str:
    """Returns the table as GitHub's Markdown."""

    def line(texts):
        return "| " + " | ".join(texts) + " |\n"

    def show(cell, aside):
        text = _sign(cell.text).replace("|", "\\|")
        if cell.best:
            return f"**{text}**"
        return f"*{text}*" if aside and text != "-" else text

    out = f"### {table.title}\n\n" + line(table.header)
    out += line(["---"] + ["---:"] * (len(table.header) - 1))
    for i, row in enumerate(table.body):
        out += line([show(cell, i in table.aside) for cell in row])
    return out + "".join(f"\n{note}\n" for note in table.notes)


_LATEX = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def to_latex(table: Table) -> str:
    """Returns the table for a document with the package `booktabs`."""

    def show(text):
        # One pass, so that no replacement is replaced.
        text = re.sub(r"[\\&%$#_{}~^]", lambda found: _LATEX[found[0]], text)
        text = text.replace("+-", r"$\pm$")
        return re.sub(r"(?<![\w.-])-(?=\d)", "$-$", text)

    def line(texts):
        return " & ".join(texts) + r" \\" + "\n"

    out = "\\begin{table}\n  \\centering\n"
    out += f"  \\caption{{{show(table.title)}. {show(' '.join(table.notes))}}}\n"
    out += f"  \\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}\n    \\toprule\n"
    out += "    " + line(map(show, table.header)) + "    \\midrule\n"
    for i, row in enumerate(table.body):
        if table.aside and i == min(table.aside):
            out += "    \\midrule\n"
        texts = (f"\\textbf{{{show(c.text)}}}" if c.best else show(c.text) for c in row)
        out += "    " + line(texts)
    return out + "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"


# Column -> measure.
_MEASURES = {
    "shape_bias": SHAPE_BIAS,
    **{name.rpartition("/")[2]: name for name in NAMED},
    **{k.replace(" ", "_"): name for k, name in EXTRAS.items() if name != SHAPE_BIAS},
}
_CSV = (
    *("dataset", "encoder", "split", "split_seed", "method", "selection", "target"),
    *("n_seeds", "accuracy", "standard_error", "baseline", "n_pairs", "difference"),
    *("low", "high", *_MEASURES),
)


def to_csv(benchmarks: Sequence[Benchmark], baseline: str) -> str:
    """Returns a line for each method, rule and target, and for their average.

    Shares, not percent, in full precision; empty where there is no number.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _CSV, lineterminator="\n")
    writer.writeheader()
    for benchmark in benchmarks:
        known = {k: benchmark.protocol.get(k) for k in _CSV[:4]}
        parts = {target: [target] for target in benchmark.targets}
        if len(parts) > 1:
            parts["average"] = benchmark.targets
        for label, cells in benchmark.methods.items():
            for rule in rows.RULES:
                for name, targets in parts.items():
                    values = _numbers(benchmark, cells, targets, rule, baseline)
                    found = {"method": label, "selection": rule, "target": name}
                    writer.writerow(known | found | values)
    return buffer.getvalue()


def _numbers(benchmark, cells, targets, rule, baseline) -> dict:
    accuracy = comparison.of_average(cells, targets, rule, ACCURACY)
    values = {"n_seeds": 0}
    if accuracy is not None:
        values = {
            "n_seeds": accuracy.n,
            "accuracy": accuracy.mean,
            "standard_error": accuracy.error,
        }
    for column, measure in _MEASURES.items():
        found = comparison.of_average(cells, targets, rule, measure)
        values[column] = found and found.mean
    if baseline in benchmark.methods and cells is not benchmark.methods[baseline]:
        found = comparison.paired(cells, benchmark.methods[baseline], targets, rule)
        if found is not None:
            values |= {"baseline": baseline, "n_pairs": found.n}
            values |= {"difference": found.mean, "low": found.low, "high": found.high}
    return values
