"""Selection and aggregation on hand-made rows: ties, gaps, failures, leaks."""

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from made_runs import evaluation, make_config, write_run
from scipy import stats

from jigsaw_shape.data import known_sets
from jigsaw_shape.reports import comparison, grouping
from jigsaw_shape.reports.benchmark_tables import (
    BIAS,
    accuracy_table,
    difference_table,
    difference_text,
    gain_text,
    numbers_table,
)
from jigsaw_shape.reports.table import to_csv
from jigsaw_shape.runs import file_names, records, rows

TARGETS = ("photo", "sketch")


def _record(preset="erm", target="sketch", seed=0, accuracy=0.5, **changes):
    """Returns a finished run whose rules all picked the same accuracies."""
    row = {"target/accuracy": accuracy, "val/accuracy": changes.pop("val", 0.9)}
    row |= changes.pop("measures", {})
    fields = {
        "name": f"{preset}-{target}-{seed}-{changes.get('trial')}",
        "status": records.FINISHED,
        "preset": preset,
        "target": target,
        "seed": seed,
        "method": preset,
        "protocol": {"dataset": "pacs", "encoder": "resnet18", "split": "jigen"},
        "results": {rule: {**row, "selection": rule} for rule in rows.RULES},
    }
    return records.Record(**fields | changes)


def _benchmark(*found, apart=False):
    (made,) = grouping.group(found, apart)
    return made


def _average(benchmark, label="erm", measure=comparison.ACCURACY):
    cells = benchmark.methods[label]
    return comparison.of_average(cells, benchmark.targets, "val", measure)


