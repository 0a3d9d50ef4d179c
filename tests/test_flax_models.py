"""Runs and ImageNet weights, opened to be evaluated: same answers, nothing written."""

import json

import jax
import numpy as np
import pytest
from small_runs import TINY
from test_weights import lite0_path

from jigsaw_shape import config as config_lib
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights import loading
from jigsaw_shape.presets import apply_preset
from jigsaw_shape.runs import fingerprint, rows
from jigsaw_shape.system import devices
from jigsaw_shape.training import (
    learner as learner_lib,
)
from jigsaw_shape.training import (
    optimizer as optimizer_lib,
)
from jigsaw_shape.training import step as step_lib
from jigsaw_shape.training.checkpoints import Checkpoints

CLASSES = tuple(f"class {n}" for n in range(5))


def tiny_config(preset="jigen"):
    config = config_lib.default_config()
    config.data.update(name="shapes", draw_seed=0, n_per_class=6)
    config.data.update(texture_correlation=0.9, n_cue_conflict_per_class=4)
    config.data.update(stored_px=TINY["data.stored_px"])
    config.data.update(image_size=TINY["data.image_size"])
    config.model.encoder = "convnet"
    return apply_preset(config, preset)


def _growth(step):
    return 1 + step / 100


def write_run(directory, classes=CLASSES, preset="jigen", steps=(3, 5, 8), **fields):
    """Writes what a training run leaves; its weights grow with the step."""
    config = tiny_config(preset)
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(fingerprint.to_json(config))
    learner = learner_lib.make_learner(config, len(classes))
    variables = learner_lib.init_variables(config, learner.model, None)
    optimizer = optimizer_lib.make_optimizer(config)
    state = step_lib.init_state(variables, optimizer, jax.random.key(0), None)
    accuracies = {3: (0.5, 0.9), 5: (0.8, 0.2), 8: (0.6, 0.3)}
    with Checkpoints(directory / "checkpoints") as checkpoints:
        for step in steps:
            val, target = accuracies[step]
            row = {"kind": "eval", "step": step, "epoch": 1.0}
            row |= {"val/accuracy": val, "target/accuracy": target}
            row |= {f"target/class/{name}": 0.5 for name in classes}
            with (directory / rows.FILE_NAME).open("a") as file:
                file.write(json.dumps(row) + "\n")
            grown = jax.tree.map(lambda x, s=step: x * _growth(s), state.params)
            checkpoints.save(
                state.replace(step=step + 0 * state.step, params=grown), row
            )
    return learner, variables


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "mine"
    return directory, *write_run(directory)


def _open(directory, selection="last", batch_size=8):
    return open_classifier(
        directory, selection=selection, name="m", batch_size=batch_size
    )


@pytest.mark.parametrize(
    ("selection", "step"), [("last", 8), ("val", 5), ("oracle", 3)]
)
def test_a_run_answers_with_the_checkpoint_that_was_asked_for(run, selection, step):
    directory, learner, variables = run
    model = _open(directory, selection)
    assert model.classes == CLASSES
    assert (model.size_px, model.about["step"]) == (24, step)
    images = np.random.default_rng(0).random((6, 24, 24, 3), np.float32)
    grown = {
        **variables,
        "params": jax.tree.map(lambda x: x * _growth(step), variables["params"]),
    }
    expected = learner.model.apply(grown, images, train=False)
    found = model.predict(images)
    assert model.has_features
    assert set(found) == {"classification", "jigsaw", "features"}
    for head, scores in found.items():
        assert scores == pytest.approx(np.asarray(expected[head]), rel=1e-4, abs=1e-4)


def test_images_are_resized_and_shuffled_as_in_training(run):
    directory, learner, variables = run
    model = _open(directory)
    assert (model.permutations == learner.permutations).all()
    pixels = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    orders = np.array([0, 1, 7, 30, 2], np.int32)
    predict = learner_lib.make_predict(_open(directory).config, learner)
    grown = {
        **variables,
        "params": jax.tree.map(lambda x: x * _growth(8), variables["params"]),
    }
    batch = {"image": np.resize(pixels, (8, 32, 32, 3)), "order": np.resize(orders, 8)}
    expected = predict(devices.replicate(grown), None, devices.shard(batch))
    found = model.predict(jax.numpy.asarray(pixels / np.float32(255)), orders)
    assert len(found["jigsaw"]) == 5
    for head, scores in found.items():
        assert scores == pytest.approx(
            np.asarray(expected[head])[:5], rel=1e-4, abs=1e-4
        )
    whole = model.predict(pixels / np.float32(255))["classification"]
    assert whole[0] == pytest.approx(found["classification"][0], abs=1e-4)
    assert abs(whole[1:] - found["classification"][1:]).max() > 1e-3


