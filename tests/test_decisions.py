"""Decision files: read, told apart, restricted, written; the published shape biases."""

import csv
import pathlib

import numpy as np
import pytest

from jigsaw_shape.data import decisions as decisions_lib
from jigsaw_shape.data.stimuli import cues_of
from jigsaw_shape.measures.shape_bias import shape_bias_rows

HEADER = ",".join(decisions_lib.COLUMNS)


@pytest.fixture(scope="module")
def observers(shared_data):
    return decisions_lib.read_observers(shared_data("human-decisions"))


def _bias(asked):
    images = asked[0].images
    shape, texture = (
        np.array(names) for names in zip(*map(_cues, images), strict=True)
    )
    answers = np.stack([o.on(images).response for o in asked])
    return next(shape_bias_rows(answers, shape, texture))


def _cues(image):
    return cues_of(pathlib.PurePath(image))


def test_humans_follow_the_shape(observers):
    row = _bias(decisions_lib.humans(observers, "cue_conflict"))
    assert round(100 * row["shape_bias"], 2) == 95.87
    assert row["n"] == 12_000  # ten humans, 1,200 images with a conflict
    assert row["low"] < row["shape_bias"] < row["high"]


@pytest.mark.parametrize(
    ("observer", "percent"),
    [("alexnet", 42.94), ("googlenet", 31.19), ("vgg", 17.22), ("resnet50", 22.07)],
)
def test_published_networks_follow_the_texture(observers, observer, percent):
    asked = [
        o for o in observers if (o.observer, o.experiment) == (observer, "cue_conflict")
    ]
    assert len(asked) == 1
    assert round(100 * _bias(asked)["shape_bias"], 2) == percent


@pytest.mark.parametrize(
    ("experiment", "humans", "networks"),
    [
        ("edges", 87.1, {"alexnet": 40.0, "googlenet": 28.1, "vgg": 24.4}),
        ("silhouettes", 75.3, {"alexnet": 44.4, "googlenet": 48.8, "vgg": 48.1}),
    ],
)
def test_published_accuracies(observers, experiment, humans, networks):
    asked = decisions_lib.humans(observers, experiment)
    assert len(asked) == 10
    pooled = 100 * np.mean([human.correct for human in asked])
    assert pooled == pytest.approx(humans, abs=0.051)
    for other in observers:
        if (other.kind, other.experiment) == ("network", experiment):
            percent = 100 * other.correct.mean()
            assert percent == pytest.approx(networks[other.observer], abs=0.051)


def test_one_name_in_two_folders_is_two_observers(observers):
    named = [
        o.observer
        for o in observers
        if o.experiment == "cue_conflict" and o.observer.startswith("alexnet")
    ]
    assert "alexnet" in named
    assert "alexnet (trained-CNNs)" in named
    assert len(named) == len(set(named)) == 3  # the third is Stylized-ImageNet's


def test_no_answer_is_wrong_and_not_missing(observers):
    human = decisions_lib.humans(observers, "cue_conflict")[0]
    silent = human.response == decisions_lib.NO_ANSWER
    assert silent.sum() == 27
    assert len(human.correct) == 1280
    assert not human.correct[silent].any()


def _decisions(**changes):
    fields = {
        "observer": "mine",
        "kind": "model",
        "experiment": "cue_conflict",
        "images": ("cat1-dog2.png", "dog1-cat1.png", "dog2-dog1.png"),
        "category": np.array(["cat", "dog", "dog"]),
        "response": np.array(["dog", "dog", "cat"]),
    }
    return decisions_lib.Decisions(**{**fields, **changes})


def test_what_is_written_is_read_again(tmp_path):
    folder = tmp_path / "cue-conflict"
    decisions_lib.write_csv(_decisions(), folder / "mine.csv")
    with (folder / "mine.csv").open() as file:
        trials = list(csv.DictReader(file))
    assert list(trials[0]) == list(decisions_lib.COLUMNS)
    assert trials[0]["imagename"] == "0001_s5n_dnn_0_cat_00_cat1-dog2.png"
    (again,) = decisions_lib.read_observers(tmp_path)
    assert again.images == _decisions().images
    assert (again.response == _decisions().response).all()
    assert again.kind == "network"


def test_names_with_folders_are_read_as_they_were_written(tmp_path):
    images = ("cat/056_0002.png", "dog/056_0002.png", "dog/0002.png")
    written = _decisions(experiment="edges", images=images)
    decisions_lib.write_csv(written, tmp_path / "edges" / "mine.csv")
    (again,) = decisions_lib.read_observers(tmp_path)
    assert again.images == images


def test_decisions_on_some_images_keep_their_order():
    part = _decisions().on(["dog2-dog1.png", "cat1-dog2.png"])
    assert part.response.tolist() == ["cat", "dog"]
    assert part.correct.tolist() == [False, False]
    with pytest.raises(ValueError, match=r"no decision on 1 of the images.*cat9"):
        _decisions().on(["cat9-dog1.png"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("subj,session\na,1\n", "has no column trial"),
        (f"{HEADER}\na,1,1\n", "line 2: fewer than 8 fields"),
        (
            f"{HEADER}\na,1,1,NaN,cat,cat,0,1_x_cat1.png\n"
            "a,1,2,NaN,cat,cat,0,2_x_cat1.png\n",
            "two decisions on cat1.png",
        ),
    ],
)
def test_damaged_files_are_named(tmp_path, text, fault):
    path = tmp_path / "edges" / "a.csv"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=fault) as caught:
        decisions_lib.read_observers(tmp_path)
    assert "edges" in str(caught.value)


def test_folders_without_decisions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no decisions"):
        decisions_lib.read_observers(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        decisions_lib.read_observers(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "experiment"),
    [
        ("style-transfer-512-nomask-experiment-trained-CNNs", "cue_conflict"),
        ("cue-conflict-320", "cue_conflict"),
        ("filled-silhouettes", "silhouettes"),
        ("grayscale-experiment", "greyscale"),
        ("edge-experiment", "edges"),
        ("textures", "texture"),
        ("my holiday", None),
        ("hedgehog", None),
        ("knowledge", None),
    ],
)
def test_a_folder_says_which_experiment(name, experiment):
    assert decisions_lib.experiment_of(name) == experiment
