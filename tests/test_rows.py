"""Selection on hand-made rows."""

import json

import pytest

from jigsaw_shape.runs import rows


def _evaluation(step, val, target):
    return {
        "kind": "eval",
        "step": step,
        "val/accuracy": val,
        "target/accuracy": target,
    }


EVALUATIONS = [
    _evaluation(10, 0.80, 0.50),
    _evaluation(20, 0.90, 0.40),
    _evaluation(30, 0.90, 0.60),
    _evaluation(40, 0.85, 0.60),
]


@pytest.mark.parametrize(("rule", "step"), [("last", 40), ("val", 20), ("oracle", 30)])
def test_select_takes_the_best_and_the_earliest_of_equals(rule, step):
    assert rows.select(EVALUATIONS, rule)["step"] == step


def test_without_validation_images_val_is_the_last_step():
    rows_ = [{"kind": "eval", "step": s, "target/accuracy": 1 / s} for s in (1, 2)]
    steps = [rows.select(rows_, rule)["step"] for rule in ("last", "val", "oracle")]
    assert steps == [2, 2, 1]


def test_the_target_never_decides_but_for_the_oracle():
    flipped = [
        {**row, "target/accuracy": -row["target/accuracy"]} for row in EVALUATIONS
    ]
    for rule in ("last", "val"):
        steps = [rows.select(kind, rule)["step"] for kind in (EVALUATIONS, flipped)]
        assert steps[0] == steps[1]


def test_results_carry_the_identity_and_every_rule():
    train = {"kind": "train", "step": 15, "loss/total": 1.0}
    found = rows.results({"preset": "erm", "seed": 3}, [*EVALUATIONS[:2], train])
    assert [row["selection"] for row in found] == ["last", "val", "oracle"]
    assert [row["step"] for row in found] == [20, 20, 10]
    assert all(row["preset"] == "erm" and row["seed"] == 3 for row in found)


def test_read_drops_a_line_cut_short(tmp_path):
    assert rows.read(tmp_path) == []
    whole = json.dumps(EVALUATIONS[0])
    (tmp_path / rows.FILE_NAME).write_text(whole + "\n" + whole[:-5])
    assert rows.read(tmp_path) == [EVALUATIONS[0]]
    (tmp_path / rows.FILE_NAME).write_text(whole)
    assert rows.read(tmp_path) == [EVALUATIONS[0]]


@pytest.mark.parametrize("damage", ["", "{half", "\x00" * 9])
def test_read_names_a_damaged_line_and_drops_none(tmp_path, damage):
    whole = json.dumps(EVALUATIONS[0])
    (tmp_path / rows.FILE_NAME).write_text(f"{whole}\n{damage}\n{whole}\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: not a row"):
        rows.read(tmp_path)


def test_what_json_has_no_number_for_is_null():
    row = {"a": float("nan"), "b": [1.5, (float("inf"), "x")], "c": {"d": None}}
    assert rows.strict(row) == {"a": None, "b": [1.5, [None, "x"]], "c": {"d": None}}
