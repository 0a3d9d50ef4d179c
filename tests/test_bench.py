"""Benchmarks: which runs they are made of, and what becomes of each."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import REPOSITORY
from PIL import Image
from rich.console import Console
from small_runs import TINY, finish, start

from jigsaw_shape import benchmark
from jigsaw_shape.benchmarking import plan, random_search
from jigsaw_shape.benchmarking import runs as runs_lib
from jigsaw_shape.runs import benchmark_files, file_names, records, rows
from jigsaw_shape.system.lock import lock

SHAPES = str(REPOSITORY / "configs" / "shapes.py")

UNIT = random_search.Range("uniform", (0, 1))

# Stands for `train`: argv is what to do, the directory.
FAKE = """
import json, os, pathlib, signal, sys, time
what, directory = sys.argv[1], pathlib.Path(sys.argv[2])
with (directory / "calls").open("a") as calls:
    calls.write(what + "\\n")
if what == "crash":
    print("deep inside")
    raise RuntimeError("no memory left")
if what == "crash in jax":
    import jax

    def fail(_):
        raise RuntimeError("no such kernel")

    jax.jit(fail)(0.0)
if what == "die":
    print("all is well", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if what == "hang":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    (directory / "ready").touch()
    while True:
        signal.pause()
def trained(speed):
    with (directory / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": "train", "images_per_s": speed}) + "\\n")
if what.startswith("meet"):  # with as many others
    for _ in range(3):
        trained(100)
    (directory / "here").touch()
    deadline_s = time.monotonic() + 300
    while len(list(directory.parent.glob("*/here"))) < int(what[4:]):
        time.sleep(0.01)
        if time.monotonic() > deadline_s:
            sys.exit("the others never came")
    trained(90)  # the others have begun
    while not (directory.parent / "told").exists():
        trained(75)
        time.sleep(0.01)
        if time.monotonic() > deadline_s:
            sys.exit("nobody told what it gained")
    (directory / "memory").write_text(os.environ["XLA_CLIENT_MEM_FRACTION"])
for rule in ("last", "val", "oracle"):
    row = {"kind": "result", "step": 1, "selection": rule}
    row |= {"target/accuracy": 0.5, "val/accuracy": 0.9}
    with (directory / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\\n")
"""


def _enumerate(**changes):
    arguments = {"presets": ["erm", "jigen"], "targets": ["sketch"], "seeds": [0, 1]}
    arguments |= changes
    return plan.enumerate_runs(benchmark._load, SHAPES, **arguments)


def _runs(n):
    return [
        benchmark_files.Run(f"run{i}", "erm", "sketch", i, "abc", (), {}, "abc")
        for i in range(n)
    ]


def _commands(tmp_path, **deeds):
    script = tmp_path / "fake.py"
    script.write_text(FAKE)

    def command(run):
        deed = deeds.get(run.name, "train")
        return [sys.executable, str(script), deed, str(tmp_path / run.name)]

    return command


def _run_all(runs, tmp_path, printed=None, parallel=1, **deeds):
    console = Console(file=printed or io.StringIO(), width=200)
    command = _commands(tmp_path, **deeds)
    return runs_lib.run_all(runs, tmp_path, command, console, parallel)


def _calls(tmp_path, name):
    path = tmp_path / name / "calls"
    return path.read_text().split() if path.exists() else []


def test_every_method_is_compared_before_a_second_seed():
    runs = _enumerate(targets=["all"])
    assert len(runs) == 2 * 4 * 2
    assert {run.seed for run in runs[:8]} == {0}
    assert [run.preset for run in runs[:2]] == ["erm", "jigen"]
    assert {r.target for r in runs} == {"photo", "painting", "cartoon", "sketch"}
    assert len({run.name for run in runs}) == len(runs)


def test_all_targets_are_those_that_are_not_learned_from():
    runs = _enumerate(targets=["all"], overrides=["--config.data.sources=photo"])
    assert {r.target for r in runs} == {"painting", "cartoon", "sketch"}


def test_targets_go_by_plain_names():
    assert {r.target for r in _enumerate(targets=["Sketch"])} == {"sketch"}
    with pytest.raises(ValueError, match="among config"):
        _enumerate(targets=["SKETCH"], overrides=["--config.data.sources=Sketch"])


def test_targets_of_a_data_set_of_one_s_own_need_it_for_all_alone(tmp_path):
    folder = str(REPOSITORY / "configs" / "folder.py")
    where = [f"--config.data.data_dir={tmp_path}"]

    def targets(*named):
        runs = plan.enumerate_runs(
            benchmark._load,
            folder,
            presets=["erm"],
            targets=named,
            seeds=[0],
            overrides=[*where, f"--config.data.source_dir={tmp_path / 'mine'}"],
        )
        return [run.target for run in runs]

    assert targets("clipart", "photo") == ["clipart", "photo"]
    with pytest.raises(ValueError, match="mine"):
        targets("all")
    for domain in ("clipart", "photo"):
        (tmp_path / "mine" / domain / "cat").mkdir(parents=True)
        picture = Image.new("RGB", (9, 9), "red" if domain == "photo" else "blue")
        picture.save(tmp_path / "mine" / domain / "cat" / "0.png")
    assert targets("all") == ["clipart", "photo"]


def test_a_changed_configuration_is_another_run_in_another_directory():
    before, after = _enumerate(), _enumerate(overrides=["--config.optim.lr=0.5"])
    assert not {run.name for run in before} & {run.name for run in after}
    same = _enumerate(overrides=["--config.log.every_steps=7"])
    assert [run.name for run in before] == [run.name for run in same]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"presets": ["erm", "ermm"]}, "ermm.*jigen"),
        ({"presets": ["erm", "erm"]}, "erm,erm: duplicates; give each one once"),
        ({"seeds": []}, "--seeds is empty"),
        ({"targets": ["clipart"]}, "clipart is no domain of shapes: choose from photo"),
        ({"overrides": ["--config.seed=1"]}, "use --seeds"),
        ({"overrides": ["--config.workdir=x"]}, "use --out"),
        ({"overrides": ["--config.optim.lr=-1.0"]}, "optim.lr"),
        (
            {"overrides": ["--config.data.sources=sketch"], "targets": ["sketch"]},
            "among config.data.sources",
        ),
        (
            {"overrides": ["--config.data.split=none"], "n_trials": 2},
            "no validation images to choose among --search 2 trials",
        ),
        ({"own_ranges": {"optim.speed": UNIT}, "n_trials": 2}, "has no such field"),
        ({"own_ranges": {"optim.lr": UNIT}}, "--range optim.lr needs --search N"),
        ({"own_ranges": {"seed": UNIT}, "n_trials": 2}, "use --seeds"),
        (
            {"own_ranges": {"losses.domain": UNIT}, "n_trials": 2},
            "none of the presets erm, jigen uses this field",
        ),
        (
            {
                "own_ranges": {"optim.lr": UNIT},
                "overrides": ["--config.optim.lr=0.1"],
                "n_trials": 2,
            },
            "set the same field: give only one",
        ),
    ],
)
def test_what_cannot_work_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        _enumerate(**changes)


def test_shards_divide_the_runs():
    runs = _runs(7)
    parts = [plan.shard(runs, f"{i}/3") for i in range(3)]
    assert sorted(r.name for part in parts for r in part) == [r.name for r in runs]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for text in ("3/3", "1", "a/2", "0/0", "-1/2"):
        with pytest.raises(ValueError, match="--shard"):
            plan.shard(runs, text)


def test_slurm_gets_a_task_for_each_missing_run(tmp_path):
    script = plan.slurm_script(_runs(9), [0, 1, 2, 5], tmp_path, ["--out", "a b"])
    assert "#SBATCH --array=0-2,5\n" in script
    assert "--out 'a b' --shard \"$SLURM_ARRAY_TASK_ID/9\"" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_a_search_draws_from_its_ranges_and_again_the_same():
    config = benchmark._load([f"--config={SHAPES}:jigen"])
    draws = [
        random_search.draw(config, random_search.RANGES, seed=s, trial=t)
        for s in range(5)
        for t in range(1, 20)
    ]
    assert random_search.draw(config, random_search.RANGES, seed=0, trial=0) == {}
    assert draws[0] == random_search.draw(config, random_search.RANGES, seed=0, trial=1)
    for key in ("losses.jigsaw", "jigsaw.bias_whole_image"):
        (low, high), values = random_search.RANGES[key].values, [d[key] for d in draws]
        assert len(set(values)) > 60
        assert min(values) >= low * 0.99
        assert max(values) <= high * 1.01
    rates = [d["optim.lr"] / config.optim.lr for d in draws]
    assert 0.099 < min(rates) < max(rates) < 10.1
    assert 0.3 < sum(rate < 1 for rate in rates) / len(rates) < 0.7
    sizes = {d["data.batch_size"] / config.data.batch_size for d in draws}
    assert sizes == {0.5, 1, 2}
    still = benchmark._load([f"--config={REPOSITORY / 'configs' / 'digits.py'}:erm"])
    of_still = random_search.draw(still, random_search.RANGES, seed=0, trial=1)
    assert set(of_still) == {"optim.lr", "data.batch_size"}
    assert "diversify.p_ordered" not in draws[0]  # jigen diversifies nothing
    for preset, kept in (
        ("puzzle", "jigsaw.bias_whole_image"),
        ("shape", "diversify.p_ordered"),
        ("dsu", "mixstyle.alpha"),
    ):
        other = benchmark._load([f"--config={SHAPES}:{preset}"])
        of_other = random_search.draw(other, random_search.RANGES, seed=0, trial=1)
        assert kept not in of_other
        assert of_other["optim.lr"]
    erm = benchmark._load([f"--config={SHAPES}:erm"])
    of_erm = random_search.draw(erm, random_search.RANGES, seed=0, trial=1)
    assert "losses.jigsaw" not in of_erm
    assert of_erm["optim.lr"] == draws[0]["optim.lr"]


def test_trials_of_a_search_share_their_method():
    ranges = {
        "optim.lr": random_search.Range("log", (1e-3, 1e-2)),
        "losses.jigsaw": random_search.Range("choice", (0.25, 0.5)),
    }
    runs = _enumerate(presets=["jigen"], n_trials=3, own_ranges=ranges)
    assert len(runs) == 3 * 2
    assert len({run.method for run in runs}) == 1
    assert runs[0].settings == runs[0].method
    assert len({run.settings for run in runs}) == 5  # trial 0 of both seeds is one
    config = benchmark._load(runs[1].arguments)
    assert config.optim.lr == runs[1].drawn["optim.lr"]
    fixed = _enumerate(n_trials=2, overrides=["--config.optim.lr=0.125"])
    assert all("optim.lr" not in run.drawn for run in fixed)


def test_a_trial_is_validated_without_each_of_its_sources():
    runs = _enumerate(presets=["erm"], seeds=[0], n_trials=2, leave_sources_out=True)
    assert [run.validates for run in runs] == ["", *["sketch"] * 3] * 2
    trial, *without = runs[4:]
    configs = [benchmark._load(run.arguments) for run in without]
    assert [c.data.target for c in configs] == ["photo", "painting", "cartoon"]
    assert [c.data.sources for c in configs] == [
        *("painting,cartoon", "photo,cartoon", "photo,painting")
    ]
    for run, config in zip(without, configs, strict=True):
        assert (run.method, run.trial, run.drawn) == (trial.method, 1, trial.drawn)
        assert config.optim.lr == trial.drawn["optim.lr"]
        assert run.name.startswith("for-sketch-erm-")
    two = ["--config.data.sources=photo,cartoon"]
    with pytest.raises(ValueError, match="without sketch are photo, cartoon; leaving"):
        _enumerate(n_trials=2, leave_sources_out=True, overrides=two)


def test_plans_to_choose_by_go_when_they_are_no_longer_asked_for(tmp_path):
    asked = {"presets": ["erm"], "seeds": [0], "n_trials": 2}
    plan.write_plans(_enumerate(**asked, leave_sources_out=True), tmp_path)
    assert len(list(tmp_path.glob("for-sketch-*"))) == 6
    plan.write_plans(_enumerate(**asked), tmp_path)
    assert not list(tmp_path.glob("for-*"))


def test_choosing_by_domains_needs_trials(tmp_path, capsys):
    given = ["--config", SHAPES, "--presets", "erm", "--out", str(tmp_path)]
    with pytest.raises(SystemExit):
        benchmark.main([*given, "--choose-by", "domains"])
    assert "add --search N, 2 or more" in capsys.readouterr().err


def test_a_user_s_own_range_is_drawn_even_where_the_field_is_off():
    ranges = {
        "optim.warmup": random_search.Range("uniform", (0.1, 0.2)),
        "optim.name": random_search.Range("choice", ("sgd",)),
    }
    runs = _enumerate(n_trials=2, own_ranges=ranges)
    drawn = [benchmark._load(run.arguments) for run in runs if run.trial]
    assert drawn
    assert all(0.1 <= c.optim.warmup <= 0.2 and c.optim.name == "sgd" for c in drawn)


@pytest.mark.parametrize(
    ("text", "kind", "values"),
    [
        ("optim.lr=log:1e-4:1e-2", "log", (1e-4, 1e-2)),
        ("augment.flip=uniform:0:1", "uniform", (0, 1)),
        ("data.batch_size=choice:16:32", "choice", (16, 32)),
        ("model.dtype=choice:float32:bfloat16", "choice", ("float32", "bfloat16")),
    ],
)
def test_ranges_are_read(text, kind, values):
    span = random_search.Range(kind, values)
    assert random_search.parse_range(text) == (text.split("=")[0], span)


@pytest.mark.parametrize(
    "text",
    [
        *("optim.lr", "optim.lr=0:1", "a=log:0:1", "a=uniform:2:1", "a=log:x:y"),
        *("a=choice:inf:1", "a=choice:nan:1", "a=uniform:0:inf"),
    ],
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ValueError, match=r"--range .*optim\.lr=log:1e-4:1e-2"):
        random_search.parse_range(text)


def test_runs_at_once_share_the_memory_and_say_what_it_gained(tmp_path):
    class Printed(io.StringIO):
        def write(self, text):
            if "at once do" in text:
                (tmp_path / "told").touch()
            return super().write(text)

    printed = Printed()
    deeds = {f"run{i}": "meet3" for i in range(3)}
    tally = _run_all(_runs(3), tmp_path, printed, parallel=3, **deeds)
    assert sorted(tally[runs_lib.FINISHED]) == ["run0", "run1", "run2"]
    assert (tmp_path / "run1" / "memory").read_text() == "0.300"
    assert "3 runs at once do 2.25 times the work of one alone\n" in printed.getvalue()


def test_a_share_of_memory_that_the_user_chose_stands_alone(monkeypatch):
    # JAX refuses the two names of it together.
    new, old = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"
    for name, other in ((new, old), (old, new)):
        monkeypatch.setenv(name, ".2")
        monkeypatch.delenv(other, raising=False)
        environment = runs_lib._environment(3)
        assert environment[name] == ".2"
        assert other not in environment


@pytest.mark.parametrize(
    ("together", "words"),
    [
        ([45, 50, 40], "2 runs at once do 0.90 times the work of one alone: slower "
         "than one after the other, without --parallel"),
        ([], "too short to tell whether 2 runs at once are faster"),
    ],
)  # fmt: skip
def test_runs_at_once_that_gain_nothing_are_named(together, words):
    assert runs_lib._gain([100, 100], together, 2) == words


def test_a_crash_ends_one_run_and_is_shown(tmp_path):
    runs = _runs(3)
    tally = _run_all(runs, tmp_path, run1="crash")
    assert list(tally[runs_lib.FINISHED]) == ["run0", "run2"]
    assert "RuntimeError: no memory left" in tally[runs_lib.FAILED]["run1"]
    failure = benchmark_files.read_failure(tmp_path / "run1")
    assert failure["code"] == 1
    assert failure["reason"] == "RuntimeError: no memory left"
    assert "deep inside" in (tmp_path / "run1" / benchmark_files.LOG).read_text()


def test_a_crash_inside_jax_is_named_by_its_error(tmp_path):
    tally = _run_all(_runs(1), tmp_path, run0="crash in jax")
    assert "RuntimeError: no such kernel" in tally[runs_lib.FAILED]["run0"]


def test_a_directory_that_cannot_be_written_fails_its_run_alone(tmp_path):
    runs = _runs(2)
    (tmp_path / "run0").write_text("a file in its place")
    tally = _run_all(runs, tmp_path)
    assert "run0" in tally[runs_lib.FAILED]["run0"]
    assert list(tally[runs_lib.FINISHED]) == ["run1"]


def test_a_killed_run_is_said_to_be(tmp_path):
    tally = _run_all(_runs(1), tmp_path, run0="die")
    assert "killed by SIGKILL, possibly out of memory" in tally[runs_lib.FAILED]["run0"]
    assert benchmark_files.read_failure(tmp_path / "run0")["code"] == -signal.SIGKILL


def test_again_does_only_what_is_missing(tmp_path):
    runs = _runs(3)
    _run_all(runs, tmp_path, run1="crash")
    tally = _run_all(runs, tmp_path)
    assert list(tally[runs_lib.FINISHED]) == [run.name for run in runs]
    assert [len(_calls(tmp_path, run.name)) for run in runs] == [1, 2, 1]
    assert benchmark_files.read_failure(tmp_path / "run1") is None


def test_an_exit_without_results_is_a_failure(tmp_path):
    console = Console(file=io.StringIO())
    tally = runs_lib.run_all(
        _runs(1), tmp_path, lambda run: [sys.executable, "-c", ""], console
    )
    assert "no result rows" in tally[runs_lib.FAILED]["run0"]


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path):
    runs = _runs(3)
    for run, name in (
        (runs[0], benchmark_files.LOCK),
        (runs[1], file_names.LOCK),
    ):
        (tmp_path / run.name).mkdir()
        holder = lock(tmp_path / run.name / name)
        holder.__enter__()
        try:
            tally = _run_all([run], tmp_path)
        finally:
            holder.__exit__(None, None, None)
        assert list(tally[runs_lib.ELSEWHERE]) == [run.name]
        assert not _calls(tmp_path, run.name)
    assert list(_run_all(runs, tmp_path)[runs_lib.FINISHED]) == [
        run.name for run in runs
    ]


def test_a_signal_stops_the_run_and_what_would_follow(tmp_path):
    runs = _runs(3)

    def interrupt():
        while not (tmp_path / "run1" / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    tally = _run_all(runs, tmp_path, run1="hang")
    assert list(tally[runs_lib.FINISHED]) == ["run0"]
    assert list(tally[runs_lib.STOPPED]) == ["run1", "run2"]
    assert not tally[runs_lib.FAILED]
    assert benchmark_files.read_failure(tmp_path / "run1") is None
    assert not _calls(tmp_path, "run2")
    assert list(_run_all(runs, tmp_path)[runs_lib.FINISHED]) == [
        run.name for run in runs
    ]


def test_plans_show_what_is_missing_and_stale_ones_give_way(tmp_path):
    before = _enumerate()
    plan.write_plans(before, tmp_path)
    begun = tmp_path / before[0].name
    (begun / rows.FILE_NAME).touch()
    after = _enumerate(overrides=["--config.optim.lr=0.5"])
    plan.write_plans(after, tmp_path)
    there = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert there == {before[0].name} | {run.name for run in after}
    assert plan.other_runs(after, tmp_path) == [before[0].name]
    known = benchmark_files.read_plan(tmp_path / after[0].name)
    assert (known["preset"], known["settings"]) == ("erm", after[0].settings)
    assert known["config"]["optim"]["lr"] == 0.5


def test_callers_may_start_at_once(tmp_path):
    before = _enumerate()
    plan.write_plans(before, tmp_path)
    after = _enumerate(overrides=["--config.optim.lr=0.5"])
    with ThreadPoolExecutor(8) as callers:
        for done in [
            callers.submit(plan.write_plans, after, tmp_path) for _ in "x" * 8
        ]:
            done.result()
    there = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert there == {run.name for run in after}
    assert not list(tmp_path.rglob("*.partial"))


def test_print_and_slurm_run_nothing(tmp_path, capsys):
    arguments = ["--config", SHAPES, "--presets=erm", "--seeds=0", "--targets=sketch"]
    arguments += ["--out", str(tmp_path / "out"), "--config.epochs=3"]
    assert benchmark.main([*arguments, "--print"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed[:3] == ["python", "-m", "jigsaw_shape.train"]
    assert "--config.epochs=3" in printed
    (planned,) = records.find_runs([tmp_path / "out"])
    assert records.read(planned).status == records.MISSING
    assert benchmark.main([*arguments, "--slurm"]) == 0
    assert "#SBATCH --array=0\n" in capsys.readouterr().out


@pytest.mark.parametrize("deed", ["train", "crash"])
def test_the_command_sums_up_and_its_code_says_whether_all_is_there(
    deed, tmp_path, capsys, monkeypatch
):
    out, fake = tmp_path / "out", tmp_path / "fake.py"
    fake.write_text(FAKE)

    def command(run, out, python):
        what = deed if run.preset == "jigen" else "train"
        return [python, str(fake), what, str(out / run.name)]

    monkeypatch.setattr(plan, "command", command)
    arguments = ["--config", SHAPES, "--targets=sketch", "--seeds=0", "--out", str(out)]
    code = benchmark.main([*arguments, "--presets=erm,jigen"])
    printed = capsys.readouterr().out
    assert code == (1 if deed == "crash" else 0)
    assert f"2 runs in {out}, 2 to do" in printed
    assert ("1 finished, 1 failed" if code else "2 finished") in printed
    assert printed.count("no memory left") == (2 if code else 0)  # at once, at the end
    assert benchmark.main([*arguments, "--presets=erm", "--config.optim.lr=0.5"]) == 0
    printed = capsys.readouterr().out
    assert f"1 run in {out}, 1 to do" in printed
    assert "also holds 2 runs of other settings, such as erm-sketch-s0-" in printed
    assert benchmark.main([*arguments, "--presets=erm", "--config.optim.lr=0.5"]) == 0
    assert f"1 run in {out}, 0 to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--presets=shapes", "unknown|erm, jigen"),
        ("--config.optim.lrr=1", "lrr"),
        ("--shard=2/2", "--shard 2/2"),
        ("--range=x", "--range x"),
        ("--search=-1", "0 or more"),
        ("--seeds=a", "whole numbers"),
        ("--config.optim.lr", "write --config.optim.lr=VALUE"),
        ("--target=sketch", "did you mean --targets?"),
        ("--verbose", "unknown argument"),
    ],
)
def test_refusals_are_one_line_and_code_2(argument, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        benchmark.main(
            [
                "--config",
                SHAPES,
                "--presets=erm",
                "--out",
                str(tmp_path / "x"),
                argument,
            ]
        )
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert any(word in line for word in words.split("|"))
    assert not (tmp_path / "x").exists()


def test_a_small_benchmark_from_start_to_end(tmp_path):
    fields = TINY | {"epochs": 1, "diversify.name": "colour", "dann.hidden": "(8,)"}
    fields |= {"losses.consistency": 0.5, "diversify.p_ordered": "(0.5,)"}
    tiny = [f"--config.{k}={v}" for k, v in fields.items()]
    out = tmp_path / "out"
    arguments = ["--config", SHAPES, "--presets=dann", "--seeds=0", *tiny]
    arguments += ["--targets=sketch", "--out", str(out)]
    printed = finish(start(*arguments, module="benchmark"))
    assert f"1 run in {out}, 1 to do" in printed.replace("\n", "")
    assert "1 finished" in printed
    (directory,) = (path for path in out.iterdir() if path.is_dir())
    found = rows.read(directory)
    results = [row for row in found if row["kind"] == "result"]
    assert [row["selection"] for row in results] == list(rows.RULES)
    planned = benchmark_files.read_plan(directory)
    assert {row["settings"] for row in results} == {planned["settings"]}
    assert all(0 <= row["train/domain_accuracy"] <= 1 for row in results)
    assert any(row.get("loss/consistency", 0) > 0 for row in found)
    assert "1 run in" in (again := finish(start(*arguments, module="benchmark")))
    assert "0 to do" in again.replace("\n", " ")
    assert len(json.loads((directory / "run.json").read_text())["starts"]) == 1
