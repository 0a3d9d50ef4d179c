"""Tables from hand-made rows."""

import json

import pytest
from rich.console import Console

from jigsaw_shape import report, rows


def _result(selection, target, **changes):
    return {
        "kind": "result",
        "step": 9,
        "epoch": 3.0,
        "dataset": "pacs",
        "preset": "jigen",
        "encoder": "resnet18",
        "target": "sketch",
        "split": "jigen",
        "split_seed": 0,
        "seed": 0,
        "selection": selection,
        "target/accuracy": target,
        "val/accuracy": 0.9,
        "puzzle/shuffled_accuracy": 0.03,
        "target/class/dog": None,
        "target/class/cat": 0.25,
        **changes,
    }


def _write(run, *records):
    run.mkdir(parents=True)
    (run / rows.FILE_NAME).write_text("".join(json.dumps(r) + "\n" for r in records))
    return run


def _printed(capsys, *arguments):
    code = report.main(list(map(str, arguments)))
    return code, capsys.readouterr()


def test_report_shows_what_the_rule_selected(tmp_path, capsys):
    _write(
        tmp_path / "runs" / "a",
        *(
            _result(rule, t)
            for rule, t in zip(rows.RULES, (0.1, 0.2, 0.3), strict=True)
        ),
    )
    for rule, shown, hidden in (("last", "10.0", "30.0"), ("oracle", "30.0", "10.0")):
        code, printed = _printed(capsys, tmp_path / "runs", "--selection", rule)
        assert code == 0
        assert shown in printed.out
        assert hidden not in printed.out
        assert rows.RULES[rule] in printed.out


def test_other_splits_and_encoders_stand_apart(tmp_path, capsys):
    _write(tmp_path / "a", _result("val", 0.5))
    _write(tmp_path / "b", _result("val", 0.6, split="domainbed"))
    _write(tmp_path / "c", _result("val", 0.7, encoder="alexnet"))
    _, printed = _printed(capsys, tmp_path)
    assert printed.out.count("in %") == 3
    assert "split domainbed" in printed.out
    assert "alexnet" in printed.out


def test_an_unfinished_run_is_named(tmp_path, capsys):
    _write(tmp_path / "half", {"kind": "eval", "step": 1})
    code, printed = _printed(capsys, tmp_path)
    assert code == 0
    assert "half: not finished" in printed.out


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    code, printed = _printed(capsys, tmp_path)
    assert code == 2
    assert rows.FILE_NAME in printed.err


def test_one_run_has_its_rules_classes_and_legend():
    console = Console(width=100, record=True, quiet=False)
    results = [
        _result(rule, 0.123, **{"cue_conflict/shape_bias": None}) for rule in rows.RULES
    ]
    with console.capture() as capture:
        report.print_run(results, ["dog", "cat"], console)
    printed = capture.get()
    for words in ("12.3", "25.0", "3.0", *rows.RULES, *rows.RULES.values(), "dog"):
        assert words in printed
    assert "shape bias" not in printed  # no row has it
    assert "shuffled images alone" in printed


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0.0, "0.0"), (1.0, "100.0")]
)
def test_percent(value, shown):
    assert report._percent(value) == shown
