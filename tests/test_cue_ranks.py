"""Ranks of an image's two cues among all classes; what the suite says of them."""

import dataclasses

import numpy as np
import pytest
from small_stimuli import evaluate, make_stimuli

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.imagenet_labels import in_categories
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.measures.shape_bias import class_ranks, reciprocal_ranks
from jigsaw_shape.suites import shape_bias

CLASSES = ("cat", "dog", "oven", "truck")


def test_ranks_count_from_the_best_and_share_ties():
    scores = np.array([[0.1, 0.7, 0.2, 0.2], [3, 3, 3, 3], [4, 3, 2, 1]])
    found = class_ranks(scores)
    assert found.tolist() == [[4, 1, 2.5, 2.5], [2.5] * 4, [1, 2, 3, 4]]
    # A group's place is its best class's.
    assert class_ranks(scores, [(0, 2), (3,)]).tolist() == [
        [2.5, 2.5],
        [2.5, 2.5],
        [1, 4],
    ]
    cues = np.array(["cat", "oven", "cat"]), np.array(["dog", "cat", "truck"])
    by_shape, by_texture = reciprocal_ranks(found, CLASSES, *cues)
    assert by_shape.tolist() == [1 / 4, 1 / 2.5, 1]
    assert by_texture.tolist() == [1, 1 / 2.5, 1 / 4]


def test_imagenets_categories_are_ranked_among_all_classes():
    scores = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
    names = tuple(map(str, range(1000)))
    model = Classifier(
        "m", names, 8, 5, lambda x, orders=None: {"classification": scores}
    )
    found = in_categories(model)
    ranks = found.predict(np.zeros((5, 8, 8, 3)))["ranks"]
    assert (ranks.shape, found.n_scores) == ((5, 16), 1000)
    for n, name in enumerate(imagenet16.CATEGORIES):
        members = list(imagenet16.INDICES[name])
        plain = [1 + (row > row[members].max()).sum() for row in scores]
        np.testing.assert_array_equal(ranks[:, n], plain)


def _conflict():
    cells = [(s, t) for s in CLASSES for t in CLASSES]
    shape, texture = map(np.array, zip(*cells, strict=True))

    def read(i, px):
        return np.full((px, px, 3), 10 * i, np.uint8)

    names = [f"{s}1-{t}1.png" for s, t in cells]
    fields = {"experiment": "cue_conflict", "texture": texture}
    return make_stimuli(names, shape, read, **fields)


def _second(stimuli):
    """A model that always answers a third class, and the shape second."""

    def predict(images, orders=None):
        index = np.rint(np.asarray(images, np.float32)[:, 0, 0, 0] * 25.5).astype(int)
        scores = np.zeros((len(index), 4), np.float32)
        for row, i in zip(scores, index, strict=True):
            shape = CLASSES.index(stimuli.category[i])
            texture = CLASSES.index(stimuli.texture[i])
            other = next(n for n in range(4) if n not in (shape, texture))
            row[[other, shape, texture]] = 3, 2, 1
        return {"classification": scores}

    return Classifier("m", CLASSES, 8, 4, predict)


def test_rows_tell_apart_what_a_ratio_cannot():
    stimuli = _conflict()
    results = evaluate(("shape_bias",), [_second(stimuli)], stimuli)
    rows = [r for r in results.rows if "neither" in r]
    for row in rows:
        assert (row["shape_accuracy"], row["texture_accuracy"]) == (0, 0)
        assert row["neither"] == 1
        assert row["shape_mrr"] == pytest.approx(1 / 2)
        assert row["texture_mrr"] == pytest.approx(1 / 3)
        assert row["n_ranked"] == 4
    assert len(rows) == 1 + len(CLASSES)
    table = next(iter(shape_bias.SUITE.tables(results.rows, "mine")))
    cells = dict(zip(table.header, (cell.text for cell in table.body[0]), strict=True))
    assert cells["neither"] == "100.0"
    assert (cells["MRR shape"], cells["MRR texture"]) == ("0.500", "0.333")
    assert cells["of classes"] == "4"


def test_sets_of_frequencies_are_called_so():
    name = "low-vs-high-frequency-cue-conflict"
    stimuli = dataclasses.replace(_conflict(), name=name)
    results = evaluate(("shape_bias",), [_second(stimuli)], stimuli)
    table = next(iter(shape_bias.SUITE.tables(results.rows, name)))
    assert table.title.startswith("Low-frequency bias on low-vs-high")
    assert "high frequencies T/n" in table.header
    section = shape_bias.SUITE.section(results.rows, name, results, {"m": ("k", "o")})
    assert "shape stands for low frequencies" in section.lead
