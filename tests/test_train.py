"""Whole runs: killed, continued, refused, diverging, on one device and on four."""

import json
import os
import signal
import time

import numpy as np
import pytest
from runs import arguments, finish, saved_state, start

from jigsaw_shape import rows, train

N_STEPS = 16  # two epochs of eight


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that nothing disturbed, and what it printed."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    printed = finish(start(*arguments(workdir)))
    return workdir, printed


def _wait_for(condition, process, what):
    for _ in range(60_000):
        if condition():
            return
        assert process.poll() is None, f"ended before {what}: {process.communicate()}"
        time.sleep(0.002)
    raise AssertionError(f"never: {what}")


def _trained_steps(workdir):
    return [row["step"] for row in rows.read(workdir) if row["kind"] == "train"]


def test_a_run_killed_again_and_again_ends_bit_for_bit_the_same(finished, tmp_path):
    workdir = tmp_path / "run"
    checkpoints = workdir / "checkpoints"
    again = arguments(workdir, log__checkpoint_every_steps=1)

    process = start(*again)
    _wait_for(lambda: len(_trained_steps(workdir)) >= 2, process, "step 2")
    process.send_signal(signal.SIGTERM)
    assert "the same command goes on" in finish(process, code=75)
    stopped_at = max(_trained_steps(workdir))
    assert stopped_at < N_STEPS

    process = start(*again)
    _wait_for(
        lambda: max(_trained_steps(workdir), default=0) > stopped_at, process, "a step"
    )
    process.kill()
    process.communicate()

    process = start(*again)
    _wait_for(
        lambda: any("tmp" in p.name for p in checkpoints.glob("*")), process, "save"
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


@pytest.fixture(scope="module")
def on_four_devices(tmp_path_factory):
    """The same run on four devices of one process."""
    workdir = tmp_path_factory.mktemp("four") / "run"
    finish(start(*arguments(workdir), n_devices=4))
    return workdir


def _evaluations(workdir):
    return [row for row in rows.read(workdir) if row["kind"] == "eval"]


def test_four_devices_evaluate_and_train_like_one(finished, on_four_devices):
    one, four = saved_state(finished[0]), saved_state(on_four_devices)
    assert one["['rng']"].tolist() == four["['rng']"].tolist()
    first = [rows.read(run)[0] for run in (finished[0], on_four_devices)]
    for name in ("loss/classification", "loss/jigsaw", "grad_norm"):
        assert first[0][name] == pytest.approx(first[1][name], rel=1e-5)
    for run in (finished[0], on_four_devices):
        last = _evaluations(run)[-1]
        assert np.sum(last["target/confusion"]) == 48  # each image once
        assert last["cue_conflict/n"] == 32


def test_two_processes_train_like_one(on_four_devices, tmp_path):
    """As Slurm starts them, two devices each, the rows and checkpoints shared."""
    workdir = tmp_path / "run"
    processes = [
        start(
            "--multihost",
            *arguments(workdir),
            n_devices=2,
            SLURM_JOB_ID=str(os.getpid()),  # the coordinator's port follows from it
            SLURM_STEP_NODELIST="localhost",
            SLURM_NTASKS="2",
            SLURM_PROCID=str(rank),
            SLURM_LOCALID=str(rank),
            SLURM_STEP_NUM_TASKS="2",
            SLURM_JOB_NUM_NODES="1",
        )
        for rank in range(2)
    ]
    for process in processes:
        finish(process)
    together, apart = saved_state(on_four_devices), saved_state(workdir)
    for name, array in together.items():
        np.testing.assert_allclose(array, apart[name], atol=1e-4, err_msg=name)
    assert len(rows.read(workdir)) == len(rows.read(on_four_devices))
    assert (
        _evaluations(workdir)[0]["target/confusion"]
        == (_evaluations(on_four_devices)[0]["target/confusion"])
    )


def test_the_other_options_run_and_continue(tmp_path):
    """Steps, moving averages, bfloat16, frozen norms, fewer sources, another grid."""
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
        "data__cache": "device",
        "jigsaw__grid": 2,
        "jigsaw__n_permutations": 23,
        "log__tensorboard": True,
        "log__checkpoint_every_steps": 1,
    }
    workdir = tmp_path / "run"
    process = start(*arguments(workdir, **options), n_devices=2)
    _wait_for(lambda: len(_trained_steps(workdir)) >= 3, process, "step 3")
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
        "confusion_last.png",
        "confusion_val.png",
        "confusion_oracle.png",
    ):
        assert (workdir / name).stat().st_size > 100, name
    facts = json.loads((workdir / "run.json").read_text())
    assert facts["versions"]["jax"]
    assert facts["devices"].startswith("1 x")
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
    assert f"continuing at step {N_STEPS} of {N_STEPS}" in printed
    after = saved_state(workdir)
    assert all((before[name] == after[name]).all() for name in before)
    assert len([r for r in rows.read(workdir) if r["kind"] == "result"]) == 3


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    workdir = tmp_path / "run"
    process = start(*arguments(workdir, optim__name="sgd", optim__lr=1e18))
    printed = finish(process, code=3)
    assert "at step" in printed
    assert "loss/" in printed or "grad_norm" in printed
    assert "Traceback" not in printed
    for array in saved_state(workdir).values() if _has_checkpoint(workdir) else ():
        assert np.isfinite(array).all()


def _has_checkpoint(workdir):
    return any(path.name.isdigit() for path in (workdir / "checkpoints").iterdir())


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
        ({"model__init": "pretrained:nothing"}, "nothing"),
        ({"losses__jigsaw": -1}, "0 or more"),
        ({"epochs": "many"}, "epochs"),
    ],
)
def test_refusals(changes, words, tmp_path, capsys):
    message = _refusal(capsys, *arguments(tmp_path / "run", **changes))
    assert words in message
    assert not (tmp_path / "run" / "checkpoints").exists()


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
