"""Suites run over a model that reads one pixel."""

import numpy as np
import pytest
from small_stimuli import make_stimuli

from jigsaw_shape.classifiers.classifier import Model
from jigsaw_shape.suites.session import NonFiniteError, Session

CLASSES = ("cat", "dog", "emu")
COUNTS = (20, 8, 4)


def _stimuli(counts=COUNTS):
    """Images of 4 px whose brightness says their class and whose name says which."""
    category = np.repeat(CLASSES, counts)
    names = [f"{name}/{n}.png" for n, name in enumerate(category)]

    def read(i, px):
        return np.full((px, px, 3), 50 * CLASSES.index(category[i]), np.uint8)

    return make_stimuli(names, category, read)


def _model(name="m", size_px=8, wrong=None, classes=CLASSES):
    """A model that is right, but on the class that it calls something else."""

    def predict(images, orders=None):
        means = np.asarray(images).mean((1, 2, 3)) * 255 / 50
        answers = np.rint(means).astype(int)
        if wrong is not None:
            answers = np.where(answers == CLASSES.index(wrong), 0, answers)
        scores = np.zeros((len(answers), len(classes)), np.float32)
        scores[
            np.arange(len(answers)), [classes.index(CLASSES[a]) for a in answers]
        ] = 1
        return {"classification": scores}

    return Model(name, classes, size_px, 5, predict)


def _session(n_images=0):
    return Session(0, n_images, lambda title, n: lambda n_done: None)


def test_a_choice_of_images_holds_each_class_by_its_share():
    part = _session(n_images=16)._part(_stimuli())
    n = [int((part.category == name).sum()) for name in CLASSES]
    assert sum(n) == 16
    assert np.abs(np.array(n) - np.array(COUNTS) / 2).max() <= 1
    assert len(set(part.images)) == 16
    assert part.images == _session(n_images=16)._part(_stimuli()).images
    for i in range(16):
        assert (part.read(i, 4) == 50 * CLASSES.index(part.category[i])).all()
    assert _session(n_images=99)._part(_stimuli()).images == _stimuli().images


def test_target_is_measured_on_all_and_the_rest_on_the_choice():
    session = _session(n_images=16)
    session.probe(
        ("target", "puzzle"), [_model(), _model("k", wrong="dog")], _stimuli()
    )
    rows = session.findings.rows
    overall = {
        r["model"]: r
        for r in rows
        if r["suite"] == "target" and "category" not in r and "accuracy" in r
    }
    assert overall["m"]["accuracy"] == 1
    assert overall["k"]["accuracy"] == pytest.approx(24 / 32)
    (gap,) = [r for r in rows if r["suite"] == "target" and "difference" in r]
    assert gap["difference"] == pytest.approx(8 / 32)
    whole = [r for r in rows if r["suite"] == "puzzle" and r.get("level") == 1]
    assert [r["n"] for r in whole] == [16, 16]
    assert any("seeded choice of 16" in note for note in session.findings.notes)


def test_versions_that_are_kept_to_be_looked_at_are_of_one_image():
    session = _session(n_images=3)
    session.probe(("target", "puzzle"), [_model(size_px=16)], _stimuli((1, 1, 30)))
    kept = session.findings.samples["mine"]
    assert {"plain", "puzzle/2"} <= set(kept)
    first = [int(images[0].mean()) for images in kept.values()]
    assert len(set(first)) == 1
    assert len(kept["plain"]) == 3


def test_files_of_predictions_are_compared_with_models():
    stimuli, session = _stimuli(), _session()
    (wrong,) = session.decide([_model("file", wrong="emu")], stimuli)
    for n_images in (0, 16):  # in a pass with the rest, and in one of its own
        session = _session(n_images)
        session.probe(("target", "puzzle"), [_model()], stimuli, [wrong])
        (gap,) = [r for r in session.findings.rows if r.get("versus") == "file"]
        assert gap["suite"] == "target"
        assert gap["difference"] == pytest.approx(4 / 32)


def test_one_pass_serves_target_and_the_rest_where_all_are_chosen():
    session = _session()
    session.probe(("target", "puzzle"), [_model()], _stimuli())
    assert len(session.findings.speed) == 1
    assert session.findings.samples["mine"]["plain"].shape == (4, 8, 8, 3)


def test_models_of_several_sizes_and_label_orders_are_scored_alike():
    session = _session()
    backwards = CLASSES[::-1]
    models = [_model("a", wrong="emu"), _model("b", 16, "emu", backwards)]
    first, second = session.decide(models, _stimuli())
    assert (first.response == second.response).all()
    assert len(session.findings.speed) == 2
    session.probe(("puzzle",), models, _stimuli())
    accuracies = {r["accuracy"] for r in session.findings.rows if r.get("level") == 1}
    assert accuracies == {28 / 32}


def test_scores_that_are_no_numbers_name_model_and_image():
    def predict(images, orders=None):
        return {"classification": np.full((len(images), 3), np.nan, np.float32)}

    model = Model("bad", CLASSES, 8, 5, predict)
    with pytest.raises(NonFiniteError, match=r"bad answers cat/0\.png with scores"):
        _session().decide([model], _stimuli())
