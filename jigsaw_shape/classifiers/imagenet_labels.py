"""The label space of ImageNet's 1,000 scores: their own names, or 16 categories."""

import dataclasses
import importlib.util
import pathlib

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.measures import imagenet16

_PACKAGE, _FILE = "tensorflow_datasets", "datasets/imagenet2012/labels.txt"


def wordnet_ids() -> tuple[str, ...]:
    """Returns the WordNet ids of ImageNet's 1,000 classes, in the scores' order."""
    folder = importlib.util.find_spec(_PACKAGE).submodule_search_locations[0]
    return tuple((pathlib.Path(folder) / _FILE).read_text().split())


def in_categories(opened: Classifier) -> Classifier:
    """Returns a classifier of ImageNet's 1,000 classes as one of the 16 categories."""

    def predict(images, orders=None):
        outputs = opened.predict(images, orders)
        scores = imagenet16.category_scores(outputs["classification"])
        return {**outputs, "classification": scores}

    return dataclasses.replace(opened, classes=imagenet16.CATEGORIES, predict=predict)
