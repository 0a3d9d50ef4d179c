"""Suites run over a model that reads one pixel."""

import dataclasses

import numpy as np
import pytest
from small_stimuli import evaluate, make_stimuli

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.suites.evaluator import NonFiniteError
from jigsaw_shape.suites.labelled_images import choice
from jigsaw_shape.suites.page_parts import make_report

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

    return Classifier(name, classes, size_px, 5, predict)


def test_a_choice_of_images_holds_each_class_by_its_share():
    part = choice(_stimuli(), 16, 0)
    n = [int((part.category == name).sum()) for name in CLASSES]
    assert sum(n) == 16
    assert np.abs(np.array(n) - np.array(COUNTS) / 2).max() <= 1
    assert len(set(part.images)) == 16
    assert part.images == choice(_stimuli(), 16, 0).images
    for i in range(16):
        assert (part.read(i, 4) == 50 * CLASSES.index(part.category[i])).all()
    assert choice(_stimuli(), 99, 0).images == _stimuli().images


def test_target_is_measured_on_all_and_the_rest_on_the_choice():
    models = [_model(), _model("k", wrong="dog")]
    results = evaluate(("target", "puzzle"), models, _stimuli(), n_images=16)
    rows = results.rows
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
    assert any("seeded choice of 16" in note for note in results.notes)


def test_versions_that_are_kept_to_be_looked_at_are_of_one_image():
    stimuli, models = _stimuli((1, 1, 30)), [_model(size_px=16)]
    results = evaluate(("target", "puzzle"), models, stimuli, n_images=3)
    kept = results.samples["mine"]
    assert {"plain", "puzzle/2"} <= set(kept)
    first = [int(images[0].mean()) for images in kept.values()]
    assert len(set(first)) == 1
    assert len(kept["plain"]) == 3


def test_files_of_predictions_are_compared_with_models():
    stimuli = _stimuli()
    (wrong,) = evaluate(("target",), [_model("file", wrong="emu")], stimuli).decisions
    for n_images in (0, 16):  # in a pass with the rest, and in one of its own
        results = evaluate(
            ("target", "puzzle"),
            [_model()],
            stimuli,
            n_images=n_images,
            predicted=(wrong,),
        )
        (gap,) = [r for r in results.rows if r.get("versus") == "file"]
        assert gap["suite"] == "target"
        assert gap["difference"] == pytest.approx(4 / 32)


def test_one_pass_serves_target_and_the_rest_where_all_are_chosen():
    results = evaluate(("target", "puzzle"), [_model()], _stimuli())
    assert len(results.speed) == 1
    assert results.samples["mine"]["plain"].shape == (4, 8, 8, 3)


def test_models_of_several_sizes_and_label_orders_are_scored_alike():
    backwards = CLASSES[::-1]
    models = [_model("a", wrong="emu"), _model("b", 16, "emu", backwards)]
    results = evaluate(("target", "puzzle"), models, _stimuli())
    first, second = results.decisions
    assert (first.response == second.response).all()
    assert len(results.speed) == 2
    accuracies = {r["accuracy"] for r in results.rows if r.get("level") == 1}
    assert accuracies == {28 / 32}


def test_scores_that_are_no_numbers_name_model_and_image():
    def predict(images, orders=None):
        return {"classification": np.full((len(images), 3), np.nan, np.float32)}

    model = Classifier("bad", CLASSES, 8, 5, predict)
    with pytest.raises(NonFiniteError, match=r"bad answers cat/0\.png with scores"):
        evaluate(("target",), [model], _stimuli())


def test_accuracy_on_the_shared_classes_stands_beside():
    model = _model(classes=("cat", "dog"))
    model = dataclasses.replace(model, predict=_cats)
    results = evaluate(("target", "puzzle"), [model], _stimuli())
    (row,) = [r for r in results.rows if "shared_accuracy" in r]
    assert row["accuracy"] == pytest.approx(20 / 32)
    assert row["shared_accuracy"] == pytest.approx(20 / 28)
    assert row["shared_n"] == 28
    (emus,) = [r for r in results.rows if r.get("category") == "emu"]
    assert emus["accuracy"] == 0
    (table, *_) = make_report(results, ["m"]).tables
    assert "on shared classes" in table.header
    assert table.body[0][-1].text == "71.4 of 28"


def _cats(images, orders=None):
    return {"classification": np.float32([[1, 0]] * len(images))}


def test_transparent_images_are_shown_as_each_run_was_trained():
    def read(i, px, background):
        return np.full((px, px, 3), 0 if background == "white" else 50, np.uint8)

    stimuli = dataclasses.replace(_stimuli((3, 1, 0)), read=read)
    models = [_model("published")]
    for name, background in (("old", "stored"), ("new", "white")):
        models.append(dataclasses.replace(_model(name), background=background))
    results = evaluate(("puzzle",), models, stimuli)
    found = {r["model"]: r["accuracy"] for r in results.rows if r.get("level") == 1}
    assert found == {"published": 0.75, "old": 0.25, "new": 0.75}
    assert len(results.speed) == 2
