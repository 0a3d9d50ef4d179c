"""Whole runs: killed, continued, refused, diverging, on one device and on four."""

import json
import shutil
import signal
import time

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image
from small_runs import arguments, finish, saved_state, start, start_two
from test_checks import load_config

from jigsaw_shape import train
from jigsaw_shape.data import sources
from jigsaw_shape.runs import rows
from jigsaw_shape.system import command_line
from jigsaw_shape.system.lock import lock

N_STEPS = 32  # four epochs of eight


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nothing disturbed, and what it printed."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    printed = finish(start(*arguments(workdir)))
    return workdir, printed


def _wait_for(condition, what, *processes):
    """Waits until the condition holds or, and then it fails, a process ends."""
    while not condition():
        for process in processes:
            ended = process.poll() is not None
            assert not ended, f"ended before {what}: {process.communicate()}"
        time.sleep(0.002)


def _trained_steps(workdir):
    return [row["step"] for row in rows.read(workdir) if row["kind"] == "train"]


def test_a_run_killed_again_and_again_ends_bit_for_bit_the_same(finished, tmp_path):
    workdir = tmp_path / "run"
    checkpoints = workdir / "checkpoints"
    again = arguments(workdir, log__checkpoint_every_steps=1)

    process = start(*again)
    _wait_for(lambda: len(_trained_steps(workdir)) >= 2, "step 2", process)
    process.send_signal(signal.SIGTERM)
    assert "Run the same command again to continue" in finish(process, code=75)
    stopped_at = max(_trained_steps(workdir))
    assert stopped_at < N_STEPS

    process = start(*again)
    _wait_for(
        lambda: max(_trained_steps(workdir), default=0) > stopped_at, "a step", process
    )
    process.kill()
    process.communicate()

    process = start(*again)
    _wait_for(
        lambda: any("tmp" in p.name for p in checkpoints.glob("*")), "save", process
    )
    process.kill()
    process.communicate()

    printed = finish(start(*again))
    assert "continuing at step" in printed
    assert _trained_steps(workdir) == list(range(1, N_STEPS + 1))
    whole, resumed = saved_state(finished[0]), saved_state(workdir)
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, resumed[name], err_msg=name)
    for kind in ("eval", "result"):
        records = [
            [row for row in rows.read(run) if row["kind"] == kind]
            for run in (finished[0], workdir)
        ]
        assert records[0] == records[1]


# Sums of another order decide now and then on which side of a ReLU a number falls.
# Small steps keep such a run beside the other.
STEADY = {"optim__lr": 0.001}


@pytest.fixture(scope="module")
def on_four_devices(tmp_path_factory):
    """The same run, steadier, on four devices of one process."""
    workdir = tmp_path_factory.mktemp("four") / "run"
    finish(start(*arguments(workdir, **STEADY), n_devices=4))
    return workdir


def _evaluations(workdir):
    return [row for row in rows.read(workdir) if row["kind"] == "eval"]


def test_four_devices_evaluate_and_train_like_one(finished, on_four_devices):
    one, four = saved_state(finished[0]), saved_state(on_four_devices)
    assert one["['rng']"].tolist() == four["['rng']"].tolist()
    first = [rows.read(run)[0] for run in (finished[0], on_four_devices)]
    for name in ("loss/classification", "loss/jigsaw", "norm/gradient"):
        assert first[0][name] == pytest.approx(first[1][name], rel=1e-5)
    for run in (finished[0], on_four_devices):
        last = _evaluations(run)[-1]
        assert np.sum(last["target/confusion"]) == 48  # each image once
        assert last["cue_conflict/n"] == 32


def test_two_processes_train_like_one(on_four_devices, tmp_path):
    """Also when one is killed, both are stopped, and one process goes on alone."""
    workdir = tmp_path / "run"
    steps = arguments(workdir, log__checkpoint_every_steps=4, **STEADY)
    killed, other = start_two(*steps)
    _wait_for(lambda: len(_trained_steps(workdir)) >= 6, "step 6", killed, other)
    killed.kill()
    killed.communicate()
    other.communicate()
    assert other.returncode in (command_line.LOST_PEER, -signal.SIGABRT)
    processes = start_two(*steps)
    reached = max(_trained_steps(workdir))
    _wait_for(lambda: max(_trained_steps(workdir)) > reached, "a step", *processes)
    processes[1].send_signal(signal.SIGINT)
    for process in processes:
        assert "Run the same command again to continue" in finish(process, code=75)
    assert max(_trained_steps(workdir)) < N_STEPS
    assert "continuing at step" in finish(start(*steps, n_devices=4))
    together, apart = saved_state(on_four_devices), saved_state(workdir)
    for name, array in together.items():
        np.testing.assert_allclose(array, apart[name], atol=1e-4, err_msg=name)
    assert len(rows.read(workdir)) == len(rows.read(on_four_devices))
    assert (
        _evaluations(workdir)[0]["target/confusion"]
        == (_evaluations(on_four_devices)[0]["target/confusion"])
    )


