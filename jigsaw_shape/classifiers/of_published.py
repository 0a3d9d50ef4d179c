"""Published weights as a classifier: ImageNet's, in 16 categories or by own names."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.of_network import of_network
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.network import Network, make_network
from jigsaw_shape.models.weights import loading
from jigsaw_shape.models.weights.locate import Flags
from jigsaw_shape.runs.directory import KNOWLEDGE

IMAGENET_PX = 224  # what published ImageNet weights are tested at
_WORDNET_IDS = ("tensorflow_datasets", "datasets/imagenet2012/labels.txt")


def open_published(
    init: str,
    *,
    name: str,
    batch_size: int,
    flag: str,
    encoder: str = "",
    size_px: int = 0,
    classes: Sequence[str] = (),
) -> Classifier:
    """Returns published weights as a classifier, or as features alone.

    Args:
      init: What `locate.locate` takes, such as `"pretrained:efficientnet_lite0"`.
      name: For rows.
      batch_size: See `of_network`.
      flag: By which the user named the weights, for messages.
      encoder: A name in `ENCODERS`; "" for the one that `init` names.
      size_px: The side of the squares that they see; 0 for 224.
      classes: Names of their scores; empty: ImageNet's 1,000 scores become 16
        categories, others have no names, so that features alone are left.

    Raises:
      ValueError: There are no such weights, or the names or the size do not fit them.
    """
    encoder = encoder or loading.encoder_of(init)
    if encoder not in ENCODERS:
        known = ", ".join(n for n, spec in ENCODERS.items() if spec.family)
        raise ValueError(
            f"{flag} is {init!r}, of an unknown encoder {encoder!r}: known are {known}"
        )
    spec = ENCODERS[encoder]
    found = loading.load_pretrained(init, encoder, flags=Flags(flag, "--encoder"))
    n_scores = 0 if found.classifier is None else len(found.classifier["bias"])
    if classes and len(classes) != n_scores:
        raise ValueError(
            f"{flag} {init} has {n_scores} scores, but --classes names {len(classes)}"
        )
    is_imagenet = n_scores == imagenet16.N_CLASSES
    names = tuple(classes) or (_wordnet_ids() if is_imagenet else ())
    network = make_network(
        encoder,
        found.variables,
        found.classifier if names else None,
        classes=names,
        size_px=size_px or IMAGENET_PX,
        input_px=size_px or IMAGENET_PX,
        mean=found.mean or spec.mean,
        std=found.std or spec.std,
    )
    _refuse_size(network)
    about = {"weights": init, "encoder": encoder, "image_size": network.size_px}
    about |= {key: found.facts[key] for key in KNOWLEDGE if key in found.facts}
    opened = of_network(network, name=name, batch_size=batch_size, about=about)
    return opened if classes or not is_imagenet else in_categories(opened)


def in_categories(opened: Classifier) -> Classifier:
    """Returns a classifier of ImageNet's 1,000 classes as one of the 16 categories."""
    return dataclasses.replace(
        opened, classes=imagenet16.CATEGORIES, predict=categorizing(opened.predict)
    )


def categorizing(predict: Callable) -> Callable:
    """Returns `predict` with its 1,000 scores mapped to the 16 categories."""

    def mapped(images, orders=None):
        outputs = predict(images, orders)
        scores = imagenet16.category_scores(outputs["classification"])
        return {**outputs, "classification": scores}

    return mapped


def _refuse_size(network: Network) -> None:
    """Refuses a size that the encoder cannot see."""
    images = jnp.zeros((1, network.size_px, network.size_px, 3))
    try:
        jax.eval_shape(
            lambda: network.module.apply(network.variables, images, train=False)
        )
    except ValueError as error:  # too small, or not a multiple of something
        message = str(error).replace("config.data.image_size", "--size")
        raise ValueError(message) from error


def _wordnet_ids() -> tuple[str, ...]:
    """Returns the WordNet ids of ImageNet's 1,000 classes, in the scores' order."""
    package, file = _WORDNET_IDS
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    return tuple(np.loadtxt(pathlib.Path(folder) / file, str).tolist())
