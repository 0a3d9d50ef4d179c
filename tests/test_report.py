"""The report's command: what is printed, written, and refused."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import REPOSITORY
from made_runs import DOMAINS, evaluation, make_config, write_run
from rich.console import Console
from test_page import balanced

from jigsaw_shape import report
from jigsaw_shape.reports import figures, run_tables
from jigsaw_shape.reports.table import print_table
from jigsaw_shape.runs import rows


def _result(selection, accuracy, **changes):
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
        "target/accuracy": accuracy,
        "val/accuracy": 0.9,
        "puzzle/shuffled_accuracy": 0.03,
        "target/class/dog": None,
        "target/class/cat": 0.25,
        **changes,
    }


def _write(run, *targets, **changes):
    """Writes a run of rows alone, one a rule."""
    run.mkdir(parents=True)
    targets = targets * 3 if len(targets) == 1 else targets
    records = [
        _result(rule, t, **changes) for rule, t in zip(rows.RULES, targets, strict=True)
    ]
    (run / rows.FILE_NAME).write_text("".join(json.dumps(r) + "\n" for r in records))
    return run


def _printed(capsys, *arguments):
    try:
        code = report.main(list(map(str, arguments)))
    except SystemExit as exit_:
        code = exit_.code
    return code, capsys.readouterr()


def _benchmark(folder, presets=("erm", "ddec"), seeds=(0, 1), **fields):
    """Writes runs in which a method is 10 points better than the one before it."""
    for i, preset in enumerate(presets):
        for j, target in enumerate(DOMAINS):
            for seed in seeds:
                accuracy = 0.4 + 0.1 * i + 0.05 * j + 0.01 * seed
                evaluations = [
                    evaluation(10, 0.8, accuracy, **{"cue_conflict/shape_bias": 0.3}),
                    evaluation(20, 0.9, accuracy + 0.02),
                    evaluation(30, 0.85, accuracy + 0.01),
                ]
                write_run(
                    folder, make_config(preset, target, seed, **fields), evaluations
                )


def test_a_run_each_is_listed_by_what_the_rule_selected(tmp_path, capsys):
    _write(tmp_path / "runs" / "a", 0.1, 0.2, 0.3)
    _write(tmp_path / "runs" / "b", 0.5, preset="erm")
    for rule, shown, hidden in (("last", "10.0", "30.0"), ("oracle", "30.0", "10.0")):
        code, printed = _printed(capsys, tmp_path / "runs", "--selection", rule)
        assert code == 0
        assert shown in printed.out
        assert hidden not in printed.out
        assert rows.RULES[rule] in printed.out


def test_data_sets_and_encoders_stand_in_tables_of_their_own(tmp_path, capsys):
    _write(tmp_path / "a", 0.5)
    _write(tmp_path / "b", 0.6, dataset="vlcs")
    _write(tmp_path / "c", 0.7, encoder="alexnet")
    code, printed = _printed(capsys, tmp_path)
    assert code == 0
    assert printed.out.count("in %") == 3
    assert "vlcs" in printed.out
    assert "alexnet" in printed.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "domainbed"}, ["split", "jigen in 1 (a)", "domainbed in 1 (b)"]),
        ({"split_seed": 3}, ["split_seed", "0 in 1", "3 in 1"]),
        ({"settings": "abc"}, ["jigen differ in their settings", "abc in 1 (b)"]),
    ],
)
def test_runs_that_differ_are_refused_and_set_apart_on_request(
    change, words, tmp_path, capsys
):
    _write(tmp_path / "a", 0.5)
    _write(tmp_path / "b", 0.7, seed=1, **change)
    code, printed = _printed(capsys, tmp_path)
    assert code == 2
    for word in [*words, "not averaged", "--apart"]:
        assert word in printed.err
    assert "60.0" not in printed.out
    code, printed = _printed(capsys, tmp_path, "--apart")
    assert code == 0
    assert "60.0" not in printed.out
    assert "50.0" in printed.out
    assert "70.0" in printed.out


def test_settings_that_differ_are_named_by_their_fields(tmp_path, capsys):
    _benchmark(tmp_path, presets=["erm"], seeds=[0])
    _benchmark(tmp_path, presets=["erm"], seeds=[1], optim__lr=0.5)
    code, printed = _printed(capsys, tmp_path)
    assert code == 2
    assert "optim.lr is the default in 4 (erm-" in printed.err
    assert "0.5 in 4" in printed.err
    code, printed = _printed(capsys, tmp_path, "--apart")
    assert code == 0
    assert "erm [lr=0.5]" in printed.out


def test_a_target_among_the_sources_is_refused(tmp_path, capsys):
    _write(tmp_path / "a", 0.99, sources=["photo", "sketch"])
    code, printed = _printed(capsys, tmp_path)
    assert code == 2
    assert "sketch is among the sources" in printed.err


def test_whatever_is_not_finished_is_named(tmp_path, capsys):
    (tmp_path / "half").mkdir()
    row = json.dumps({"kind": "eval", "step": 1, "epoch": 0.5})
    (tmp_path / "half" / rows.FILE_NAME).write_text(row + "\n")
    write_run(tmp_path, make_config("erm"), failure="ValueError: [no] such thing")
    write_run(tmp_path, make_config("jigen"), begun=False)
    code, printed = _printed(capsys, tmp_path)
    assert code == 0
    assert "half: not finished, at epoch 0.5" in printed.out
    assert "failed, code 1: ValueError: [no] such thing" in printed.out
    assert "missing, not begun" in printed.out


def test_names_in_brackets_are_printed_as_they_are(tmp_path, capsys):
    names = ("erm[seed0]", "erm[seed1]", "erm:dog:")
    for seed, name in enumerate(names):
        changes = {"preset": "erm[x]", "dataset": "[/b]", "seed": seed}
        _write(tmp_path / name, 0.5, **changes)
    code, printed = _printed(capsys, tmp_path, "--list")
    assert code == 0
    for name in (*names, "erm[x]", "[/b]"):
        assert name in printed.out
    code, printed = _printed(capsys, tmp_path)
    assert code == 0
    assert "erm[x]" in printed.out


def test_figures_of_an_earlier_report_go(tmp_path, capsys):
    out = tmp_path / "out"
    _benchmark(tmp_path / "runs", seeds=(0,))
    assert _printed(capsys, tmp_path / "runs", "--out", out)[0] == 0
    assert (out / "difference.png").exists()
    for name in ("curves_2.png", "curves-mine.png"):
        (out / name).touch()
    _write(tmp_path / "other" / "a", 0.5)
    assert _printed(capsys, tmp_path / "other", "--out", out)[0] == 0
    left = {path.name for path in out.iterdir() if path.suffix == ".png"}
    assert left <= {"accuracy.png", "curves-mine.png"}
    assert "curves-mine.png" in left


def test_a_folder_without_runs_is_refused(tmp_path, capsys):
    code, printed = _printed(capsys, tmp_path)
    assert code == 2
    assert rows.FILE_NAME in printed.err


def test_a_benchmark_is_printed_averaged_and_compared(tmp_path, capsys):
    _benchmark(tmp_path)
    code, printed = _printed(capsys, tmp_path)
    assert code == 0
    for rule, meaning in rows.RULES.items():
        assert f"{rule}, in %" in printed.out
        assert meaning in printed.out
    # erm on art_painting, selected on validation: 42 and 43.
    assert "42.5±0.5" in printed.out
    assert "+10.0 [+10.0, +10.0] (8)" in printed.out
    code, printed = _printed(capsys, tmp_path, "--list")
    assert printed.out.count("erm-sketch-s") == 2


def test_runs_without_validation_images_are_reported_at_their_last_step(
    tmp_path, capsys
):
    for preset, accuracy in (("erm", 0.4), ("ddec", 0.5)):
        evaluations = [evaluation(step, 0, accuracy + step / 1e3) for step in (10, 20)]
        for row in evaluations:
            del row["val/accuracy"]
        config = make_config(preset, data__split="none")
        write_run(tmp_path / "runs", config, evaluations)
    page = tmp_path / "page"
    code, printed = _printed(capsys, tmp_path / "runs", "--out", page)
    assert code == 0
    assert "split none" in printed.out
    assert (page / "report.html").stat().st_size > 1000
    code, printed = _printed(capsys, tmp_path / "runs", "--selection", "val")
    assert "52.0" in printed.out  # of step 20


def test_every_format_is_written(tmp_path, capsys):
    _benchmark(tmp_path / "runs")
    write_run(tmp_path / "runs", make_config("jigen"), failure="<b>bad</b> [it] & more")
    out = tmp_path / "out"
    code, printed = _printed(capsys, tmp_path / "runs", "--out", out, "--published")
    assert code == 0
    assert str(out / "report.html") in printed.out.replace("\n", "")
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("report.html", "report.md", "report.tex", "report.csv"),
        *("accuracy.png", "difference.png", "curves.png"),
    }
    page = (out / "report.html").read_text()
    assert page.count("<svg") == balanced(page).seen.count("svg") >= 5
    assert "published: JiGen, ResNet-18" in page
    assert "&lt;b&gt;bad" in page
    assert '<span class="badge bad">failed</span>' in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("markdown", "| ddec | **52.5 ± 0.5** |"),
        ("latex", r"ddec & \textbf{52.5 $\pm$ 0.5} &"),
        ("csv", "pacs,resnet18,jigen,0,ddec,val,art_painting,2,0.525"),
    ],
)
def test_formats_are_printed_alone(name, words, tmp_path, capsys):
    _benchmark(tmp_path)
    code, printed = _printed(capsys, tmp_path, "--format", name)
    assert code == 0
    assert words in printed.out
    assert printed.out.startswith(("### pacs", "\\begin{table}", "dataset,encoder"))


def test_baseline_and_selection_are_heeded(tmp_path, capsys):
    _benchmark(tmp_path)
    arguments = tmp_path, "--format", "markdown", "--selection", "last"
    _, printed = _printed(capsys, *arguments, "--baseline", "ddec")
    assert "vs ddec" in printed.out
    assert printed.out.count("### ") == 2
    assert "; last, in %" in printed.out
    code, printed = _printed(capsys, tmp_path, "--baseline", "ermm")
    assert code == 2
    assert "--baseline ermm is not a method of these runs: ddec, erm" in printed.err


def test_a_bias_is_listed_with_how_often_each_cue_was_named(tmp_path, capsys):
    cues = {"shape_bias": 0.25, "shape_accuracy": 0.2, "texture_accuracy": 0.6}
    _write(tmp_path / "a", 0.5, **{f"cue_conflict/{k}": v for k, v in cues.items()})
    _, printed = _printed(capsys, tmp_path)
    assert "shape bias (S/n, T/n)" in printed.out
    assert "25.0 (20, 60)" in printed.out


def test_a_reader_that_goes_is_no_fault(tmp_path):
    _benchmark(tmp_path)
    command = [sys.executable, "-m", "jigsaw_shape.report", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--format", "markdown"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr.read() == b""


def test_one_run_has_its_rules_classes_and_legend():
    results = [
        _result(rule, 0.123, **{"cue_conflict/shape_bias": None}) for rule in rows.RULES
    ]
    console = Console(width=100, file=io.StringIO())
    for table in run_tables.run_tables(results, ["dog", "cat"]):
        print_table(table, console)
    printed = console.file.getvalue()
    for words in ("12.3", "25.0", "3.0", *rows.RULES, *rows.RULES.values(), "dog"):
        assert words in printed
    assert "shape bias" not in printed  # no row has it
    assert "shuffled images alone" in printed


def test_of_many_classes_those_named_least_are_listed_and_the_picture_stays_small():
    classes = [f"thing {i:03d}" for i in range(300)]
    shares = {f"target/class/{name}": i / 300 for i, name in enumerate(classes)}
    shares["target/class/thing 001"] = None  # the target does not show it
    results = [_result(rule, 0.5, **shares) for rule in rows.RULES]
    _, table = run_tables.run_tables(results, classes)
    console = Console(width=100, file=io.StringIO())
    print_table(table, console)
    printed = console.file.getvalue()
    assert "of 300 classes" in printed
    assert [row[0].text for row in table.body][:2] == ["thing 000", "thing 002"]
    assert len(table.body) == 12
    counts = np.eye(300, dtype=int).tolist()
    row = {"target/confusion": counts, "target/accuracy": 1.0}
    row |= {"target": "sketch", "selection": "val"}
    width, height = figures.confusion_figure(row, classes).get_size_inches()
    assert max(width, height) < 40  # 300 names would need 137


def test_a_benchmark_of_any_names_has_a_whole_page(tmp_path, capsys):
    for seed in (0, 1):
        for preset in ("erm", '<u>"&[x]|猫'):
            names = {"preset": preset, "dataset": "<s>", "target": "[/b]"}
            _write(tmp_path / "runs" / f"{seed}{preset}", 0.5, seed=seed, **names)
    code, _ = _printed(capsys, tmp_path / "runs", "--out", tmp_path / "out")
    assert code == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    balanced(page)
    assert "<u>" not in page
    assert "<s>" not in page
    assert "&lt;u&gt;&#34;&amp;[x]|猫" in page