def test_the_other_options_run_and_continue(tmp_path):
    """Steps, moving averages, bfloat16, frozen norms, no validation, another grid."""
    options = {
        "epochs": 0,
        "steps": 10,
        "model__dtype": "bfloat16",
        "model__freeze_norm": True,
        "optim__name": "sgd",
        "optim__nesterov": True,
        "optim__ema_decay": 0.9,
        "optim__schedule": "step",
        "data__sources": "photo,cartoon",
        "data__sampling": "balanced",
        "data__split": "none",
        "data__cache": "device",
        "jigsaw__grid": 2,
        "jigsaw__n_permutations": 23,
        "diversify__name": "fourier",
        "diversify__external": "(0.5,)",
        "mixstyle__stages": "stage1",
        "log__tensorboard": True,
        "log__checkpoint_every_steps": 1,
    }
    workdir = tmp_path / "run"
    process = start(*arguments(workdir, **options), n_devices=2)
    _wait_for(lambda: len(_trained_steps(workdir)) >= 3, "step 3", process)
    process.kill()
    process.communicate()
    printed = finish(start(*arguments(workdir, **options), n_devices=2))
    assert "continuing at step" in printed
    assert "Warning" not in printed
    assert len(_evaluations(workdir)) == 10
    state = saved_state(workdir)
    kernels = [name for name in state if "conv1" in name and "kernel" in name]
    average, current = (
        next(state[n] for n in kernels if n.startswith(f"['{tree}']"))
        for tree in ("ema", "params")
    )
    assert average.dtype == current.dtype == np.float32
    assert 0 < np.abs(average - current).max() < 0.1
    assert list((workdir / "tensorboard").iterdir())
    results = [row for row in rows.read(workdir) if row["kind"] == "result"]
    assert results[0]["sources"] == ["photo", "cartoon"]


def test_a_run_leaves_what_a_reader_needs(finished):
    workdir, printed = finished
    for name in (
        "config.json",
        "run.json",
        "parameters.txt",
        "preview.png",
        "puzzle.png",
        "confusion_last.png",
        "confusion_val.png",
        "confusion_oracle.png",
    ):
        assert (workdir / name).stat().st_size > 100, name
    starts = json.loads((workdir / "run.json").read_text())["starts"]
    assert starts[0]["versions"]["jax"]
    assert starts[0]["devices"].startswith("1 x")
    results = [row for row in rows.read(workdir) if row["kind"] == "result"]
    assert [row["selection"] for row in results] == list(rows.RULES)
    for row in results:
        assert row["split"] == "jigen"
        assert row["sources"] == ["photo", "painting", "cartoon"]
        shown = f"{100 * row['target/accuracy']:.1f}"
        assert shown in printed
    for kind in ("last", "val", "oracle", "upper bound", "bird"):
        assert kind in printed


def test_best_checkpoints_are_the_ones_that_the_rows_name(finished):
    workdir, _ = finished
    kept = {int(path.name) for path in (workdir / "checkpoints").iterdir()}
    results = [row for row in rows.read(workdir) if row["kind"] == "result"]
    assert {row["step"] for row in results} <= kept


def test_a_finished_run_is_not_trained_again(finished):
    workdir, _ = finished
    before = saved_state(workdir)
    printed = finish(start(*arguments(workdir)))
    assert f"finished already, at step {N_STEPS}" in printed
    after = saved_state(workdir)
    assert all((before[name] == after[name]).all() for name in before)
    assert len([r for r in rows.read(workdir) if r["kind"] == "result"]) == 3


@pytest.mark.parametrize(("lr", "first_is_good"), [(1e39, False), (1e8, True)])
def test_what_is_no_number_stops_the_run_before_it_is_saved(
    lr, first_is_good, tmp_path
):
    workdir = tmp_path / "run"
    options = {"name": "sgd", "lr": lr, "schedule": "constant", "warmup": 0.0}
    options = {f"optim__{name}": value for name, value in options.items()}
    process = start(*arguments(workdir, log__checkpoint_every_steps=1, **options))
    printed = finish(process, code=3)
    assert "at step" in printed
    assert ("at step 1:" in printed) != first_is_good
    assert "norm/" in printed or "loss/" in printed
    assert "Traceback" not in printed
    saved = [p for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()]
    assert bool(saved) == first_is_good
    for array in saved_state(workdir).values() if saved else ():
        assert np.isfinite(array).all()


