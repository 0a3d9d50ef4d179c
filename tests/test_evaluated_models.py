"""What `evaluate` opens: marks of adaptation, untrained twins, flags of the models."""

import dataclasses
import json

import numpy as np
import pytest
from test_evaluate import _run
from test_flax_models import write_run

from jigsaw_shape.classifiers.open import is_published, open_classifier
from jigsaw_shape.classifiers.untrained import untrained, untrained_beside
from jigsaw_shape.data.embedded import shapes
from jigsaw_shape.reports import evaluation_folder as files
from jigsaw_shape.runs.file_names import CONFIG


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "erm"
    write_run(directory, shapes.CLASSES, preset="erm", steps=(3,))
    return directory


def test_an_untrained_network_is_the_same_but_for_its_weights(run):
    model = open_classifier(run, selection="last", name="m", batch_size=8)
    other = untrained(model, name="u", seed=1)
    again = untrained(model, name="u", seed=1)
    assert (other.classes, other.size_px) == (model.classes, model.size_px)
    assert other.digest == again.digest != model.digest
    assert other.digest != untrained(model, name="u", seed=2).digest
    images = np.random.default_rng(0).random((3, 24, 24, 3), np.float32)
    outputs = other.predict(images)
    assert set(outputs) == set(model.predict(images))
    assert outputs["features"].std() > 0
    assert [m.name for m in untrained_beside([model, model])] == ["untrained convnet"]
    headless = dataclasses.replace(
        model, classes=(), network=dataclasses.replace(model.network, classes=())
    )
    (stands_for_both,) = untrained_beside([headless, model])
    assert stands_for_both.classes == model.classes
    program = dataclasses.replace(model, network=None)
    with pytest.raises(ValueError, match="m is a program"):
        untrained_beside([program])
    assert len(untrained_beside([program, model])) == 1


def test_a_run_that_adapted_to_the_target_is_marked(tmp_path, run, capsys):
    config = json.loads((run / CONFIG).read_text())
    config["data"]["setting"] = "adaptation"
    adapted = tmp_path / "adapted"
    adapted.symlink_to(run)
    original = (run / CONFIG).read_text()
    (run / CONFIG).write_text(json.dumps(config))
    out = tmp_path / "out"
    code, printed = _run(capsys, "--model", adapted, "--suite", "target", "--out", out)
    (run / CONFIG).write_text(original)
    assert code == 0, printed.err
    rows = [json.loads(line) for line in (out / files.ROWS).open()]
    assert {r["model"] for r in rows} == {"erm (adaptation)"}
    assert {r["model/setting"] for r in rows} == {"adaptation"}
    for text in (printed.out, (out / files.HTML).read_text()):
        assert "erm (adaptation)" in text
        assert "trained on the target" in " ".join(text.split())


def test_flags_of_published_weights_are_for_these_alone(tmp_path, run, capsys):
    assert is_published("pretrained:efficientnet_lite0")
    weights = tmp_path / "mine.pth"
    weights.touch()
    assert is_published(str(weights), "resnet18")
    assert not is_published(str(weights))  # no name of an encoder
    assert not is_published(str(run), "resnet18")
    (tmp_path / "net.onnx").touch()
    assert not is_published(str(tmp_path / "net.onnx"), "resnet18")
    common = ("--model", run, "--suite", "target", "--out", tmp_path / "out")
    for flag, value in (("--encoder", "resnet18"), ("--size", 64)):
        code, printed = _run(capsys, *common, flag, value)
        assert code == 2
        assert f"{flag} is {value}, but no --model is published" in printed.err
    code, printed = _run(capsys, *common, "--background", "pink")
    assert code == 2
    assert "pink" in printed.err
    assert not (tmp_path / "out").exists()
