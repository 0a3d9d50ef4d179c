"""Triplets against a plain statement; networks of one cue get the extreme values."""

import itertools

import numpy as np
import pytest
from small_stimuli import evaluate, make_stimuli

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.measures import triplets
from jigsaw_shape.reports import look
from jigsaw_shape.suites import triplets as suite

CLASSES = ("cat", "dog", "oven")
CUES = [  # cat2-dog1 is made of the second cat and the first dog
    (f"{s}{i}", f"{t}{j}")
    for s, t in itertools.product(CLASSES, CLASSES)
    for i, j in ((1, 1), (2, 1), (1, 2))
]


def _classes(side):
    return np.array([cue[side].rstrip("12") for cue in CUES])


def _stimuli(names=None):
    def read(i, px):
        pixels = np.zeros((px, px, 3), np.uint8)
        pixels[..., 0] = 100 * CLASSES.index(_classes(0)[i])
        pixels[..., 1] = 100 * CLASSES.index(_classes(1)[i])
        return pixels

    names = names or [f"{s}-{t}.png" for s, t in CUES]
    fields = {"experiment": "cue_conflict", "texture": _classes(1)}
    return make_stimuli(names, _classes(0), read, **fields)


def _model(name, channels):
    """A network whose features are angles of the mean colours of some channels."""

    def predict(images, orders=None):
        angle = np.asarray(images, np.float32).mean((1, 2))[:, channels].sum(1)
        return {"features": np.stack([np.cos(angle), np.sin(angle)], 1)}

    return Classifier(name, (), 8, 16, predict, has_features=True)


def test_triplets_are_all_pairs_of_matches_by_source():
    shape, texture = _classes(0), _classes(1)
    sources = np.array(CUES).T
    found = {t.anchor: t for t in triplets.find(shape, texture, *sources)}
    n = len(CUES)
    for a in range(n):
        if shape[a] == texture[a]:
            assert a not in found
            continue
        others = [b for b in range(n) if shape[b] != texture[b]]
        same_shape = [
            b for b in others if CUES[b][0] == CUES[a][0] and texture[b] != texture[a]
        ]
        same_texture = [
            b for b in others if CUES[b][1] == CUES[a][1] and shape[b] != shape[a]
        ]
        assert found[a].shapes.tolist() == same_shape
        assert found[a].textures.tolist() == same_texture


def test_the_nearer_match_decides_and_ties_count_half():
    features = np.array([[1, 0], [2, 0.2], [1, 1], [0, 3], [5, 5]], np.float32)
    found = [triplets.Triplets(0, np.array([1, 2]), np.array([3, 4]))]
    for_shape, of_all = triplets.decided_for_shape(features, found)

    def cosine(i):
        return features[0] @ features[i] / np.linalg.norm(features[i])

    plain = sum(
        1.0 if cosine(s) > cosine(t) else 0.5 if cosine(s) == cosine(t) else 0.0
        for s in (1, 2)
        for t in (3, 4)
    )
    assert (for_shape[0], of_all[0]) == (pytest.approx(plain), 4)
    assert plain == 3.5  # the second shape is as near as the second texture


@pytest.mark.parametrize("by_class", [False, True])
def test_networks_of_one_cue_get_all_or_nothing(by_class):
    names = [f"image {n}.png" for n in range(len(CUES))] if by_class else None
    models = [_model("shape", [0]), _model("texture", [1]), _model("colour", [2])]
    results = evaluate(("triplets",), models, _stimuli(names))
    overall = [r for r in results.rows if "shape_matches" in r and "category" not in r]
    rows = {r["model"]: r for r in overall}
    share = {name: rows[name]["shape_matches"] for name in ("shape", "texture")}
    assert share == {"shape": 1, "texture": 0}
    assert rows["shape"]["match"] == ("class" if by_class else "source")
    gaps = [r for r in results.rows if "difference" in r]
    assert gaps[0]["difference"] == 1
    overall, by_shape, _ = suite.SUITE.tables(results.rows, "mine")
    assert overall.body[0][1].text == "100.0"
    assert [row[0].text for row in by_shape.body] == list(CLASSES)
    with look.look():
        section = suite.SUITE.section(
            results.rows, "mine", results, look.Looks(["shape", "texture", "colour"])
        )
    assert "shape: 100.0 %" in section.lead
    assert "triplets_mine" in section.figures
    facts = list(suite.SUITE.facts([rows["texture"]]))
    assert facts[0][0] == "0.0 %"
    (headline,) = suite.SUITE.headlines([rows["texture"]])
    assert headline.value == 0 < headline.high
    assert "by shape in 0 of 100 triplets" in headline.clause


def test_features_alone_will_do_and_lone_images_are_refused():
    stimuli = _stimuli()
    vectors = np.eye(3)[[CLASSES.index(c) for c in stimuli.category]]
    results = evaluate(("triplets",), [], stimuli, features={"theirs": vectors})
    row = next(r for r in results.rows if "category" not in r)
    assert (row["model"], row["shape_matches"]) == ("theirs", 1)
    lone = stimuli.subset(np.array([3, 9]))
    with pytest.raises(ValueError, match="mine: no image has both another"):
        evaluate(("triplets",), [_model("m", [0])], lone)