def _refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        train.main(["train", *arguments])
    message = capsys.readouterr().err.strip()
    assert stop.value.code == 2
    assert message.startswith("train: ")
    assert "\n" not in message
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__tagret": "photo"}, 'Did you mean "target"'),
        ({"data__target": "bike"}, "photo, painting, cartoon, sketch"),
        ({"data__sources": "photo,sketch"}, "sketch"),
        ({"data__sources": "photo,bike"}, "bike"),
        ({"data__image_size": 25}, "use 24 or 27"),
        ({"jigsaw__grid": 2, "jigsaw__n_permutations": 24}, "1 to 23"),
        ({"data__batch_size": 18}, "multiple of 4"),
        ({"data__batch_size": 4000}, "lower it"),
        ({"data__split": "official"}, "official"),
        ({"data__texture_correlation": 1.5}, "texture_correlation"),
        ({"model__encoder": "resnet19"}, "resnet18"),
        ({"model__init": "pretrained:nothing"}, "convnet"),
        ({"losses__puzzle": 1.0}, "puzzle"),
        ({"data__draw_seed": -1}, "config.data.draw_seed"),
        ({"data__n_cue_conflict_per_class": 0}, "n_cue_conflict_per_class"),
        ({"seed": -1}, "config.seed"),
        ({"losses__jigsaw": -1}, "0 or more"),
        ({"epochs": "many"}, "epochs"),
        ({"diversify__styles": "nowhere"}, "nowhere is not a folder"),
        ({"diversify__stylizer": "nowhere"}, "'shipped'"),
        ({"diversify__name": "blur"}, "adain, fourier"),
        (
            {"mixstyle__stages": "layer1"},
            "stage1, stage2, stage3, stage4; or use",
        ),
    ],
)
def test_refusals(changes, words, tmp_path, capsys):
    message = _refusal(capsys, *arguments(tmp_path / "run", **changes))
    assert words in message
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_refuses_a_directory_that_another_process_is_using(finished, capsys):
    workdir, _ = finished
    with lock(workdir / ".lock"):
        assert "another process" in _refusal(capsys, *arguments(workdir))
    assert len(json.loads((workdir / "run.json").read_text())["starts"]) < 3


@pytest.mark.parametrize("name", ["images", "styles", "stylizer"])
def test_refuses_to_continue_with_other_inputs(finished, name, tmp_path, capsys):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    facts = json.loads((workdir / "run.json").read_text())
    facts["starts"][0][name] = "others"
    (workdir / "run.json").write_text(json.dumps(facts))
    assert f"other {name}" in _refusal(capsys, *arguments(workdir))


def test_refuses_styles_from_the_target(tmp_path, capsys):
    config = load_config(REPOSITORY / "configs" / "shapes.py")
    config.data.n_per_class = 6
    dataset = sources.load_dataset(config.data)
    i = np.flatnonzero(dataset.domain == dataset.domain_index("sketch"))[3]
    (tmp_path / "styles").mkdir()
    Image.fromarray(dataset.read(i)).save(tmp_path / "styles" / "leak.png")
    folder = {"diversify__styles": tmp_path / "styles"}
    message = _refusal(capsys, *arguments(tmp_path / "run", **folder))
    assert "leak.png" in message
    assert "of the held-out domain sketch" in message


def test_refuses_the_embedded_set_without_its_config(tmp_path, capsys):
    config = f"--config={REPOSITORY / 'configs' / 'pacs.py'}"
    workdir = f"--workdir={tmp_path / 'run'}"
    message = _refusal(capsys, config, workdir, "--config.data.name=shapes")
    assert "configs/shapes.py" in message


@pytest.mark.parametrize("program", ["x = (", "import nowhere", "y = undefined"])
def test_refuses_a_config_file_that_does_not_run(program, tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text(program)
    _refusal(capsys, f"--config={path}")


def test_refuses_a_directory_of_another_configuration(finished, capsys):
    workdir, _ = finished
    message = _refusal(capsys, *arguments(workdir, seed=1, optim__lr=0.5))
    assert "optim.lr: 0.002 -> 0.5" in message
    assert "seed: 0 -> 1" in message


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--config=configs/nowhere.py", "nowhere"),
        ("--config=configs/shapes.py:jigsaw", "erm, jigen"),
        ("--workdirs=x", "workdir"),
        ("stray", "stray"),
    ],
)
def test_refuses_a_command_line_that_makes_no_sense(argument, words, capsys):
    base = [] if argument.startswith("--config") else ["--config=configs/shapes.py"]
    assert words in _refusal(capsys, *base, argument)


def test_refuses_a_missing_config(capsys):
    assert "--config is missing" in _refusal(capsys)


def test_help_names_the_flags(capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["train", "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "--workdir" in printed
    assert "configs/pacs.py" in printed
