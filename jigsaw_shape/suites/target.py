"""The suite `target`: accuracy on labelled images as they are, and on each class."""

from jigsaw_shape.reports.page import Section
from jigsaw_shape.reports.table import interval, percent
from jigsaw_shape.suites import accuracy, differences, labelled_images
from jigsaw_shape.suites.suite import Headline, Suite


def _tables(rows, data):
    yield from accuracy.table(rows, data)
    yield from differences.table(rows, data)


def _headlines(rows):
    for row in rows:
        if "accuracy" in row:
            right = percent(row["accuracy"], 0)
            yield Headline(
                "accuracy",
                *(row[key] for key in ("accuracy", "low", "high")),
                clause=f"is right on {right} of 100 images",
            )


def _section(rows, data, results, looks) -> Section:
    lead = " ".join(
        f"{r['model']} is right on {percent(r['accuracy'])} % of {r['n']:,} images "
        f"(95 % interval {interval(r)})."
        for r in rows
        if "accuracy" in r and "category" not in r and r["group"] == "model"
    )
    for r in rows:
        if "shared_accuracy" in r:
            lead += (
                f" On the {r['shared_n']:,} images of classes that {r['model']} knows "
                f"it is right on {percent(r['shared_accuracy'])} %."
            )
    drawn = {f"target_{data}": accuracy.by_class(rows, looks, data)}
    return Section("target", f"Accuracy: {data}", lead, drawn)


SUITE = Suite(
    find=labelled_images.find,
    wanted=labelled_images.WANTED,
    rows=accuracy.rows,
    tables=_tables,
    section=_section,
    facts=accuracy.facts,
    headlines=_headlines,
)