def test_mean_and_standard_error():
    values = [0.1, 0.4, 0.7, 0.2]
    found = comparison.mean(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.error == pytest.approx(np.std(values, ddof=1) / 2)
    assert comparison.mean([0.3]) == (0.3, None, 1)
    assert comparison.mean([]) is None


def test_the_interval_is_student_s():
    values = [0.01, 0.03, -0.02, 0.05, 0.02]
    found = comparison.difference(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert comparison.difference([0.1]) == (0.1, None, None, 1)
    assert comparison.difference([]) is None


def test_differences_are_of_pairs():
    # Seeds and targets differ by far more than the methods do.
    found = [
        _record(preset, target, seed, base + 0.2 * seed + gain)
        for target, base in (("photo", 0.7), ("sketch", 0.1))
        for seed in range(2)
        for preset, gain in (("erm", 0.0), ("ddec", 0.01 + 0.01 * seed))
    ]
    unpaired = _record("ddec", "sketch", 7, 0.99)
    made = _benchmark(*found, unpaired)
    difference = comparison.paired(
        made.methods["ddec"], made.methods["erm"], made.targets, "val"
    )
    assert difference.n == 4
    assert difference.mean == pytest.approx(0.015)
    assert difference.high - difference.low < 0.04
    nobody = comparison.paired({}, made.methods["erm"], made.targets, "val")
    assert nobody is None


def test_differences_say_their_number_of_pairs():
    found = comparison.Difference(0.015, -0.005, 0.035, 6)
    assert difference_text(found) == "+1.5 [-0.5, +3.5] (6)"
    assert gain_text(found) == gain_text(found, 6) == "+1.5"
    assert gain_text(found, 8) == "+1.5 (6/8)"
    assert difference_text(None) == gain_text(None) == "-"
    assert difference_text(comparison.difference([0.1])) == "+10.0 (1)"


def test_an_average_needs_every_target():
    made = _benchmark(
        _record(target="photo", seed=0, accuracy=0.8),
        _record(target="sketch", seed=0, accuracy=0.4),
        _record(target="photo", seed=1, accuracy=0.9),  # no sketch of this seed
    )
    assert _average(made) == (pytest.approx(0.6), None, 1)
    photo = comparison.of_average(
        made.methods["erm"], ["photo"], "val", comparison.ACCURACY
    )
    assert photo.mean == pytest.approx(0.85)
    assert photo.n == 2


def test_a_measure_that_a_run_does_not_have_is_not_averaged():
    bias = {"measures": {comparison.SHAPE_BIAS: 0.3}}
    made = _benchmark(
        _record(seed=0, **bias),
        _record(seed=1, measures={comparison.SHAPE_BIAS: None}),
        _record(seed=2),
    )
    assert _average(made, measure=comparison.SHAPE_BIAS) == (0.3, None, 1)


def test_measures_beside_accuracy_are_shown_where_any_run_has_them():
    domain = {"measures": {"train/domain_accuracy": 0.4}}
    plain = accuracy_table(_benchmark(_record()), "val", "erm")
    assert list(plain.header) == ["method", "sketch", "source val"]
    made = _benchmark(_record(), _record("dann", **domain))
    table = accuracy_table(made, "val", "erm")
    assert table.header[-1] == "domain"
    assert [row[-1].text for row in table.body] == ["-", "40.0"]


def test_missing_seeds_and_failed_runs_stay_visible():
    made = _benchmark(
        _record(seed=0),
        _record(seed=1, status=records.FAILED, results={}),
        _record("jigen", seed=0, status=records.FAILED, results={}),
        _record("jigen", seed=1, status=records.FAILED, results={}),
        _record("ddec", seed=0, status=records.MISSING, results={}),
        _record("ddec", seed=1, status=records.UNFINISHED, results={}),
    )
    table = accuracy_table(made, "val", "erm")
    cells = {row[0].text: row[1].text for row in table.body}
    assert cells == {
        "erm": "50.0 (1/2)",
        "jigen": "failed",
        "ddec": "missing/unfinished",
    }
    assert _average(made, "jigen") is None


def test_no_finished_run_at_all_is_a_table_too():
    made = _benchmark(_record(status=records.MISSING, results={}))
    assert accuracy_table(made, "val", "erm").body[0][1].text == "missing"
    assert difference_table(made, "val", "erm") is None
    assert comparison.curve([], comparison.ACCURACY) == ([], [], [])


def test_a_trial_is_selected_on_sources_that_further_runs_hold_out():
    def held_out(trial, source, accuracy, **changes):
        return _record(
            target=source, accuracy=accuracy, trial=trial, validates="sketch", **changes
        )

    missing = {"status": records.MISSING, "results": {}}
    trials = [_record(trial=i, val=0.9 - i / 10, accuracy=1 - i / 10) for i in range(3)]
    runs = [
        *(held_out(0, "photo", 0.5), held_out(0, "cartoon", 0.4)),
        *(held_out(1, "photo", 0.2), held_out(1, "cartoon", 0.9)),
        *(held_out(2, "photo", 0.9), held_out(2, "cartoon", 0.9, **missing)),
        *(held_out(i, "photo", 1 - i, seed=5) for i in range(2)),  # of another cell
    ]
    assert grouping.select_trial(trials, runs).trial == 1
    made = _benchmark(*trials, *runs)
    assert made.methods == {"erm": {"sketch": {0: trials[1]}}}
    assert made.targets == ["sketch"]
    notes = " ".join(accuracy_table(made, "val", "erm").notes)
    assert "sources that further runs held out (leave-one-domain-out" in notes
    assert "Fewer trials than planned, which is a disadvantage: erm (2 of 3)" in notes
    assert grouping.select_trial(trials, runs[5:6]) is None  # not complete yet
    unfinished = _benchmark(*trials, runs[5])
    assert unfinished.methods == {"erm": {}}
    assert "sketch, seed 0: no trial has finished all runs" in unfinished.notes[0]


def test_a_trial_is_selected_on_the_sources_whatever_the_target_says():
    trials = [
        _record(trial=0, accuracy=0.5, val=0.8),
        _record(trial=1, accuracy=0.1, val=0.9),
        _record(trial=2, accuracy=0.9, val=0.9),  # a tie goes to the first
        _record(trial=3, accuracy=0.99, val=0.7),
        _record(trial=4, status=records.FAILED, results={}),
    ]
    assert grouping.select_trial(trials).trial == 1
    assert grouping.select_trial(trials[::-1]).trial == 1
    rng = np.random.default_rng(0)
    for _ in range(20):
        changed = [
            dataclasses.replace(
                r,
                results={
                    rule: row | {"target/accuracy": rng.random()}
                    for rule, row in r.results.items()
                },
            )
            for r in trials
        ]
        assert grouping.select_trial(changed).trial == 1
    assert grouping.select_trial(trials[4:]) is None
    assert "5 trials" in " ".join(
        accuracy_table(_benchmark(*trials), "val", "erm").notes
    )


def test_missing_trials_of_a_search_are_said():
    whole = [_record(trial=trial, accuracy=0.5 + trial / 100) for trial in range(4)]
    begun = [
        _record("jigen", trial=0),
        *(
            _record("jigen", trial=t, status=records.MISSING, results={})
            for t in range(1, 4)
        ),
    ]
    notes = accuracy_table(_benchmark(*whole, *begun), "val", "erm").notes
    assert any("which is a disadvantage: jigen (1 of 4)." in note for note in notes)
    notes = accuracy_table(_benchmark(*whole), "val", "erm").notes
    assert not any("disadvantage" in note for note in notes)


def test_each_cell_has_a_trial_of_its_own():
    made = _benchmark(
        *(
            _record(seed=s, trial=t, accuracy=s + t, val=0.5 + (t == s) * 0.1)
            for s in range(3)
            for t in range(3)
        )
    )
    chosen = {s: r.trial for s, r in made.methods["erm"]["sketch"].items()}
    assert chosen == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize("key", ["split", "split_seed", "images"])
def test_other_splits_or_images_are_never_averaged(key):
    runs = [
        _record(seed=s, protocol={"dataset": "pacs", "encoder": "resnet18", key: value})
        for s, value in enumerate("aab")
    ]
    with pytest.raises(ValueError, match=rf"pacs differ in {key} .*a in 2.*b in 1"):
        grouping.group(runs)
    made = grouping.group(runs, apart=True)
    assert [len(b.methods["erm"]["sketch"]) for b in made] == [2, 1]


def test_targets_may_be_read_apart_of_a_large_data_set():
    def run(target, images, seed=0):
        protocol = {"dataset": "imagenet", "encoder": "resnet18", "images": images}
        return _record(target=target, seed=seed, protocol=protocol)

    runs = [run("sketch", "a"), run("rendition", "b")]
    for apart in (False, True):
        assert _benchmark(*runs, apart=apart).targets == ["rendition", "sketch"]
    with pytest.raises(ValueError, match="imagenet differ in images"):
        grouping.group([*runs, run("sketch", "c", seed=1)])


def test_what_has_not_begun_stays_with_its_benchmark():
    protocol = {"dataset": "pacs", "encoder": "resnet18", "split": "jigen"}
    seen = [
        _record(protocol=protocol | {"images": i}, seed=n) for n, i in enumerate("ab")
    ]
    waiting = _record(
        protocol=protocol, seed=9, status=records.MISSING, results={}, name="waiting"
    )
    made = grouping.group([waiting, seen[0]])
    assert [len(b.records) for b in made] == [2]
    made = grouping.group([waiting, *seen], apart=True)
    assert [len(b.records) for b in made] == [2, 1]


def test_other_settings_of_a_method_are_never_averaged():
    runs = [
        _record(seed=0, method="x", fields={"optim.lr": 0.1, "data.name": "pacs"}),
        _record(seed=1, method="y", fields={"optim.lr": 0.2, "data.name": "pacs"}),
    ]
    with pytest.raises(ValueError, match=r"erm .*optim.lr is 0.1 in 1.*0.2 in 1"):
        grouping.group(runs)
    made = _benchmark(*runs, apart=True)
    assert set(made.methods) == {"erm [lr=0.1]", "erm [lr=0.2]"}


def test_what_was_left_unfinished_under_other_settings_is_left_out_and_said():
    stale = _record(seed=1, method="old", status=records.UNFINISHED, results={})
    made = _benchmark(_record(seed=0), stale)
    assert list(made.methods) == ["erm"]
    assert list(made.expected["erm"]) == [("sketch", 0)]
    assert stale in made.records
    assert "Left out" in made.notes[0]
    assert stale.name in made.notes[0]
    waiting = _benchmark(
        _record(seed=1, method="new", status=records.MISSING, results={}), stale
    )
    assert set(waiting.methods) == {"erm [new]", "erm [old]"}


def test_the_same_run_twice_is_refused():
    runs = [_record(), dataclasses.replace(_record(), name="copy")]
    with pytest.raises(ValueError, match="copy are the same run"):
        grouping.group(runs)


def test_what_is_no_part_of_a_method_and_differs_is_said():
    fields = {"data.name": "pacs", "losses.jigsaw": 0.7}
    made = _benchmark(
        _record(fields=fields),
        _record("jigen", fields=fields | {"data.image_size": 84, "losses.jigsaw": 0.1}),
    )
    (note,) = made.notes
    assert "data.image_size" in note
    assert "84 (jigen)" in note
    assert "losses" not in note
    made = _benchmark(
        _record(fields=fields | {"optim.lr": 0.05, "augment.hue": 0.0}),
        _record("jigen", fields=fields | {"optim.ema_decay": 0.9}),
    )
    assert [note.split(",")[0] for note in made.notes] == [
        "Methods differ in augment.hue",
        "Methods differ in optim.lr",
    ]


def test_the_best_of_a_column_is_marked_and_equals_alike():
    made = _benchmark(
        _record("erm", accuracy=0.5),
        _record("jigen", accuracy=0.70001),
        _record("ddec", accuracy=0.7),
    )
    table = accuracy_table(made, "val", "erm")
    assert [row[0].text for row in table.body if row[1].best] == ["jigen", "ddec"]


def test_methods_stand_in_the_presets_order_from_erm_on():
    made = _benchmark(*(_record(p) for p in ("dann", "ddec", "erm", "jigen", "own")))
    assert list(made.methods) == ["erm", "jigen", "ddec", "dann", "own"]


def test_curves_are_means_over_runs_where_all_have_the_epoch():
    found = [
        _record(
            seed=s,
            evaluations=[
                evaluation(10 * e, 0.5, 0.1 * e + 0.02 * s) for e in range(1, 4 - s)
            ],
        )
        for s in range(2)
    ]
    epochs, means, errors = comparison.curve(found, comparison.ACCURACY)
    assert epochs == [1, 2]
    assert means == pytest.approx([0.11, 0.21])
    assert errors == pytest.approx([0.01, 0.01])


def test_csv_has_every_number_unrounded():
    made = _benchmark(
        *(
            _record(preset, target, seed, 0.1 + 0.3 * i + 0.01 * seed)
            for preset in ("erm", "jigen")
            for i, target in enumerate(TARGETS)
            for seed in range(2)
        )
    )
    lines = list(csv.DictReader(io.StringIO(to_csv(numbers_table([made], "erm")))))
    assert len(lines) == 2 * 3 * 3
    line = next(
        row
        for row in lines
        if (row["method"], row["selection"], row["target"])
        == ("jigen", "val", "average")
    )
    assert float(line["accuracy"]) == pytest.approx(0.255)
    assert float(line["standard_error"]) == pytest.approx(0.005)
    assert float(line["difference"]) == 0
    assert line["n_pairs"] == "4"
    assert line["shape_bias"] == ""


def test_published_averages_are_those_of_their_targets():
    for known in known_sets.KNOWN_SETS.values():
        for paper in known.published:
            if paper.targets:
                assert paper.targets.keys() == known.domains.keys()
                mean = math.fsum(paper.targets.values()) / len(paper.targets)
                assert paper.average == pytest.approx(mean, abs=0.13), paper.method
    assert {p.encoder for p in known_sets.published("pacs", "resnet18")} == {
        "ResNet-18"
    }
    assert len({p.encoder for p in known_sets.published("pacs", "convnet")}) > 1
    assert known_sets.published("shapes", "convnet") == []


def test_published_averages_are_over_the_targets_that_are_shown():
    pacs = known_sets.PACS
    jigen = next(p for p in pacs.published if p.method == "JiGen")
    assert pacs.average_over(jigen, tuple(jigen.targets)) == 80.51
    assert pacs.average_over(jigen, ("cartoon", "sketch")) == pytest.approx(73.3)
    assert pacs.average_over(jigen, ("cartoon", "quickdraw")) is None
    deep_all = next(p for p in pacs.published if p.method == "DeepAll")
    assert pacs.average_over(deep_all, ("cartoon", "sketch")) is None
    made = _benchmark(*(_record(target=t) for t in TARGETS))
    table = accuracy_table(made, "val", "erm", with_published=True)
    shown = {row[0].text: row[3].text for row in table.body}
    assert shown["published: JiGen, ResNet-18"] == "83.7"
    assert shown["published: DeepAll, ResNet-18"] == "-"


def test_a_shape_bias_never_stands_alone():
    def cues(seed, shape, texture):
        return _record(
            seed=seed,
            measures={
                "cue_conflict/shape_bias": shape / (shape + texture),
                "cue_conflict/shape_accuracy": shape,
                "cue_conflict/texture_accuracy": texture,
            },
        )

    made = _benchmark(cues(0, 0.3, 0.1), cues(1, 0.1, 0.3))
    table = accuracy_table(made, "val", "erm")
    cell = table.body[0][table.header.index(BIAS)]
    assert cell.text == "50.0 ± 25.0 (20, 20)"
    (line,) = [
        row
        for row in csv.DictReader(io.StringIO(to_csv(numbers_table([made], "erm"))))
        if row["selection"] == "val"
    ]
    assert float(line["shape_accuracy"]) == pytest.approx(0.2)
    assert float(line["texture_accuracy"]) == pytest.approx(0.2)
    assert float(line["shape_bias"]) == pytest.approx(0.5)


def test_targets_of_different_numbers_of_seeds_are_said():
    found = [_record(p, t, 0) for p in ("erm", "jigen") for t in TARGETS]
    words = "each pair counts alike"
    even = accuracy_table(_benchmark(*found), "val", "erm")
    assert not any(words in note for note in even.notes)
    found += [_record(p, TARGETS[0], 1) for p in ("erm", "jigen")]
    uneven = accuracy_table(_benchmark(*found), "val", "erm")
    assert any(words in note for note in uneven.notes)


def test_adaptation_is_told_apart_before_a_run_has_ended(tmp_path):
    config = make_config(seed=0)
    config.data.setting = "adaptation"
    run = write_run(tmp_path, config, [evaluation(10, 0.8, 0.3)], finished=False)
    assert records.read(run).protocol["dataset"] == f"{config.data.name} (adaptation)"


def test_a_directory_is_read_whatever_became_of_its_run(tmp_path):
    evaluations = [evaluation(10, 0.8, 0.3), evaluation(20, 0.9, 0.4)]
    finished = write_run(tmp_path, make_config(seed=0), evaluations)
    begun = write_run(tmp_path, make_config(seed=1), evaluations, finished=False)
    failed = write_run(tmp_path, make_config(seed=2), failure="RuntimeError: x")
    missing = write_run(tmp_path, make_config(seed=3), begun=False)
    bare = write_run(tmp_path, make_config(seed=4), evaluations, planned=False)
    read = [records.read(d) for d in (finished, begun, failed, missing, bare)]
    assert [r.status for r in read] == [
        *("finished", "unfinished", "failed", "missing", "finished"),
    ]
    assert len({r.method for r in read}) == 1
    assert {r.protocol["split"] for r in read} == {"jigen"}
    assert [r.seed for r in read] == list(range(5))
    assert read[0].results["val"]["target/accuracy"] == 0.4
    assert read[2].note == "code 1: RuntimeError: x"
    # What weights expect completes the settings of a run when it begins.
    for directory in (finished, begun, bare):
        config = json.loads((directory / file_names.CONFIG).read_text())
        config["model"]["mean"] = [0.1, 0.2, 0.3]
        (directory / file_names.CONFIG).write_text(json.dumps(config))
    again = [records.read(d) for d in (finished, begun, missing, bare)]
    assert {r.method for r in again} == {read[0].method}
    assert len(records.find_runs([tmp_path])) == 5


def test_linked_runs_are_found_and_each_run_once(tmp_path):
    real = write_run(tmp_path / "elsewhere", make_config(seed=0))
    runs = tmp_path / "runs"
    own = write_run(runs, make_config(seed=1))
    (runs / "0").symlink_to(own)  # before its own name
    (runs / "a").mkdir()
    (runs / "a" / "linked").symlink_to(real)
    (runs / "a" / "loop").symlink_to(runs)
    assert records.find_runs([runs]) == [runs / "a" / "linked", own]
    assert records.find_runs([runs, real]) == [runs / "a" / "linked", own]
    assert records.find_runs([runs / "0", runs]) == [runs / "0", runs / "a" / "linked"]


def test_trials_of_a_method_are_read_as_one(tmp_path):
    evaluations = [evaluation(10, 0.8, 0.3)]
    first = make_config()
    write_run(tmp_path, first, evaluations, trial=0, method="m")
    write_run(
        tmp_path,
        make_config(optim__lr=0.5),
        evaluations,
        trial=1,
        method="m",
        drawn={"optim.lr": 0.5},
    )
    made = _benchmark(*(records.read(d) for d in records.find_runs([tmp_path])))
    assert list(made.methods) == ["erm"]
    assert made.methods["erm"]["sketch"][0].trial == 0
