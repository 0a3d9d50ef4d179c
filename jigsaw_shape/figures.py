"""Every picture that the program draws, from arrays and rows. Imports no JAX."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure


def save(figure: Figure, path: pathlib.Path) -> None:
    """Writes `figure` to `path`, whose suffix names the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def sheet(rows: Sequence[tuple[str, np.ndarray, Sequence[str]]]) -> Figure:
    """Returns a grid of pictures.

    Args:
      rows: For each row its name, images float [n, H, W, 3] in [0, 1] and n titles.
    """
    n_columns = len(rows[0][1])
    figure = Figure(
        figsize=(1.25 * n_columns + 0.4, 1.45 * len(rows)), layout="constrained"
    )
    axes = figure.subplots(len(rows), n_columns, squeeze=False)
    for row, (name, images, titles) in enumerate(rows):
        for column, (image, title) in enumerate(zip(images, titles, strict=True)):
            cell = axes[row][column]
            cell.imshow(np.clip(image, 0, 1), interpolation="nearest")
            cell.set_title(title, fontsize=7)
            cell.set_xticks([])
            cell.set_yticks([])
            cell.spines[:].set_color("0.8")  # a white image still has an edge
        axes[row][0].set_ylabel(name, fontsize=9)
    return figure


def confusion_figure(result: Mapping, classes: Sequence[str]) -> Figure:
    """Returns the confusion matrix of a result row, in shares of each true class.

    Args:
      result: With `target/confusion`, `target/accuracy`, `target`, `selection`.
      classes: Names, in the order of the matrix.
    """
    counts = np.asarray(result["target/confusion"])
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    n = len(classes)
    side = max(3.2, 0.45 * n + 1.6)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(n), classes, rotation=45, ha="right")
    axes.set_yticks(range(n), classes)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    axes.set_title(
        f"held out: {result['target']}, {100 * result['target/accuracy']:.1f} % right\n"
        f"selected by: {result['selection']}; cells in %",
        fontsize=10,
    )
    if n <= 20:  # beyond that numbers are illegible
        for i, j in np.ndindex(n, n):
            colour = "white" if shares[i, j] > 0.6 else "black"
            text = f"{100 * shares[i, j]:.0f}"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=7)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="share of the true class")
    return figure


def retrieval_figure(models: Mapping[str, Sequence[Mapping]]) -> Figure:
    """Returns mean average precisions between domains, above the features' lengths.

    Args:
      models: The rows of `evals.retrieval.rows` by the model's name, one at least; all
        of the same domains.
    """
    n = len(models)
    first = next(iter(models.values()))
    domains = [row["domain"] for row in first if row["measure"] == "norm"]
    side = max(2.6, 0.62 * len(domains) + 1.2)
    figure = Figure(figsize=(side * n + 0.8, 2 * side), layout="constrained")
    above, below = figure.subplots(2, n, squeeze=False, sharey="row")
    for axes, bars, (name, rows) in zip(above, below, models.items(), strict=True):
        picture = _precisions(axes, rows, domains)
        axes.set_title(name, fontsize=10)
        lengths = {row["domain"]: row for row in rows if row["measure"] == "norm"}
        means = [lengths[domain]["relative"] or 0 for domain in domains]
        spread = [
            lengths[domain]["std"] * mean / (lengths[domain]["mean"] or 1)
            for domain, mean in zip(domains, means, strict=True)
        ]
        bars.bar(range(len(domains)), means, yerr=spread, color="0.6", ecolor="0.2")
        bars.axhline(1, color="0.8", linewidth=0.8, zorder=0)
        bars.set_xticks(range(len(domains)), domains, rotation=45, ha="right")
    above[0].set_ylabel("query")
    below[0].set_ylabel("length of features, mean and spread\n1: mean of the domains")
    figure.colorbar(picture, ax=list(above), shrink=0.8, label="mAP, in %")
    return figure


def _precisions(axes, rows: Sequence[Mapping], domains: Sequence[str]):
    place = {domain: i for i, domain in enumerate(domains)}
    values = np.full((len(domains), len(domains)), np.nan)
    for row in rows:
        if row["measure"] == "retrieval" and row["map"] is not None:
            values[place[row["query"]], place[row["gallery"]]] = 100 * row["map"]
    picture = axes.imshow(values, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(domains)), domains, rotation=45, ha="right")
    axes.set_yticks(range(len(domains)), domains)
    axes.set_xlabel("found in")
    for i, j in np.argwhere(np.isfinite(values)):
        colour = "white" if values[i, j] > 60 else "black"
        text = f"{values[i, j]:.0f}"
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    return picture
