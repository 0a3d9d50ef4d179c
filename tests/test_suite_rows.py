"""Rows from decisions, against counts by hand."""

import pathlib

import numpy as np
import pytest

from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.suites import accuracy, differences, observers, shape_bias, target
from jigsaw_shape.suites.suite import Answers

NAMES = ("cat1-dog2.png", "cat2-dog1.png", "dog1-cat1.png", "dog2-dog2.png")
CATEGORY = np.array(["cat", "cat", "dog", "dog"])
STIMULI = Stimuli(
    name="conflicts",
    experiment="cue_conflict",
    images=NAMES,
    paths=tuple(map(pathlib.Path, NAMES)),
    category=CATEGORY,
    texture=np.array(["dog", "dog", "cat", "dog"]),
    read=lambda i, px: np.zeros((px, px, 3), np.uint8),
    side_px=8,
    made_by="",
    digest="0",
)


def _decisions(observer, kind, *response, images=NAMES):
    return Decisions(
        observer, kind, "cue_conflict", images, CATEGORY, np.array(response)
    )


MODEL = _decisions("m", "model", "cat", "dog", "cat", "dog")
HUMANS = [
    _decisions("subject-01", "human", "cat", "cat", "dog", "na"),
    _decisions("subject-02", "human", "cat", "na", "cat", "dog"),
]
NETWORK = _decisions("net", "network", "dog", "dog", "cat", "cat")


def _answers(models, others):
    """Decisions as those of files, which are scored as models' are."""
    return Answers(STIMULI, [], {}, predicted=models, observers=others)


def _rows(**wanted):
    rows = shape_bias.SUITE.rows(_answers([MODEL], [*HUMANS, NETWORK]))
    return [r for r in rows if wanted.items() <= r.items()]


def test_shape_bias_of_everyone_and_of_humans_pooled():
    overall = {
        r["model"]: r for r in _rows() if "shape_bias" in r and "category" not in r
    }
    assert list(overall) == ["m", "humans", "subject-01", "subject-02", "net"]
    assert overall["m"]["shape_bias"] == pytest.approx(1 / 3)
    assert overall["m"]["n"] == 3
    # Of six human trials with a conflict four name the shape, one the texture.
    assert overall["humans"]["shape_bias"] == pytest.approx(4 / 5)
    assert overall["humans"]["shape_accuracy"] == pytest.approx(4 / 6)
    assert (overall["humans"]["n"], overall["humans"]["observers"]) == (6, 2)
    assert overall["net"]["shape_bias"] == 0
    (cats,) = _rows(model="m", category="cat")
    assert (cats["shape_bias"], cats["n"]) == (0.5, 2)
    assert {r["group"] for r in _rows(model="net")} == {"network"}


def test_consistency_counts_all_images_and_right_answers():
    (row,) = [r for r in _rows(model="m", versus="humans")]
    # The model is right on images 0 and 3; humans on 0, 1, 2 and on 0, 3.
    first = (1 / 4 - (2 / 4 * 3 / 4 + 2 / 4 * 1 / 4)) / (1 - 0.5)
    assert row["error_consistency"] == pytest.approx((first + 1) / 2)
    assert (row["n"], row["pairs"]) == (4, 2)
    assert _rows(model="humans", versus="humans")[0]["pairs"] == 1
    assert _rows(model="m", versus="net")
    assert not _rows(model="net", versus="m")


def test_accuracies_with_intervals_and_categories():
    rows = list(accuracy.rows(_answers([MODEL], HUMANS)))
    overall = {r["model"]: r for r in rows if "accuracy" in r and "category" not in r}
    assert overall["m"]["accuracy"] == 0.5
    assert overall["humans"]["accuracy"] == 5 / 8
    assert overall["humans"]["n"] == 8
    assert overall["m"]["low"] <= 0.5 <= overall["m"]["high"]
    by_category = {
        r["category"]: r["accuracy"]
        for r in rows
        if r["model"] == "m" and "category" in r
    }
    assert by_category == {"cat": 0.5, "dog": 0.5}
    assert all(r["condition"] == "cue_conflict" for r in rows)


def test_the_lead_of_target_is_of_models_alone():
    rows = list(target.SUITE.rows(_answers([MODEL], [*HUMANS, NETWORK])))
    section = target.SUITE.section(rows, "conflicts", None, Looks(["m"]))
    assert section.lead.startswith("m is right on 50.0 % of 4 images")
    assert section.lead.count("is right") == 1


def test_models_are_compared_on_the_same_images():
    other = _decisions("other", "model", "cat", "cat", "dog", "dog")
    rows = shape_bias.SUITE.rows(_answers([MODEL, other], HUMANS))
    (bias,) = [row for row in rows if "difference" in row]
    assert (bias["model"], bias["versus"]) == ("m", "other")
    assert bias["difference"] == pytest.approx(1 / 3 - 1)
    assert bias["low"] <= bias["difference"] <= bias["high"] <= 0
    rows = accuracy.rows(_answers([MODEL, other], []))
    (gap,) = [row for row in rows if "difference" in row]
    assert gap["difference"] == pytest.approx(2 / 4 - 1)
    assert gap["condition"] == "cue_conflict"


def test_observers_of_other_images_are_left_out():
    more = _decisions("more", "network", "cat", "dog", "cat", "dog")
    part = _decisions("part", "network", *MODEL.response, images=("x", *NAMES[1:]))
    backwards = more.on(NAMES[::-1])
    known, left_out = observers.on_these([backwards, part], STIMULI)
    assert [one.observer for one in known] == ["more"]
    assert known[0].images == NAMES
    assert left_out == ["part"]


def test_paired_differences_are_of_shared_conditions():
    scores = {
        "a": {"x": np.array([1.0, 1, 0, 1]), "only": np.ones(4)},
        "b": {"x": np.array([0.0, 1, 0, 1])},
        "c": {"x": np.array([0.0, 0, 0, 0])},
    }
    rows = list(differences.rows(scores))
    found = {(r["model"], r["versus"]): r["difference"] for r in rows}
    assert found == {("a", "b"): 0.25, ("a", "c"): 0.75, ("b", "c"): 0.5}
    assert all(r["low"] <= r["difference"] <= r["high"] for r in rows)
