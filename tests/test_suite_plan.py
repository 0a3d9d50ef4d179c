"""Which suite runs on which images, planned without a model that runs."""

import dataclasses
import pathlib

import numpy as np
import pytest

from jigsaw_shape import config as config_lib
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import HeldOut, Stimuli
from jigsaw_shape.suites import (
    SUITES,
    classes,
    configural,
    experiments,
    labelled_images,
    plan,
    probe,
    retrieval,
    shape_bias,
)
from jigsaw_shape.suites.opened import Opened

PROBED = ("experiments", "reliance", "distortions", "corruptions", "puzzle")


def _stimuli(name, experiment):
    conflict = experiment == "cue_conflict"
    return Stimuli(
        name=name,
        experiment=experiment,
        images=("a.png", "b.png"),
        paths=(pathlib.Path("cat/a.png"), pathlib.Path("dog/b.png")),
        category=np.array(["cat", "dog"]),
        texture=np.array(["dog", "cat"]) if conflict else None,
        read=lambda i, px: np.zeros((px, px, 3), np.uint8),
        side_px=8,
        made_by="",
        digest=name,
    )


CONFLICT = _stimuli("conflict", "cue_conflict")
EDGES = _stimuli("edges", "edges")
ORIGINAL = _stimuli("original", "original")
IMAGES = _stimuli("mine", "images")
OWN = _stimuli("own target", "images")
DOMAINS = dataclasses.replace(
    _stimuli("many", "domains"),
    images=("photo/ox/a.png", "sketch/ox/b.png", "sketch/yak/c.png"),
    paths=tuple(map(pathlib.Path, "abc")),
    category=np.array(["ox", "ox", "yak"]),
    domain=np.array(["photo", "sketch", "sketch"]),
)
OWN_DOMAINS = dataclasses.replace(DOMAINS, name="own", made_by="None that trained")
MODEL = Classifier("m", ("cat", "dog"), 8, 4, None)
RUN = Classifier("run", ("cat", "dog"), 8, 4, None, has_features=True, config={})
LITE = Classifier("lite", ("cat", "dog"), 8, 4, None, has_features=True)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch):
    """A run's own images, and scikit-image whether installed or not."""
    monkeypatch.setattr(labelled_images, "own_target", lambda config: OWN)
    monkeypatch.setattr(shape_bias, "own_conflict", lambda config: None)
    monkeypatch.setattr(retrieval, "own_images", lambda config: OWN_DOMAINS)
    monkeypatch.setattr(probe, "own_images", lambda config: None)
    monkeypatch.setattr(configural, "own_anagrams", lambda config: None)
    monkeypatch.setattr(experiments, "skimage", lambda: None)


def _plan(
    *data,
    models=(MODEL,),
    suites=tuple(SUITES),
    explicit=False,
    predicted=(),
    features=None,
):
    opened = Opened(models, data, predicted, features or {})
    jobs, notes = plan.plan(opened, suites, explicit=explicit)
    return [(j.stimuli.name, j.suites, [m.name for m in j.models]) for j in jobs], notes


def test_labelled_images_serve_every_suite_that_is_made_of_them():
    jobs, notes = _plan(IMAGES, models=(MODEL, RUN))
    assert jobs == [
        ("mine", PROBED, ["m", "run"]),
        ("mine", ("target",), ["m", "run"]),
        ("mine: anagrams", ("configural",), ["m", "run"]),
        ("own", ("retrieval",), ["run"]),
    ]
    assert [note for note in notes if "shape_bias has no images" in note]


def test_published_sets_are_scored_as_they_are_and_not_made_again():
    jobs, _ = _plan(CONFLICT, EDGES, ORIGINAL)
    assert jobs == [
        ("original", ("reliance", "distortions", "corruptions", "puzzle"), ["m"]),
        ("conflict", ("shape_bias",), ["m"]),
        ("edges", ("experiments",), ["m"]),
        ("original", ("experiments", "target"), ["m"]),
        ("original: anagrams", ("configural",), ["m"]),
    ]


def test_a_run_without_labelled_images_takes_its_own():
    jobs, _ = _plan(CONFLICT, models=(RUN,))
    assert jobs == [
        ("own target", PROBED, ["run"]),
        ("conflict", ("shape_bias",), ["run"]),
        ("own target", ("target",), ["run"]),
        ("own target: anagrams", ("configural",), ["run"]),
        ("own", ("retrieval",), ["run"]),
    ]
    jobs, _ = _plan(models=(RUN,), suites=("target",), explicit=True)
    assert jobs == [("own target", ("target",), ["run"])]


