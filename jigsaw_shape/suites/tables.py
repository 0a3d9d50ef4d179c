"""Rows as tables of text, for the terminal, Markdown and HTML. Imports no JAX."""

import math
from collections.abc import Iterator, Sequence

from jigsaw_shape.reports.evaluation.parts import NONE, Table, interval, percent
from jigsaw_shape.suites import retrieval_parts
from jigsaw_shape.suites.accuracy_figures import title_of
from jigsaw_shape.suites.scoring import HUMANS
from jigsaw_shape.suites.suite_figures import level_text, named


def all_tables(rows: Sequence[dict]) -> list[Table]:
    """Returns every table that the rows fill, suite by suite."""
    found = []
    for make in (
        _shape_bias,
        _consistency,
        _accuracies,
        _areas,
        _shuffled,
        _jigsaw,
        retrieval_parts.tables,
        _differences,
    ):
        for data in dict.fromkeys(row["data"] for row in rows):
            found += make([row for row in rows if row["data"] == data], data)
    return found


def _people(rows: Sequence[dict]) -> list[dict]:
    """Returns models, then all humans as one, then networks; humans apart left out."""
    rows = [r for r in rows if r["group"] != "human" or r["model"] == HUMANS]
    order = {"model": 0, "human": 1, "network": 2}
    return sorted(rows, key=lambda row: order[row["group"]])


def _shape_bias(rows, data) -> Iterator[Table]:
    rows = [r for r in rows if "shape_bias" in r]
    overall = _people([r for r in rows if "category" not in r])
    if not overall:
        return
    yield Table(
        "shape_bias",
        f"Shape bias on {data}, in %",
        ("", "shape bias", "95 % interval", "shape S/n", "texture T/n", "trials n"),
        tuple(
            (
                row["model"],
                percent(row["shape_bias"]),
                interval(row),
                percent(row["shape_accuracy"]),
                percent(row["texture_accuracy"]),
                f"{row['n']:,}",
            )
            for row in overall
        ),
    )
    models = [r["model"] for r in overall if r["group"] == "model"]
    models += [r["model"] for r in overall if r["model"] == HUMANS]
    cells = {(r["model"], r.get("category")): r for r in rows}
    yield Table(
        "shape_bias",
        f"Shape bias by category of the shape on {data}, in % (S/n, T/n)",
        ("", *models),
        tuple(
            (
                category,
                *(
                    f"{percent(row['shape_bias'])} "
                    f"({percent(row['shape_accuracy'], 0)}, "
                    f"{percent(row['texture_accuracy'], 0)})"
                    for row in (cells[model, category] for model in models)
                ),
            )
            for category in sorted({r["category"] for r in rows if "category" in r})
        ),
    )


def _consistency(rows, data) -> Iterator[Table]:
    rows = [r for r in rows if "error_consistency" in r]
    with_humans = _people([r for r in rows if r["versus"] == HUMANS])
    others = [r for r in rows if r["versus"] != HUMANS]

    def cells(row, *names):
        def text(value):
            return f"{value:.3f}"

        return (*names, text(row["error_consistency"]), interval(row, text))

    if with_humans:
        suite = with_humans[0]["suite"]
        yield Table(
            suite,
            f"Error consistency with humans on {data} (kappa, mean over pairs)",
            ("", "kappa", "95 % interval"),
            tuple(
                cells(
                    r, "humans among themselves" if r["model"] == HUMANS else r["model"]
                )
                for r in with_humans
            ),
        )
    if others:
        yield Table(
            others[0]["suite"],
            f"Error consistency with networks and models on {data} (kappa)",
            ("", "with", "kappa", "95 % interval"),
            tuple(cells(r, r["model"], r["versus"]) for r in others),
        )


def _accuracies(rows, data) -> Iterator[Table]:
    for suite in ("target", "experiments"):
        here = [r for r in rows if r["suite"] == suite and "accuracy" in r]
        overall = _people([r for r in here if "category" not in r])
        if not overall:
            continue
        conditions = list(dict.fromkeys(r["condition"] for r in overall))
        cells = {(r["model"], r["condition"]): r for r in overall}
        columns = [
            text
            for condition in conditions
            for text in (title_of(condition), "95 % interval")
        ]
        body = []
        for who in dict.fromkeys(r["model"] for r in overall):
            line = [who]
            for condition in conditions:
                row = cells.get((who, condition))
                line += (
                    [NONE] * 2
                    if row is None
                    else [percent(row["accuracy"]), interval(row)]
                )
            body.append(tuple(line))
        n = {r["n"] // r.get("observers", 1) for r in overall}
        yield Table(
            suite,
            f"Accuracy on {data}, in % of {max(n):,} images",
            ("", *columns),
            tuple(body),
        )


def _areas(rows, data) -> Iterator[Table]:
    rows = [r for r in rows if "area" in r]
    models = list(dict.fromkeys(r["model"] for r in rows))
    if not rows:
        return
    cells = {(r["model"], r["condition"]): r for r in rows}
    yield Table(
        "distortions",
        f"Area under the curve of accuracy on {data}, in % (95 % interval)",
        ("", *models),
        tuple(
            (
                named(condition)[0],
                *(
                    f"{percent(cells[m, condition]['area'])} "
                    f"({interval(cells[m, condition])})"
                    for m in models
                ),
            )
            for condition in dict.fromkeys(r["condition"] for r in rows)
        ),
    )


def _shuffled(rows, data) -> Iterator[Table]:
    rows = [r for r in rows if r["suite"] == "puzzle" and "level" in r]
    if not rows:
        return
    levels = sorted({r["level"] for r in rows})
    cells = {(r["model"], r["level"]): r for r in rows}
    yield Table(
        "puzzle",
        f"Accuracy on {data} with all tiles moved, in %",
        ("", *("whole" if v == 1 else f"{level_text(v)} × {v}" for v in levels)),
        tuple(
            (
                model,
                *(
                    percent(cells[model, v]["accuracy"])
                    if (model, v) in cells
                    else NONE
                    for v in levels
                ),
            )
            for model in dict.fromkeys(r["model"] for r in rows)
        ),
    )


def _jigsaw(rows, data) -> Iterator[Table]:
    rows = [r for r in rows if r.get("condition") == "jigsaw" and "chance" in r]
    if not rows:
        return
    yield Table(
        "puzzle",
        f"The jigsaw head on {data}, in % (distances in tiles)",
        (
            "",
            "shuffled",
            "95 % interval",
            "chance",
            "ordered",
            "said “ordered”",
            "distance of wrong answers",
            "of any two orders",
        ),
        tuple(
            (
                r["model"],
                percent(r["shuffled_accuracy"]),
                interval(r),
                percent(r["chance"]),
                percent(r["ordered_accuracy"]),
                percent(r["share_ordered"]),
                NONE
                if r["wrong_distance"] is None or math.isnan(r["wrong_distance"])
                else f"{r['wrong_distance']:.2f}",
                f"{r['pair_distance']:.2f}",
            )
            for r in rows
        ),
    )


def _differences(rows, data) -> Iterator[Table]:
    for suite in dict.fromkeys(r["suite"] for r in rows):
        here = [r for r in rows if r["suite"] == suite and "difference" in r]
        if here:
            yield Table(
                suite,
                f"Differences on {data} ({suite}), in points, on the same images",
                ("", "minus", "in", "difference", "95 % interval"),
                tuple(
                    (
                        r["model"],
                        r["versus"],
                        named(r["condition"])[0],
                        percent(r["difference"]),
                        interval(r),
                    )
                    for r in here
                ),
            )
