"""The distortions' suite: probes shared, curves, areas, and eidolons' shared parts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_stimuli import make_answers

from jigsaw_shape.measures import distortions
from jigsaw_shape.suites import distortions as distortions_lib
from jigsaw_shape.suites import levels
from jigsaw_shape.suites.suite import PLAIN

AMPLITUDE = np.ones((16, 16), np.float32)
PROBES = distortions_lib.make_probes(AMPLITUDE)
LABEL = np.array([0, 1, 1, 0, 1])
RIGHT = {"classification": np.eye(2, dtype=np.float32)[LABEL]}
WRONG = {"classification": np.eye(2, dtype=np.float32)[1 - LABEL]}


def _rows(outputs, label=LABEL, seed=0):
    answers = dataclasses.replace(make_answers(outputs, label), seed=seed)
    return list(distortions_lib.SUITE.rows(answers))


def test_every_level_has_a_probe_and_undistorted_ones_share_theirs():
    names = list(PROBES)
    assert len(names) == len(set(names)) == 71 - 6 + 1  # six grey originals are one
    assert PROBES["grey"] is levels.GREY
    assert PROBES["plain"] is PLAIN
    assert "uniform_noise/0" in names  # its contrast is lowered
    assert "eidolon_3/1" in names
    assert not any("inf" in name for name in names)


def test_areas_are_of_the_trapezoid_rule_over_the_levels_index():
    correct = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 1]], bool)
    expected = np.trapezoid(np.float64(correct), axis=1) / 3
    areas = levels.scores(correct, distortions_lib.area_weights(4))
    np.testing.assert_allclose(areas, expected)


def test_rows_are_the_curve_and_the_area_under_it():
    outputs = {name: WRONG if name.startswith("contrast") else RIGHT for name in PROBES}
    outputs["contrast/0.5"] = RIGHT
    rows = _rows(outputs)
    curve = [row for row in rows if row["condition"] == "contrast"]
    assert [row.get("level") for row in curve][:3] == [1, 0.5, 0.3]
    assert [row["accuracy"] for row in curve[:-1]] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert curve[-1]["area"] == pytest.approx(1.5 / 7)
    (weakest,) = [
        row
        for row in rows
        if row["condition"] == "high_pass" and row.get("level") == "inf"
    ]
    assert weakest["accuracy"] == 1
    assert sum("area" in row for row in rows) == 11
    areas = {row["condition"]: row["area"] for row in rows if "area" in row}
    assert areas["rotation"] == 1


def test_a_level_of_some_right_answers_has_an_interval_around_it():
    half = {"classification": np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1]]}  # 3 of 5
    outputs = dict.fromkeys(PROBES, half)
    for row in _rows(outputs):
        assert row.get("accuracy", row.get("area")) == pytest.approx(0.6)
        assert 0 <= row["low"] < 0.6 < row["high"] <= 1


def test_rows_name_the_version_that_was_shown():
    outputs = dict.fromkeys(PROBES, RIGHT)
    rows = [row for row in _rows(outputs) if "level" in row]
    assert {row["probe"] for row in rows} == set(outputs)
    weakest = {row["condition"]: row["probe"] for row in reversed(rows)}
    assert weakest["false_colour"] == "plain"
    assert weakest["high_pass"] == "grey"
    assert weakest["uniform_noise"] == "uniform_noise/0"


def test_a_seed_decides_the_intervals():
    label = np.arange(40) % 2
    half = {"classification": np.eye(2, dtype=np.float32)[np.arange(40) % 3 % 2]}
    outputs = dict.fromkeys(PROBES, half)

    def intervals(seed):
        return [(row["low"], row["high"]) for row in _rows(outputs, label, seed)]

    assert intervals(0) == intervals(0)
    assert intervals(0) != intervals(1)


def test_eidolons_share_their_parts_and_never_those_of_other_images():
    probes = {name: probe.make for name, probe in PROBES.items()}
    rngs = jax.random.split(jax.random.key(0), 2)
    rng = np.random.default_rng(0)
    first, second = (jnp.float32(rng.random((2, 16, 16, 3))) for _ in range(2))
    table = distortions.distortions(AMPLITUDE)
    results = {}
    for name in ("eidolon_1/8", "eidolon_3/8", "eidolon_3/64"):
        results[name] = [probes[name](rngs, x) for x in (first, first, second)]
        np.testing.assert_array_equal(*results[name][:2])
        assert np.abs(results[name][2] - results[name][0]).max() > 0.1
    distort = jax.jit(table["eidolon_3"].distort)
    for level in (8, 64):
        for x, result in zip(
            (first, second), results[f"eidolon_3/{level}"][1:], strict=True
        ):
            differs = np.abs(distort(rngs, x, float(level)) - result) > 1e-4
            assert differs.mean() < 0.02
    # A host array may have changed since: it is never taken for the last one.
    host = np.array(first)
    before = np.asarray(probes["eidolon_3/8"](rngs, host))
    host[:] = 1
    assert np.abs(np.asarray(probes["eidolon_3/8"](rngs, host)) - before).max() > 0.1
