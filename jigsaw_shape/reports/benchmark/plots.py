"""Figures of a benchmark, from its records."""

import itertools
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jigsaw_shape.reports.benchmark import comparison
from jigsaw_shape.reports.benchmark.comparison import ACCURACY, SHAPE_BIAS
from jigsaw_shape.reports.benchmark.grouping import Benchmark

# Okabe & Ito's colours, which colour-blind readers tell apart; black comes first, for
# the baseline. Beyond them methods are told apart by marks too.
_COLOURS = (
    *("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#8a7000", "#7a3db8"),
)
_MARKS = "osD^vPX*p"
_GREY = "0.45"


def _styles(labels: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns a colour and a mark for each method."""
    pairs = itertools.chain.from_iterable(
        zip(_COLOURS, _MARKS[i:] + _MARKS[:i], strict=True) for i in itertools.count()
    )
    return dict(zip(labels, pairs, strict=False))


def _bare(axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color="0.7")


def accuracy_figure(benchmark: Benchmark, rule: str) -> Figure:
    """Returns the accuracy of each method on each target, a mark with its error.

    Methods stand side by side above each target, and above the average.
    """
    targets, methods = list(benchmark.targets), benchmark.methods
    parts = [[t] for t in targets] + [targets] * (len(targets) > 1)
    names = targets + ["average"] * (len(targets) > 1)
    styles = _styles(list(methods))
    width = max(4.5, 1.5 + len(parts) * (0.55 + 0.16 * len(methods)))
    figure = Figure(figsize=(min(width, 11), 3.4), layout="constrained")
    axes = figure.subplots()
    _bare(axes)
    axes.grid(visible=False, axis="x")
    step = 0.7 / max(len(methods), 1)
    for i, (label, cells) in enumerate(methods.items()):
        colour, mark = styles[label]
        places, means, errors = [], [], []
        for j, part in enumerate(parts):
            found = comparison.of_average(cells, part, rule, ACCURACY)
            if found is not None:
                places.append(j + (i - (len(methods) - 1) / 2) * step)
                means.append(100 * found.mean)
                errors.append(100 * (found.error or 0))
        axes.errorbar(
            places,
            means,
            errors,
            fmt=mark,
            color=colour,
            markersize=6,
            capsize=2,
            elinewidth=1.2,
            label=label,
        )
    for j in range(len(parts) - 1):
        axes.axvline(j + 0.5, color="0.92", linewidth=0.8)
    axes.set_xlim(-0.5, len(parts) - 0.5)
    axes.set_xticks(range(len(parts)), names, fontsize=9)
    axes.set_ylabel("target accuracy, %", fontsize=9)
    _legend(figure, axes, len(methods))
    return figure


def difference_figure(benchmark: Benchmark, rule: str, baseline: str) -> Figure | None:
    """Returns each method's paired difference to the baseline, with its interval.

    The small grey marks are the differences on each target. None where there is
    nothing to compare.
    """
    methods, targets = benchmark.methods, benchmark.targets
    found = {
        label: comparison.paired(cells, methods[baseline], targets, rule)
        for label, cells in methods.items()
        if baseline in methods and label != baseline
    }
    found = {label: d for label, d in found.items() if d is not None}
    if not found:
        return None
    styles = _styles(list(methods))
    figure = Figure(figsize=(6.4, 0.9 + 0.42 * len(found)), layout="constrained")
    axes = figure.subplots()
    _bare(axes)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color="0.3", linewidth=1)
    extent = []
    for place, (label, d) in enumerate(found.items()):
        for target in targets:
            of = comparison.paired(methods[label], methods[baseline], [target], rule)
            if of is not None and len(targets) > 1:
                axes.plot(100 * of.mean, place + 0.22, "|", color=_GREY, markersize=7)
                extent.append(100 * of.mean)
        colour, mark = styles[label]
        if d.low is not None:
            ends = [100 * d.low, 100 * d.high]
            axes.plot(ends, [place] * 2, color=colour, linewidth=2, alpha=0.45)
        axes.plot(100 * d.mean, place, mark, color=colour, markersize=7)
        extent.append(100 * d.mean)
    # An interval of two pairs is wider than any page: the points set the scale.
    reach = 1.6 * max(*map(abs, extent), 1.0)
    axes.set_xlim(-reach, reach)
    axes.set_yticks(range(len(found)), list(found), fontsize=9)
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlabel(f"difference to {baseline}, points of target accuracy", fontsize=9)
    return figure


def bias_figure(benchmark: Benchmark, rule: str) -> Figure | None:
    """Returns accuracy against shape bias, a mark a method; None without shape bias."""
    styles = _styles(list(benchmark.methods))
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    _bare(axes)
    empty = True
    for label, cells in benchmark.methods.items():
        x, y = (
            comparison.of_average(cells, benchmark.targets, rule, measure)
            for measure in (SHAPE_BIAS, ACCURACY)
        )
        if x is None or y is None:
            continue
        empty = False
        colour, mark = styles[label]
        axes.errorbar(
            100 * x.mean,
            100 * y.mean,
            100 * (y.error or 0),
            100 * (x.error or 0),
            fmt=mark,
            color=colour,
            markersize=7,
            capsize=2,
            elinewidth=1,
            label=label,
        )
    axes.margins(0.15)
    axes.set_xlabel("shape bias, %", fontsize=9)
    axes.set_ylabel("target accuracy, %", fontsize=9)
    _legend(figure, axes, len(benchmark.methods))
    return None if empty else figure


def curves_figure(benchmark: Benchmark) -> Figure | None:
    """Returns accuracies over the epochs, a panel a target, means over seeds.

    On the target with the band of its standard error; on the sources' validation
    images dashed. None where no run has evaluations.
    """
    targets, methods = benchmark.targets, benchmark.methods
    styles = _styles(list(methods))
    n_columns = 1 if len(targets) < 2 else 2 if len(targets) in (2, 4) else 3
    n_rows = -(-max(len(targets), 1) // n_columns)
    figure = Figure(
        figsize=(1.2 + 3.3 * n_columns, 0.7 + 2.4 * n_rows), layout="constrained"
    )
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).flatten()
    for axes in panels[len(targets) :]:
        axes.set_visible(False)
    empty = True
    for axes, target in zip(panels, targets, strict=False):
        _bare(axes)
        axes.set_title(target, fontsize=10)
        axes.set_xlabel("epoch", fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("accuracy, %", fontsize=9)
        for label, cells in methods.items():
            colour, mark = styles[label]
            records = cells.get(target, {}).values()
            for measure, line in ((ACCURACY, "-"), ("val/accuracy", "--")):
                epochs, means, errors = comparison.curve(records, measure)
                if not epochs:
                    continue
                empty = False
                means = [100 * m for m in means]
                on_target = measure == ACCURACY
                axes.plot(
                    epochs,
                    means,
                    line,
                    color=colour,
                    linewidth=1.6 if on_target else 0.9,
                    marker=mark if on_target else None,
                    markersize=3.5,
                    label=label if on_target else None,
                )
                if on_target:
                    low = [m - 100 * e for m, e in zip(means, errors, strict=True)]
                    high = [m + 100 * e for m, e in zip(means, errors, strict=True)]
                    axes.fill_between(epochs, low, high, color=colour, alpha=0.12, lw=0)
    if empty:
        return None
    # A method may be missing from the first panel: each is named once.
    named = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    named = {label: named[label] for label in methods if label in named}
    figure.legend(
        named.values(),
        named.keys(),
        loc="outside lower center",
        ncols=min(len(named), 6),
        frameon=False,
        fontsize=8,
    )
    return figure


def _legend(figure, axes, n_methods) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(n_methods, 6),
        frameon=False,
        fontsize=8,
    )
