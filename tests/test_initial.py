"""What runs start from: weights with their normalization, and other runs' encoders."""

import json
import shutil

import jax
import numpy as np
import optax
import pytest
from tiny_encoders import shapes

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.exporting import card, safetensors_file
from jigsaw_shape.exporting.format import Options
from jigsaw_shape.models.network import make_network
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.runs import fingerprint
from jigsaw_shape.training import initial_weights
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints, SaveError

# Step -> accuracy on the sources' validation images, and on the target.
MEASURES = {1: (0.5, 0.9), 2: (0.8, 0.2), 3: (0.6, 0.3)}
PICKED = {"oracle": 1, "val": 2, "last": 3}


def make_config(init="random", encoder="convnet", **data):
    config = config_lib.default_config()
    config.model.init, config.model.encoder = init, encoder
    config.data.update({"name": "shapes", "target": "sketch", "image_size": 24, **data})
    return config


def variables_of(step, n_classes=8):
    """Returns a run's variables that are all its step."""
    full = jax.tree.map(lambda x: np.full(x.shape, step, np.float32), shapes("convnet"))
    variables = {kind: {"encoder": tree} for kind, tree in full.items()}
    variables["params"]["head_classification"] = {
        "kernel": np.full((256, n_classes), step, np.float32),
        "bias": np.full(n_classes, step, np.float32),
    }
    return variables


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder, of three evaluations, that held out the photos."""
    folder = tmp_path_factory.mktemp("runs") / "before"
    with Checkpoints(folder / "checkpoints") as checkpoints:
        for step, (val, target) in MEASURES.items():
            state = step_lib.init_state(
                variables_of(step), optax.sgd(0.1), jax.random.key(0), average=None
            )
            state = state.replace(step=state.step + step)
            measures = {"val/accuracy": val, "target/accuracy": target}
            checkpoints.save(state, measures)
            row = {"kind": "eval", "step": step, **measures}
            with (folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
    write_config(folder, make_config(target="photo"), mean=[0.1, 0.2, 0.3])
    return folder


def write_config(folder, config, mean=()):
    config.model.mean, config.model.std = tuple(mean), (1.0, 1.0, 2.0) if mean else ()
    (folder / "config.json").write_text(fingerprint.to_json(config))


@pytest.mark.parametrize("rule", [*PICKED, None])
def test_a_run_starts_from_what_a_rule_picked_of_another(run, rule):
    init = f"{run}@{rule}" if rule else str(run)
    config = make_config(init, target="photo", name="elsewhere")
    found = initial_weights.load(config)
    assert config.model.mean == ()  # the caller's is not changed
    config = initial_weights.with_pixels(config, found)
    step = PICKED[rule or "val"]
    arrays = jax.tree.leaves((found.variables, found.classifier))
    assert {float(array.flat[0]) for array in arrays} == {step}
    assert jax.tree.structure(found.variables) == jax.tree.structure(shapes("convnet"))
    assert config.model.mean == (0.1, 0.2, 0.3)
    assert config.model.std == (1.0, 1.0, 2.0)
    learner = learner_lib.make_learner(config, n_classes=5)
    assert (learner.model.mean, learner.model.std) == (found.mean, found.std)
    variables = learner_lib.init_variables(config, learner.model, found)
    jax.tree.map(
        np.testing.assert_array_equal,
        {kind: tree["encoder"] for kind, tree in variables.items()},
        found.variables,
    )
    # The heads are this run's own.
    assert variables["params"]["head_classification"]["kernel"].shape == (256, 5)
    random = learner_lib.init_variables(make_config(), learner.model, None)
    np.testing.assert_array_equal(
        variables["params"]["head_classification"]["kernel"],
        random["params"]["head_classification"]["kernel"],
    )


def test_what_is_not_read_stays_random(run):
    config = make_config(str(run), name="elsewhere")
    config.model.init_skip = "conv1/*, bn2/mean"
    found = initial_weights.load(config)
    config = initial_weights.with_pixels(config, found)
    model = learner_lib.make_learner(config, n_classes=8).model
    variables = learner_lib.init_variables(config, model, found)
    random = learner_lib.init_variables(make_config(), model, None)
    for kind, leaf in (
        ("params", ("conv1", "kernel")),
        ("batch_stats", ("bn2", "mean")),
    ):
        ours, other = variables[kind]["encoder"], random[kind]["encoder"]
        np.testing.assert_array_equal(ours[leaf[0]][leaf[1]], other[leaf[0]][leaf[1]])
    assert np.all(variables["batch_stats"]["encoder"]["bn2"]["var"] == 2)


def test_a_run_that_knew_the_target_is_refused(run):
    with pytest.raises(ValueError, match=r"was trained on sketch, .*held it out"):
        initial_weights.load(make_config(str(run), target="sketch"))
    with pytest.raises(ValueError, match="selected by accuracy on photo"):
        initial_weights.load(make_config(f"{run}@oracle", target="photo"))
    assert initial_weights.load(make_config(f"{run}@last", target="photo")) is not None


@pytest.mark.parametrize("named", ["model.safetensors", ""])
def test_an_export_of_a_run_that_knew_the_target_is_refused(tmp_path, named):
    variables = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes("convnet"))
    network = make_network(
        *("convnet", variables, None),
        classes=(),
        size_px=24,
        input_px=24,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )

    def load(selection, target, sources=""):
        exported = make_config(target="photo", sources=sources)
        knowledge = directory_lib.knowledge(tmp_path, exported, selection)
        of_run = json.loads(fingerprint.to_json(exported))
        facts = network.facts() | card.about_run(of_run, knowledge, 1)
        path = tmp_path / "model.safetensors"
        safetensors_file.write(path, network, facts, Options(()))
        return initial_weights.load(make_config(str(tmp_path / named), target=target))

    with pytest.raises(ValueError, match=r"was trained on sketch, .*held it out"):
        load("val", "sketch")
    with pytest.raises(ValueError, match="selected by accuracy on photo"):
        load("oracle", "photo")
    assert load("val", "photo") is not None
    assert load("val", "sketch", sources="cartoon,painting") is not None


def test_what_a_chain_of_runs_began_with_is_remembered(run, tmp_path):
    """A run that never saw the sketches, begun from one that did, has seen them."""
    config = make_config(str(run), target="photo", sources="painting,cartoon")
    second = tmp_path / "second"
    config.workdir = str(second)
    known = initial_weights.knowledge(initial_weights.load(config))
    assert known == {
        "dataset": "shapes",
        "target": "photo",
        "sources": "",
        "selection": "val",
    }
    with directory_lib.claim(config, {"images": "0"}, known):
        pass
    shutil.copytree(run / "checkpoints", second / "checkpoints")
    shutil.copy(run / "metrics.jsonl", second)
    with pytest.raises(
        ValueError, match="second' began with weights that were trained"
    ):
        initial_weights.load(make_config(str(second), target="sketch"))
    third = make_config(str(second), target="photo")
    assert initial_weights.knowledge(initial_weights.load(third))["after"] == known


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "file/run"):
        config = make_config()
        config.workdir = str(tmp_path / name)
        with (
            pytest.raises(ValueError, match="--workdir names a folder"),
            directory_lib.claim(config, {"images": "0"}, {}),
        ):
            pass


def test_a_run_that_lost_rows_is_not_gone_on_with(run, tmp_path):
    config = make_config()
    config.workdir = str(tmp_path / "run")
    with directory_lib.claim(config, {"images": "0"}, {}) as directory:
        shutil.copytree(run / "checkpoints", directory / "checkpoints")
        written = (run / "metrics.jsonl").read_text()
        (directory / "metrics.jsonl").write_text(written)
    with directory_lib.claim(config, {"images": "0"}, {}):
        (directory / "metrics.jsonl").write_text(written.partition("\n")[0])
    with (
        pytest.raises(ValueError, match=r"checkpoint of step 3, .* ends at step 1"),
        directory_lib.claim(config, {"images": "0"}, {}),
    ):
        pass


def test_a_full_disk_ends_a_save_in_words(run, tmp_path, monkeypatch):
    state = step_lib.init_state(
        variables_of(1), optax.sgd(0.1), jax.random.key(0), average=None
    )
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:

        def full(*args, **kwargs):
            raise ValueError("OUT_OF_RANGE:\n no space left")

        monkeypatch.setattr(
            checkpoints._checkpointer, "save_checkpointables_async", full
        )
        with pytest.raises(SaveError, match="checkpoints cannot be written: OUT_OF_"):
            checkpoints.save(state)


def test_a_run_without_its_configuration_is_not_gone_on_with(tmp_path):
    config = make_config()
    config.workdir = str(tmp_path / "run")
    for _ in range(2):  # begun, and gone on with
        with directory_lib.claim(config, {"images": "0"}, {}) as directory:
            (directory / "metrics.jsonl").touch()
    (directory / "config.json").unlink()
    with (
        pytest.raises(ValueError, match=r"without its config\.json.*--workdir"),
        directory_lib.claim(config, {"images": "0"}, {}),
    ):
        pass
    (directory / "run.json").write_text("half")
    with (
        pytest.raises(ValueError, match=r"run\.json does not say how the run began"),
        directory_lib.claim(config, {"images": "0"}, {}),
    ):
        pass


def test_runs_that_cannot_be_started_from_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="has weights of 'convnet', not of config"):
        initial_weights.load(make_config(str(run), "resnet18", target="photo"))
    bare = tmp_path / "bare"
    (bare / "checkpoints").mkdir(parents=True)
    write_config(bare, make_config(target="photo"))
    with pytest.raises(ValueError, match="has no evaluation yet"):
        initial_weights.load(make_config(str(bare), target="photo"))
    (bare / "metrics.jsonl").write_text((run / "metrics.jsonl").read_text())
    with pytest.raises(ValueError, match="has no checkpoint of step"):
        initial_weights.load(make_config(str(bare), target="photo"))
    (bare / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="no configuration of a run"):
        initial_weights.load(make_config(str(bare), target="photo"))


@pytest.mark.parametrize(
    ("encoder", "mean"), [("convnet", 0.485), ("digits", 0.5), ("vit_small_16", 0.5)]
)
def test_random_weights_take_the_encoders_usual_pixels(encoder, mean):
    config = make_config(encoder=encoder)
    assert initial_weights.load(config) is None
    config = initial_weights.with_pixels(config, None)
    assert config.model.mean == ()  # the stored settings name what is unusual alone
    assert initial_weights.pixels(config)[0][0] == mean


def test_the_configuration_has_the_last_word_on_pixels(run):
    config = make_config(str(run), name="elsewhere")
    config.model.mean = (0.7, 0.8, 0.9)
    found = initial_weights.load(config)
    assert found.mean == (0.1, 0.2, 0.3)
    config = initial_weights.with_pixels(config, found)
    model = learner_lib.make_learner(config, n_classes=8).model
    assert (model.mean, model.std) == ((0.7, 0.8, 0.9), (1.0, 1.0, 2.0))


@pytest.mark.parametrize("std", [(0.5,), (0.5, 0.0, 0.5), (0.5, -1.0, 0.5)])
def test_a_deviation_that_cannot_divide_is_refused(std):
    config = make_config()
    config.model.std = std
    with pytest.raises(ValueError, match=r"config\.model\.std=.*(3 numbers|above 0)"):
        checks.check(config, n_devices=1)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(ValueError, match="'resnet7', an unknown encoder; known"):
        initial_weights.load(make_config(encoder="resnet7"))