def test_any_published_set_will_do_where_no_experiment_is_asked_for():
    jobs, _ = _plan(EDGES, suites=("target", "puzzle"), explicit=True)
    assert jobs == [("edges", ("puzzle",), ["m"]), ("edges", ("target",), ["m"])]


def test_a_suite_by_name_needs_images():
    for suite in SUITES:
        with pytest.raises(ValueError, match=f"{suite} has no images: give --data"):
            _plan(models=(LITE,), suites=(suite,), explicit=True)
    _, notes = _plan(EDGES)
    assert len(notes) == len(SUITES) - 1  # all but experiments


def test_a_file_of_predictions_cannot_be_asked_again():
    predicted = (object(),)
    jobs, _ = _plan(IMAGES, models=(), predicted=predicted, suites=("target",))
    assert jobs == [("mine", ("target",), [])]
    with pytest.raises(ValueError, match="predictions cannot be asked"):
        _plan(IMAGES, models=(), predicted=predicted, suites=("puzzle",), explicit=True)
    for data, suite, message in (
        (
            IMAGES,
            "experiments",
            "experiments' own images.*: give --data .* such as edges",
        ),
        (CONFLICT, "target", "target has no images: give --data .* CATEGORY/IMAGE"),
    ):
        with pytest.raises(ValueError, match=message):
            _plan(data, models=(), predicted=predicted, suites=(suite,), explicit=True)


def test_a_set_made_of_training_images_is_noted():
    made_of = HeldOut("digest", "jigen", 0)
    made = dataclasses.replace(CONFLICT, held_out=made_of)
    config = config_lib.default_config()

    def notes(images, **split):
        config.data.update(split)
        model = dataclasses.replace(RUN, about={"images": images}, config=config)
        opened = Opened((model,), (made,))
        return plan.plan(opened, ("shape_bias",), explicit=True)[1]

    assert notes("digest", split="jigen", split_seed=0) == []
    assert notes("of other images", split_seed=1) == []
    (note,) = notes("digest", split_seed=1)
    assert "run, trained with another split, may have seen some" in note
    assert len(notes("digest", split="domainbed", split_seed=0)) == 1
    (note,) = notes("digest", split="none", split_seed=0)
    assert "that run may have been trained on: split none holds none" in note


def test_without_scikit_image_all_goes_on_and_experiments_do_not(monkeypatch):
    def absent():
        raise ValueError("--suite experiments needs scikit-image")

    monkeypatch.setattr(experiments, "skimage", absent)
    jobs, notes = _plan(IMAGES)
    assert [suites for _, suites, _ in jobs] == [
        ("reliance", "distortions", "corruptions", "puzzle"),
        ("target",),
        ("configural",),
    ]
    assert any("scikit-image" in note for note in notes)
    assert not any("experiments has no images" in note for note in notes)
    with pytest.raises(ValueError, match="scikit-image"):
        _plan(IMAGES, suites=("experiments",), explicit=True)


def test_domains_are_searched_and_nothing_else_is_made_of_them():
    jobs, notes = _plan(DOMAINS, models=(LITE,))  # whose classes are others
    assert jobs == [("many", ("retrieval", "probe"), ["lite"])]
    assert sum("has no images" in note for note in notes) == len(SUITES) - 2
    jobs, _ = _plan(DOMAINS, models=(RUN,), suites=("retrieval",), explicit=True)
    assert jobs == [("many", ("retrieval",), ["run"])]


def test_a_runs_own_domains_are_shown_to_models_without_any():
    jobs, notes = _plan(models=(LITE, RUN), suites=("retrieval",), explicit=True)
    assert jobs == [("own", ("retrieval",), ["run", "lite"])]
    assert notes == ["own: None that trained"]


def test_what_has_no_features_is_refused_by_name_and_left_out_of_all():
    with pytest.raises(ValueError, match="m gives no features to compare: an ONNX"):
        _plan(DOMAINS, models=(MODEL, LITE), suites=("retrieval",), explicit=True)
    jobs, notes = _plan(DOMAINS, models=(MODEL, LITE))
    assert jobs == [("many", ("retrieval", "probe"), ["lite"])]
    assert any("retrieval: m gives no features" in n for n in notes)
    jobs, notes = _plan(DOMAINS)
    assert jobs == []
    assert not any("retrieval has no images" in note for note in notes)


def test_predictions_are_searched_by_their_features():
    one = Decisions("mine", "model", "domains", DOMAINS.images, DOMAINS.category, None)
    given = {"models": (), "predicted": (one,), "suites": ("retrieval",)}
    with pytest.raises(ValueError, match="predictions mine hold no features"):
        _plan(DOMAINS, **given, explicit=True)
    jobs, _ = _plan(
        DOMAINS, **given, explicit=True, features={"mine": np.zeros((3, 2))}
    )
    assert jobs == [("many", ("retrieval",), [])]


