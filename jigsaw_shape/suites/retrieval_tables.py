"""Tables of the suite `retrieval`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from jigsaw_shape.reports.table import NONE, Table, interval, percent
from jigsaw_shape.suites import differences, row_tables


def tables(rows: Sequence[Mapping], data: str) -> Iterator[Table]:
    """Yields tables of what was found, unseen queries, lengths and differences."""
    all_rows, rows = rows, [r for r in rows if "measure" in r]
    models = list(dict.fromkeys(row["model"] for row in rows))
    found = [r for r in rows if r["measure"] == "retrieval"]
    found = [{**r, "pair": f"{r['query']} → {r['gallery']}"} for r in found]
    by_pair: dict[str, list[Mapping]] = {}  # of each pair a row a model, in their order
    for row in found:
        by_pair.setdefault(row["pair"], []).append(row)
    body = [
        (
            pair,
            f"{here[0]['n_queries']:,}",
            percent(here[0]["chance"]),
            *map(_with_interval, here),
        )
        for pair, here in by_pair.items()
    ]
    yield Table(
        f"mAP on {data}, in % (95 % interval over queries)",
        ("query → searched", "queries", "chance", *models),
        (*body, *_means(found, models)),
    )
    yield from row_tables.crossed(
        f"Precision among the first 1, 5, 10, 100 and 200 found on {data}, in %",
        found,
        "pair",
        "model",
        _precision,
    )
    yield from row_tables.crossed(
        f"Recall at 1 and 5, MRR and mAP among the first 200 on {data}, in %",
        found,
        "pair",
        "model",
        _early,
    )
    yield from _strange_table(found, data)
    yield from _length_table(rows, data)
    yield from differences.table(all_rows, data, str)


def _with_interval(row: Mapping) -> str:
    if row["map"] is None:  # no query has a match
        return NONE
    return f"{percent(row['map'])} ({interval(row)})"


def _precision(row: Mapping) -> str:
    keys = [key for key in row if key.startswith("precision_at_")]
    return " / ".join(percent(row[key]) for key in keys)


def _early(row: Mapping) -> str:
    keys = ("recall_at_1", "recall_at_5", "mrr", "map_at_200")
    return " / ".join(percent(row[key]) for key in keys)


def _strange_table(found: Sequence[Mapping], data: str) -> Iterator[Table]:
    """Yields the queries that a run never saw the like of, if there are any."""
    strange = [
        row
        for row in found
        if row.get("query_domain_seen") is False or row.get("n_unseen")
    ]
    yield from row_tables.listed(
        f"Queries that a run saw nothing like on {data}; mAP in %",
        strange,
        {
            "": row_tables.WHO,
            "query → searched": lambda row: row["pair"],
            "query's domain": _domain_seen,
            "of unseen classes": lambda row: (
                f"{row.get('n_unseen', 0):,} of {row['n_queries']:,}"
            ),
            "mAP, seen classes": "map_seen",
            "mAP, unseen classes": "map_unseen",
        },
    )


def _domain_seen(row: Mapping) -> str:
    seen_it = row.get("query_domain_seen")
    return NONE if seen_it is None else "trained on" if seen_it else "never seen"


def _means(found: Sequence[Mapping], models: Sequence[str]) -> Iterator[tuple]:
    """Yields lines of means over pairs of two domains, and over single domains."""
    found = [row for row in found if row["map"] is not None]
    for title, is_cross in (("between two, mean", True), ("within one, mean", False)):
        here = [r for r in found if (r["query"] != r["gallery"]) == is_cross]
        if len({r["pair"] for r in here}) > 1:
            chance = mean(r["chance"] for r in here)
            of_model = [
                percent(mean(r["map"] for r in here if r["model"] == model))
                for model in models
            ]
            yield (title, NONE, percent(chance), *of_model)


def mean(values: Iterable[float]) -> float:
    """Returns the mean of numbers, at least one."""
    return float(np.mean([*values]))


def _length_table(rows: Sequence[Mapping], data: str) -> Iterator[Table]:
    lengths = [r for r in rows if r["measure"] == "norm"]
    reference = lengths[0].get("reference")
    key = "relative" if reference is None else "ratio"
    of = "all domains'" if reference is None else f"{reference}'s"
    less = {
        (r["model"], r["domain"]): r["probability"]
        for r in rows
        if r["measure"] == "norm_shorter" and r["than"] == reference
    }
    columns = {
        "": row_tables.WHO,
        "domain": lambda row: row["domain"],
        "images": lambda row: f"{row['n']:,}",
        "mean": lambda row: f"{row['mean']:.2f}",
        "median": lambda row: f"{row['median']:.2f}",
        "quartiles": lambda row: f"{row['quartile_1']:.2f} to {row['quartile_3']:.2f}",
        f"mean ÷ {of}": lambda row: NONE if row[key] is None else f"{row[key]:.3f}",
    }
    if reference is not None:
        columns[f"shorter than {reference}, %"] = lambda row: percent(
            less.get((row["model"], row["domain"]))
        )
    yield from row_tables.listed(f"Length of features on {data}", lengths, columns)
