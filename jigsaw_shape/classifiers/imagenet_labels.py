"""The label space of ImageNet's 1,000 scores: their own names, or categories."""

import dataclasses
import importlib.util
import pathlib

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.measures import configural, imagenet16
from jigsaw_shape.measures.shape_bias import class_ranks

_PACKAGE, _FILE = "tensorflow_datasets", "datasets/imagenet2012/labels.txt"


def wordnet_ids() -> tuple[str, ...]:
    """Returns the WordNet ids of ImageNet's 1,000 classes, in the scores' order."""
    folder = importlib.util.find_spec(_PACKAGE).submodule_search_locations[0]
    return tuple((pathlib.Path(folder) / _FILE).read_text().split())


def in_categories(opened: Classifier) -> Classifier:
    """Returns a classifier of ImageNet's 1,000 classes as one of the 16 categories.

    Beside their scores it answers with `ranks`, float32 [b, 16]: the place of the best
    class of each category among the 1,000.
    """

    def predict(images, orders=None):
        outputs = opened.predict(images, orders)
        every = outputs["classification"]
        ranks = class_ranks(every, tuple(imagenet16.INDICES.values()))
        scores = imagenet16.category_scores(every)
        return {**outputs, "classification": scores, "ranks": ranks}

    return dataclasses.replace(
        opened,
        classes=imagenet16.CATEGORIES,
        n_scores=imagenet16.N_CLASSES,
        predict=predict,
        thousand=opened,
    )


def in_animals(opened: Classifier) -> Classifier:
    """Returns a classifier of the 16 categories as one of the anagrams' nine."""
    thousand = opened.thousand

    def predict(images, orders=None):
        outputs = thousand.predict(images, orders)
        scores = configural.animal_scores(outputs["classification"])
        return {**outputs, "classification": scores}

    animals = tuple(configural.ANIMALS)
    return dataclasses.replace(
        thousand, classes=animals, predict=predict, background=opened.background
    )