def test_domains_in_which_nothing_can_be_found_are_refused():
    alike = dataclasses.replace(DOMAINS, category=np.array(["ox"] * 3))
    with pytest.raises(ValueError, match="many shows one class, ox"):
        _plan(alike, models=(LITE,), suites=("retrieval",), explicit=True)
    _, notes = _plan(alike, models=(LITE,))
    assert any("many shows one class" in note for note in notes)


def test_own_sets_of_one_name_and_other_images_are_numbered(monkeypatch):
    other = dataclasses.replace(OWN_DOMAINS, images=("x", "y", "z"))
    monkeypatch.setattr(retrieval, "own_images", lambda config: config)
    models = (
        dataclasses.replace(RUN, config=OWN_DOMAINS),
        dataclasses.replace(LITE, config=other),
    )
    opened = Opened(models)
    found = retrieval.find(opened, ("retrieval",))
    assert [one.stimuli.name for one in found.jobs] == ["own", "own (2)"]


def _pairs(model_classes, stimuli, suites, mapping=None):
    model = Classifier("odd", model_classes, 8, 4, None)
    opened = Opened((model,), (stimuli,), mapping=mapping or {})
    return plan.plan(opened, suites, explicit=True)


def test_class_folders_are_matched_by_plain_names():
    odd = dataclasses.replace(IMAGES, category=np.array(["Alarm_Clock", "back pack"]))
    ((job,), notes) = _pairs(("alarm clock", "Back-Pack"), odd, ("target",))
    assert job.matches["odd"].names == ("Alarm_Clock", "back pack")
    assert notes == []


def test_classes_that_only_one_side_has_are_counted_and_three_are_named():
    classes = ("cat", "a", "b", "c", "d")
    (_, notes) = _pairs(classes, IMAGES, ("target",))
    assert len(notes) == 2
    assert "odd has no class for dog of mine, so it is wrong on 1 of its" in notes[0]
    assert "4 classes, such as a, b, c" in notes[1]
    with pytest.raises(ValueError, match="mine shows cat, dog, and odd knows none"):
        _pairs(("x", "y"), IMAGES, ("target",))
    alone = dataclasses.replace(IMAGES, category=np.array(["cat", "cat"]))
    (_, notes) = _pairs(("cat", "dog"), alone, ("target",))
    assert any("mine shows one class, cat" in note for note in notes)


FOUR = dataclasses.replace(
    CONFLICT,
    images=("a", "b", "c", "d"),
    paths=tuple(map(pathlib.Path, "abcd")),
    category=np.array(["cat", "dog", "cat", "oven"]),
    texture=np.array(["dog", "cat", "oven", "dog"]),
)


def test_shape_bias_is_of_the_shared_classes_where_there_are_two():
    ((job,), notes) = _pairs(("cat", "dog", "yak"), FOUR, ("shape_bias",))
    assert job.stimuli.images == ("a", "b")
    assert job.stimuli.name == "conflict, 2 shared classes"
    assert "the 2 classes that all models share: cat, dog" in job.stimuli.made_by
    assert any("odd cannot answer the others; --mapping FILE" in n for n in notes)
    with pytest.raises(ValueError, match=r"odd can answer cat; two are .*--mapping"):
        _pairs(("cat", "yak"), FOUR, ("shape_bias",))


def test_a_mapping_makes_classes_answer_categories():
    mapping = {"tabby": "cat", "poodle": "dog", "pug": "dog"}
    classes = ("poodle", "Tabby", "yak", "pug", "oven")
    ((job,), notes) = _pairs(classes, FOUR, ("shape_bias",), mapping)
    assert job.stimuli is FOUR
    match = job.matches["odd"]
    probabilities = np.array([[0.3, 0.25, 0.4, 0.01, 0.04], [0.5, 0.2, 0, 0.25, 0.05]])
    # The mean of dog's two classes is below cat's one; yak is never answered.
    assert match.responses(probabilities).tolist() == ["cat", "dog"]
    assert not any("shared" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tabby,cat\npug\n", "line 2: 'pug' is not CLASS,CATEGORY"),
        ("tabby,cat\nTabby,dog\n", "line 2: Tabby has two lines"),
        ("class,category\n", "is empty: expected lines CLASS,CATEGORY"),
    ],
)
def test_a_mapping_says_what_is_wrong_with_it(tmp_path, text, message):
    path = tmp_path / "mapping.csv"
    path.write_text("class,category\nTabby Cat, cat\n\n")
    assert classes.read_mapping(path) == {"tabby_cat": "cat"}
    path.write_text(text)
    with pytest.raises(ValueError, match=f"--mapping .*{message}"):
        classes.read_mapping(path)