def test_opening_writes_nothing_into_a_run(run):
    directory, _, _ = run
    torn = directory / "checkpoints" / "9.orbax-checkpoint-tmp"
    torn.mkdir()  # as a save under way leaves it
    before = {p: p.stat().st_mtime_ns for p in directory.rglob("*")}
    _open(directory)
    assert before == {p: p.stat().st_mtime_ns for p in directory.rglob("*")}
    torn.rmdir()


def test_a_run_of_fewer_fields_has_the_defaults(run, tmp_path):
    directory, _, _ = run
    tree = json.loads((directory / "config.json").read_text())
    del tree["mixstyle"], tree["optim"]["ema_decay"]
    (tmp_path / "config.json").write_text(json.dumps(tree))
    (tmp_path / rows.FILE_NAME).write_text((directory / rows.FILE_NAME).read_text())
    (tmp_path / "checkpoints").symlink_to(directory / "checkpoints")
    opened = _open(tmp_path)
    assert opened.config.mixstyle.p == config_lib.default_config().mixstyle.p
    assert opened.config.data.draw_seed == 0
    assert opened.classes == CLASSES


def test_what_is_no_run_is_refused(run, tmp_path):
    directory, _, _ = run
    with pytest.raises(ValueError, match="is no run"):
        _open(tmp_path)
    config = tmp_path / "config.json"
    config.write_text("[]")
    with pytest.raises(ValueError, match="no configuration of a run"):
        _open(tmp_path)
    config.write_text((directory / "config.json").read_text())
    with pytest.raises(ValueError, match="no evaluation yet"):
        _open(tmp_path)
    (tmp_path / rows.FILE_NAME).write_text((directory / rows.FILE_NAME).read_text())
    with pytest.raises(ValueError, match="has no checkpoint of step 5: there are none"):
        _open(tmp_path, "val")
    (tmp_path / "checkpoints").symlink_to(directory / "checkpoints")
    tree = json.loads(config.read_text())
    tree["model"]["encoder"] = "resnet18"
    config.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=r"does not fit its config\.json"):
        _open(tmp_path)


def test_imagenet_weights_answer_in_16_categories():
    lite0_path()
    model = open_classifier("pretrained:efficientnet_lite0", batch_size=4)
    assert model.classes == imagenet16.CATEGORIES
    images = np.random.default_rng(0).random((2, 224, 224, 3), np.float32)
    found = model.predict(images)
    spec = ENCODERS["efficientnet_lite0"]
    own = loading.load_pretrained("pretrained:efficientnet_lite0", "efficientnet_lite0")
    normalized = (255 * images - 127) / 128  # the published preprocessing
    features = jax.jit(lambda v, x: spec.build().apply(v, x, train=False))(
        own.variables, normalized
    )
    logits = np.asarray(features) @ own.classifier["kernel"] + own.classifier["bias"]
    assert set(found) == {"classification", "features", "ranks"}
    assert found["features"] == pytest.approx(np.asarray(features), abs=2e-3)
    expected = imagenet16.category_scores(logits)
    assert found["classification"] == pytest.approx(expected, abs=2e-3)


def test_weights_by_timms_names_are_opened(monkeypatch):
    spec, asked = ENCODERS["efficientnet_lite0"], []
    classifier = {
        "kernel": np.zeros((1280, imagenet16.N_CLASSES), np.float32),
        "bias": np.zeros(imagenet16.N_CLASSES, np.float32),
    }

    def load(init, encoder, flags):
        asked.append((init, encoder))
        shapes = loading.encoder_shapes(encoder)
        variables = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), shapes)
        return loading.Pretrained(variables, classifier, spec.mean, spec.std)

    monkeypatch.setattr(loading, "load_pretrained", load)
    name = "timm:tf_efficientnet_lite0.in1k"
    model = open_classifier(name, batch_size=4)
    assert asked == [(name, "efficientnet_lite0")]
    assert model.about["encoder"] == "efficientnet_lite0"


def test_unknown_weights_are_refused():
    with pytest.raises(ValueError, match=r"'nonsense': known are resnet18"):
        open_classifier("pretrained:nonsense")
