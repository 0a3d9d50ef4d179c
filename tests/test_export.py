"""The command `export`, on a run's directory that the program's own parts wrote."""

import json
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_exporting import make_trained, relative_difference

from jigsaw_shape import config as config_lib
from jigsaw_shape import export as command
from jigsaw_shape.exporting import folder, safetensors_file
from jigsaw_shape.exporting.run import open_run
from jigsaw_shape.runs import fingerprint
from jigsaw_shape.runs.logbook import Logbook
from jigsaw_shape.system import devices
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import optimizer
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints

CLASSES = ("bird", "cat", "cup")
# Step -> accuracy on validation and on the target.
MEASURES = {10: (0.5, 0.9), 20: (0.8, 0.3), 30: (0.7, 0.4), 40: (0.6, 0.5)}


def make_config(ema_decay=0.0):
    config = config_lib.default_config()
    config.preset = "erm"
    config.data.name = "shapes"
    config.data.image_size = 24
    config.data.stored_px = 32
    config.model.encoder = "convnet"
    config.optim.ema_decay = ema_decay
    return config


def make_run(directory, ema_decay=0.0):
    """Writes a run's directory; returns the variables to evaluate at its steps."""
    directory.mkdir()
    config = make_config(ema_decay)
    (directory / "config.json").write_text(fingerprint.to_json(config))
    trained = make_trained(classes=CLASSES)
    variables = trained.tree()
    state = step_lib.init_state(
        jax.tree.map(jnp.asarray, variables),
        optimizer.make_optimizer(config, 40),
        jax.random.key(0),
        ema_decay > 0,
    )
    states = {}
    with (
        Checkpoints(directory / "checkpoints") as checkpoints,
        Logbook(directory, resume_step=0, tensorboard=False) as logbook,
    ):
        for step, (val, target) in MEASURES.items():
            grown = jax.tree.map(lambda x, n=step: x * (1 + n / 100), variables)
            ema = jax.tree.map(lambda x: x + 1, grown) if state.ema else {}
            state = state.replace(step=np.int32(step), ema=ema, **grown)
            states[step] = state.variables
            measures = {"val/accuracy": val, "target/accuracy": target}
            measures |= {f"target/class/{name}": target for name in CLASSES}
            logbook.write("eval", step, measures)
            checkpoints.save(state, measures)
    return states


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's directory, and the variables of its steps."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    return directory, make_run(directory)


def contents(directory):
    return {
        path: path.stat().st_mtime_ns
        for path in pathlib.Path(directory).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("selection", "step"), [("last", 40), ("val", 20), ("oracle", 10)]
)
def test_a_rule_picks_its_checkpoint_and_nothing_is_touched(run, selection, step):
    directory, states = run
    before = contents(directory)
    saved = open_run(directory, selection)
    assert contents(directory) == before
    assert saved.step == step
    assert saved.trained.classes == CLASSES
    assert (saved.trained.size_px, saved.trained.input_px) == (24, 32)
    jax.tree.map(np.testing.assert_array_equal, saved.trained.tree(), states[step])


def test_moving_averages_are_what_is_exported(tmp_path):
    states = make_run(tmp_path / "run", ema_decay=0.9)
    found = open_run(tmp_path / "run", "val").trained.tree()
    jax.tree.map(np.testing.assert_array_equal, found, states[20])


def test_an_export_answers_as_the_runs_model_does(run):
    directory, states = run
    config = make_config()
    learner = learner_lib.make_learner(config, len(CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    predict = learner_lib.make_predict(config, learner)
    batch = devices.shard({"image": images, "order": np.zeros(4, np.int32)})
    expected = predict(devices.replicate(states[20]), None, batch)
    trained = open_run(directory, "val").trained
    found = jax.jit(trained.apply)(trained.tree(), images)
    for ours, theirs in (("features", "features"), ("logits", "classification")):
        difference = relative_difference(
            np.asarray(found[ours]), np.asarray(expected[theirs])
        )
        assert difference <= 1e-5


def export(*arguments):
    return command.main(["export", *map(str, arguments)])


def test_the_command_writes_checked_files_and_a_card(run, tmp_path, capsys):
    directory, _ = run
    out = tmp_path / "out"
    names = "safetensors,orbax"
    assert export("--workdir", directory, "--format", names, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "convnet, step 20, val" in printed
    assert "model.safetensors" in printed
    assert sorted(os.listdir(out)) == [
        *("README.md", "export.json", "model.safetensors", "orbax")
    ]
    facts = json.loads((out / "export.json").read_text())
    assert (facts["target"], facts["selection"], facts["step"]) == ("sketch", "val", 20)
    text = (out / "README.md").read_text()
    assert "| accuracy, held-out domain | 50.0 | 30.0 | 90.0 |" in text
    assert "without an image of the domain **sketch**" in text
    found = safetensors_file.read(out / "model.safetensors")
    assert found.classes == CLASSES


def test_a_failed_check_is_one_line_and_leaves_nothing(
    run, tmp_path, monkeypatch, capsys
):
    directory, _ = run
    monkeypatch.setattr(folder, "_array_difference", lambda *trees: float("nan"))
    out = tmp_path / "out"
    code = export("--workdir", directory, "--format", "orbax", "--out", out)
    assert code == command.DIFFERS
    assert "orbax differs from the checkpoint" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_what_is_no_run_is_refused(run, tmp_path, capsys):
    directory, _ = run
    for arguments, reason in (
        (("--workdir", tmp_path), "is no training run"),
        (("--workdir", directory, "--selection", "best"), "'best' selects nothing"),
        (("--workdir", directory, "--input-px", -1), "--input-px is -1"),
        (("--workdir", directory, "--format", "tflite"), "--format is 'tflite'"),
        (("--workdir", directory, "--input", "int4"), "--input is 'int4'"),
    ):
        names = () if "--format" in arguments else ("--format", "orbax")
        with pytest.raises(SystemExit, match="2"):
            export(*arguments, *names, "--out", tmp_path / "out")
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_a_run_without_an_evaluation_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(fingerprint.to_json(make_config()))
    with pytest.raises(ValueError, match="has no evaluation yet"):
        open_run(tmp_path, "val")
    row = {"kind": "eval", "step": 7, "val/accuracy": 1, "target/accuracy": 1}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row | {"target/class/a": 1}))
    with pytest.raises(ValueError, match=r"val: .*step 7"):
        open_run(tmp_path, "val")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json"):
        open_run(tmp_path, "val")


def test_the_help_names_every_flag(capsys):
    with pytest.raises(SystemExit, match="0"):
        export("--help")
    text = capsys.readouterr().out
    for flag in ("--workdir", "--selection", "--format", "--out", "--input-px"):
        assert flag in text
