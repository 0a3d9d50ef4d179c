"""Files of predictions: every form gives the same decisions; every fault is named."""

import pathlib

import numpy as np
import pytest

from jigsaw_shape.classifiers.of_answers import read_predictions
from jigsaw_shape.data.decisions import Decisions, write_csv
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import imagenet16

NAMES = ("cat1-dog2.png", "dog1-cat1.png", "dog2-cat2.png")
ANSWERS = ["dog", "dog", "cat"]


def _stimuli(**changes):
    fields = {
        "name": "conflicts",
        "experiment": "cue_conflict",
        "images": NAMES,
        "paths": tuple(pathlib.Path("d", n[:3], n) for n in NAMES),
        "category": np.array(["cat", "dog", "dog"]),
        "texture": np.array(["dog", "cat", "cat"]),
        "read": lambda i, px: np.zeros((px, px, 3), np.uint8),
        "side_px": 8,
        "made_by": "",
        "digest": "0",
    }
    return Stimuli(**{**fields, **changes})


def _scores(answers=ANSWERS, classes=("cat", "dog")):
    return np.array([[float(a == c) for c in classes] for a in answers])


def _csv(tmp_path, text):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    return path


def _npz(tmp_path, **arrays):
    path = tmp_path / "answers.npz"
    np.savez(path, **arrays)
    return path


def _read(path):
    return read_predictions(path, _stimuli(), name="mine")


def test_a_class_that_no_image_shows_is_a_wrong_answer(tmp_path):
    path = _csv(
        tmp_path,
        "image,cat,dog,horse\n" + "".join(f"{name},0,0.4,0.6\n" for name in NAMES),
    )
    assert _read(path).response.tolist() == ["horse"] * 3


def test_percentages_are_probabilities(tmp_path):
    # The mean over a category's classes decides, which a softmax would not leave.
    dogs, cats = (list(imagenet16.INDICES[name]) for name in ("dog", "cat"))
    shares = np.full((3, 1000), 0.01)
    shares[:, cats] = 8 / len(cats)
    shares[:, dogs[0]] = 0.9 * 8 / len(cats) * len(dogs)
    for factor in (1.0, 0.01):
        path = _npz(tmp_path, images=NAMES, probabilities=factor * shares)
        assert _read(path).response.tolist() == ["cat"] * 3
    with pytest.raises(ValueError, match=r"cat1-dog2\.png are negative or all 0"):
        _read(_npz(tmp_path, images=NAMES, probabilities=0 * shares))


def test_names_after_a_prefix_may_hold_underscores(tmp_path):
    names = tuple(f"pic_{n}.png" for n in range(3))
    stimuli = _stimuli(images=names, paths=tuple(pathlib.Path("d", n) for n in names))
    decided = Decisions(
        "m", "model", "cue_conflict", names, stimuli.category, np.array(ANSWERS)
    )
    write_csv(decided, tmp_path / "answers.csv")
    found = read_predictions(tmp_path / "answers.csv", stimuli, name="mine")
    assert found.response.tolist() == ANSWERS


def _all_forms(tmp_path):
    backwards = list(reversed(list(zip(NAMES, ANSWERS, strict=True))))
    lines = "".join(f"{name},{answer}\n" for name, answer in backwards)
    yield _csv(tmp_path, "image,decision\n" + lines)
    lines = "".join(
        f"d/{n[:3]}/{n},{int(a == 'cat')},{int(a == 'dog')}\n" for n, a in backwards
    )
    yield _csv(tmp_path, "image,cat,dog\n" + lines)
    lines = "".join(
        f"m,1,{t},NaN,{a},{n[:3]},0,000{t}_s5n_dnn_0_{n[:3]}_00_{n}\n"
        for t, (n, a) in enumerate(backwards)
    )
    header = "subj,Session,trial,rt,object_response,category,condition,imagename\n"
    yield _csv(tmp_path, header + lines)
    yield _npz(tmp_path, images=NAMES, decisions=ANSWERS)
    yield _npz(tmp_path, images=NAMES, logits=_scores(), classes=["cat", "dog"])
    both = _scores(classes=imagenet16.CATEGORIES)
    yield _npz(tmp_path, images=NAMES, probabilities=both)
    thousand = np.zeros((3, 1000))
    for row, answer in enumerate(ANSWERS):
        thousand[row, list(imagenet16.INDICES[answer])] = 20
    yield _npz(tmp_path, images=NAMES, logits=thousand)


def test_every_form_of_file_gives_the_decisions_in_the_folders_order(tmp_path):
    n_forms = 0
    for path in _all_forms(tmp_path):
        decided = _read(path)
        assert decided.response.tolist() == ANSWERS
        assert decided.images == NAMES
        assert decided.correct.tolist() == [False, True, False]
        n_forms += 1
    assert n_forms == 7


