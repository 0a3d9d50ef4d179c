"""The recipe for a suite: one object in `SUITES`, from the command to the page."""

import json

import numpy as np
from test_evaluate import _run
from test_flax_models import write_run

from jigsaw_shape.data.embedded import shapes
from jigsaw_shape.reports import evaluation_folder as files
from jigsaw_shape.reports.page import Section
from jigsaw_shape.reports.table import Table
from jigsaw_shape.suites import SUITES, accuracy, figure_parts, labelled_images
from jigsaw_shape.suites.suite import Headline, Probe, Suite


def _upside_down(rngs, images):
    return images[:, ::-1]


def _rows(answers):
    for model in answers.models:
        right = answers.correct(model.name, "upside down")
        share = accuracy.share(right, seed=answers.seed)
        yield {**answers.base(model.name), "condition": "turned", **share}


def _figure(rows):
    figure, axes = figure_parts.new_axes(4, 3)
    axes.bar([row["model"] for row in rows], [row["accuracy"] for row in rows])
    return figure


TOY = Suite(
    find=labelled_images.find_probed,
    wanted=labelled_images.WANTED,
    probes=lambda stimuli, group: [Probe("upside down", _upside_down)],
    rows=_rows,
    tables=lambda rows, data: [
        Table(
            f"Upside down: {data}",
            ("", "right"),
            tuple((row["model"], f"{row['accuracy']:.2f}") for row in rows),
        )
    ],
    section=lambda rows, data, results, looks: Section(
        "toy", "Turned on their heads", "What is known.", {"toy": _figure(rows)}
    ),
    facts=lambda rows: [("toy fact", "of a card", None) for row in rows],
    headlines=lambda rows: [
        Headline(
            "upside down", row["accuracy"], row["low"], row["high"], "stands still"
        )
        for row in rows
    ],
)


def test_a_suite_is_one_object(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "erm", shapes.CLASSES, preset="erm", steps=(3,))
    monkeypatch.setitem(SUITES, "toy", TOY)
    out = tmp_path / "out"
    code, printed = _run(
        capsys, "--model", tmp_path / "erm", "--suite", "toy", "--out", out
    )
    assert code == 0, printed.err
    assert "Upside down: shapes/sketch" in printed.out
    (row,) = [json.loads(line) for line in (out / files.ROWS).open()]
    assert (row["suite"], row["data"], row["model"]) == ("toy", "shapes/sketch", "erm")
    assert np.isfinite(row["accuracy"])
    assert (out / "figures" / "toy.png").is_file()
    assert "Upside down" in (out / files.MARKDOWN).read_text()
    page = (out / files.HTML).read_text()
    assert (out / "figures" / "overview.png").is_file()
    assert "erm stands still." in printed.out
    for text in ("Turned on their heads", "What is known.", "toy fact", "stands still"):
        assert text in page
