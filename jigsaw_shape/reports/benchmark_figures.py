"""The figures of a benchmark: each method with its own colour and mark in all."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jigsaw_shape.reports import comparison, look
from jigsaw_shape.reports.comparison import ACCURACY, SHAPE_BIAS, VAL
from jigsaw_shape.reports.grouping import Benchmark
from jigsaw_shape.reports.look import Looks


def accuracy_figure(benchmark: Benchmark, rule: str) -> Figure:
    """Returns the accuracy of each method on each target, a mark with its error.

    Methods stand side by side above each target, and above the average.
    """
    methods, parts = benchmark.methods, _parts(benchmark)
    width = max(4.5, 1.5 + len(parts) * (0.55 + 0.16 * len(methods)))
    step = 0.7 / max(len(methods), 1)
    with look.look():
        figure = Figure(figsize=(min(width, 11), 3.4), layout="constrained")
        figure.set_label(f"Accuracy of each method on each target, selection {rule}")
        axes = figure.subplots()
        for i, (label, (colour, mark)) in enumerate(Looks(methods).items()):
            means = [
                comparison.of_average(methods[label], part, rule, ACCURACY)
                for part in parts.values()
            ]
            found = {j: mean for j, mean in enumerate(means) if mean is not None}
            axes.errorbar(
                [j + (i - (len(methods) - 1) / 2) * step for j in found],
                [100 * mean.mean for mean in found.values()],
                [100 * (mean.error or 0) for mean in found.values()],
                fmt=mark,
                color=colour,
                markersize=6,
                capsize=2,
                elinewidth=1.2,
                label=label,
            )
        for j in range(len(parts) - 1):
            axes.axvline(j + 0.5, color=look.FAINT, linewidth=0.8)
        axes.grid(axis="y")
        axes.set_xlim(-0.5, len(parts) - 0.5)
        axes.set_xticks(range(len(parts)), list(parts))
        axes.set_ylabel("target accuracy, %")
        look.legend_above(figure, axes)
    return figure


def _parts(benchmark: Benchmark) -> dict[str, list[str]]:
    """Returns the targets that a number is over, by its name."""
    parts = {target: [target] for target in benchmark.targets}
    return parts | ({"average": list(parts)} if len(parts) > 1 else {})


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
    looks = Looks(methods)
    with look.look():
        figure = Figure(figsize=(6.4, 0.9 + 0.42 * len(found)), layout="constrained")
        figure.set_label(f"Each method's difference to {baseline}, selection {rule}")
        axes = figure.subplots()
        axes.axvline(0, color=look.INK, linewidth=1)
        extent = [1.0]
        for y, (label, d) in enumerate(found.items()):
            colour, mark = looks[label]
            each = [
                comparison.paired(methods[label], methods[baseline], [target], rule)
                for target in targets[: len(targets) * (len(targets) > 1)]
            ]
            points = [100 * one.mean for one in each if one is not None]
            axes.plot(
                points, [y + 0.22] * len(points), "|", color=look.NETWORK, markersize=7
            )
            if d.low is not None:
                ends = [100 * d.low, 100 * d.high]
                axes.plot(ends, [y] * 2, color=colour, linewidth=2, alpha=0.45)
            axes.plot(100 * d.mean, y, mark, color=colour, markersize=7)
            extent += [100 * d.mean, *points]
        # An interval of two pairs is wider than any page: the points set the scale.
        reach = 1.6 * max(map(abs, extent))
        axes.grid(axis="x")
        axes.set_xlim(-reach, reach)
        axes.set_yticks(range(len(found)), list(found))
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xlabel(f"difference to {baseline}, points of target accuracy")
    return figure


def bias_figure(benchmark: Benchmark, rule: str) -> Figure | None:
    """Returns accuracy against shape bias, a mark a method; None without shape bias."""
    found = {
        label: [
            comparison.of_average(cells, benchmark.targets, rule, measure)
            for measure in (SHAPE_BIAS, ACCURACY)
        ]
        for label, cells in benchmark.methods.items()
    }
    found = {label: means for label, means in found.items() if None not in means}
    if not found:
        return None
    looks = Looks(benchmark.methods)
    with look.look():
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        figure.set_label("Accuracy against shape bias of each method")
        axes = figure.subplots()
        for label, (bias, accuracy) in found.items():
            colour, mark = looks[label]
            axes.errorbar(
                100 * bias.mean,
                100 * accuracy.mean,
                100 * (accuracy.error or 0),
                100 * (bias.error or 0),
                fmt=mark,
                color=colour,
                markersize=7,
                capsize=2,
                elinewidth=1,
                label=label,
            )
        axes.grid()
        axes.margins(0.15)
        axes.set_xlabel("shape bias, %")
        axes.set_ylabel("target accuracy, %")
        look.legend_above(figure, axes)
    return figure


def curves_figure(benchmark: Benchmark) -> Figure | None:
    """Returns accuracies over the epochs, a panel a target, means over seeds.

    On the target with the band of its standard error; on the sources' validation
    images dashed. None where no run has evaluations.
    """
    targets, methods = benchmark.targets, benchmark.methods
    if not any(
        r.evaluations
        for c in methods.values()
        for by in c.values()
        for r in by.values()
    ):
        return None
    n_columns = 1 if len(targets) < 2 else 2 if len(targets) in (2, 4) else 3
    n_rows = -(-len(targets) // n_columns)
    with look.look():
        figure = Figure(
            figsize=(1.2 + 3.3 * n_columns, 0.7 + 2.4 * n_rows), layout="constrained"
        )
        figure.set_label("Accuracy on each target over the epochs of training")
        grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
        panels = list(grid.flat)
        for axes in panels[len(targets) :]:
            axes.set_visible(False)
        for axes, target in zip(panels, targets, strict=False):
            for label, (colour, mark) in Looks(methods).items():
                records = list(methods[label].get(target, {}).values())
                _curves(axes, records, label, colour, mark)
            axes.grid()
            axes.set_title(target)
            axes.set_xlabel("epoch")
            axes.set_ylabel("accuracy, %")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        look.legend_above(figure, *panels)
    return figure


def _curves(axes, records, label, colour, mark) -> None:
    epochs, means, errors = comparison.curve(records, ACCURACY)
    means, errors = [100 * m for m in means], [100 * e for e in errors]
    if epochs:
        axes.plot(epochs, means, color=colour, marker=mark, markersize=3.5, label=label)
        low, high = (
            [m + sign * e for m, e in zip(means, errors, strict=True)]
            for sign in (-1, 1)
        )
        axes.fill_between(epochs, low, high, color=colour, alpha=0.12, lw=0)
    epochs, means, _ = comparison.curve(records, VAL)
    axes.plot(epochs, [100 * m for m in means], "--", color=colour, linewidth=0.9)