def test_a_thousand_names_are_names(tmp_path):
    names = [f"thing {n}" for n in range(998)]
    scores = np.concatenate([np.zeros((3, 998)), _scores()], 1)
    path = _npz(tmp_path, images=NAMES, logits=scores, classes=[*names, "cat", "dog"])
    assert _read(path).response.tolist() == ANSWERS


def test_other_categories_and_no_answer_are_wrong_answers(tmp_path):
    path = _npz(tmp_path, images=NAMES, decisions=["na", "oven", "dog"])
    assert _read(path).correct.tolist() == [False, False, True]


def _faults(tmp_path):
    header = "image,decision\n"
    good = "".join(f"{n},{a}\n" for n, a in zip(NAMES, ANSWERS, strict=True))
    short = good.splitlines()[0] + "\n"
    nan = _scores()
    nan[1, 0] = np.nan
    return {
        "columns": (
            lambda: _csv(tmp_path, "picture,answer\nx,y\n"),
            r"has the columns picture,answer: expected",
        ),
        "header": (lambda: _csv(tmp_path, ""), "expected"),
        "unknown": (
            lambda: _csv(tmp_path, header + good + "emu1-cat1.png,cat\n"),
            r"'emu1-cat1\.png' is not in conflicts",
        ),
        "twice": (lambda: _csv(tmp_path, header + good + short), "is duplicate"),
        "missing": (
            lambda: _csv(tmp_path, header + short),
            r"no answer for 2 of the 3 images in conflicts, such as dog1-cat1",
        ),
        "decision": (
            lambda: _csv(tmp_path, header + good.replace(",cat", ",emu")),
            r"decision on dog2-cat2\.png is 'emu'",
        ),
        "fields": (lambda: _csv(tmp_path, header + good + "x\n"), "line 5: 1 fields"),
        "number": (
            lambda: _csv(tmp_path, f"image,cat,dog\n{NAMES[0]},1,x\n"),
            "score of cat1-dog2.png for dog is 'x'",
        ),
        "nan": (
            lambda: _npz(tmp_path, images=NAMES, logits=nan, classes=["cat", "dog"]),
            r"1 image with scores that are not finite.*dog1-cat1",
        ),
        "arrays": (lambda: _npz(tmp_path, names=NAMES), "holds names: expected images"),
        "length": (
            lambda: _npz(tmp_path, images=NAMES[:2], decisions=ANSWERS),
            "2 images but 3 decisions",
        ),
        "rank": (
            lambda: _npz(tmp_path, images=NAMES, logits=[1.0, 2, 3]),
            r"logits is float64 \[3\]",
        ),
        "classes": (
            lambda: _npz(tmp_path, images=NAMES, logits=np.ones((3, 5))),
            "5 scores an image and 0 classes",
        ),
        "category": (
            lambda: _npz(
                tmp_path, images=NAMES, logits=np.ones((3, 2)), classes=["cat", "emu"]
            ),
            "no scores for dog",
        ),
        "suffix": (lambda: tmp_path / "absent.txt", "no such file"),
        "damaged": (lambda: _damaged(tmp_path), "no readable npz"),
    }


def _damaged(tmp_path):
    path = tmp_path / "answers.npz"
    path.write_bytes(b"PK nothing")
    return path


@pytest.mark.parametrize("fault", list(_faults(pathlib.Path("."))))
def test_a_fault_is_named_with_the_file(tmp_path, fault):
    make, message = _faults(tmp_path)[fault]
    path = make()
    with pytest.raises(ValueError, match=message) as caught:
        _read(path)
    assert str(path) in str(caught.value)


def test_names_that_several_folders_share_need_their_folder(tmp_path):
    stimuli = _stimuli(
        experiment="images",
        images=("cat/a.png", "dog/a.png", "dog/b.png"),
        paths=tuple(map(pathlib.Path, ("r/cat/a.png", "r/dog/a.png", "r/dog/b.png"))),
        texture=None,
    )
    images = ["x/y/dog/a.png", "cat/a.png", "b.png"]
    path = _npz(tmp_path, images=images, decisions=["dog", "cat", "dog"])
    decided = read_predictions(path, stimuli, name="mine")
    assert decided.response.tolist() == ["cat", "dog", "dog"]
    path = _npz(tmp_path, images=["a.png", *images[1:]], decisions=["dog"] * 3)
    with pytest.raises(ValueError, match=r"'a\.png' is not in"):
        read_predictions(path, stimuli, name="mine")
