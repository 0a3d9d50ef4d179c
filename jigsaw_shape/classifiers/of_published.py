"""Published weights as a classifier."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.imagenet_labels import in_categories, wordnet_ids
from jigsaw_shape.classifiers.of_network import of_network
from jigsaw_shape.exporting.format import background_of
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.network import Network, make_network
from jigsaw_shape.models.weights import loading
from jigsaw_shape.models.weights.locate import Flags, shipped
from jigsaw_shape.runs.directory import KNOWLEDGE

IMAGENET_PX = 224  # what published ImageNet weights are tested at


def open_published(
    init: str,
    *,
    name: str,
    batch_size: int,
    flag: str,
    encoder: str = "",
    size_px: int = 0,
    classes: Sequence[str] = (),
    categories: bool = True,
) -> Classifier:
    """Returns published weights as a classifier, or as features alone.

    Args:
      init: What `locate.locate` takes, such as `"pretrained:efficientnet_lite0"`.
      name: For rows.
      batch_size: See `of_network`.
      flag: By which the user named the weights, for messages.
      encoder: A name in `ENCODERS`; "" for the one that `init` names.
      size_px: The side of the squares that they see; 0 for 224, or for what the file of
        a shipped encoder says.
      classes: Names of their scores; empty: those of a shipped encoder are in its file,
        ImageNet's 1,000 have their WordNet ids, others have none, so that features
        alone are left.
      categories: Whether 1,000 scores become the 16 categories.

    Raises:
      ValueError: There are no such weights, or the names or the size do not fit them.
    """
    flags = Flags(flag, "--encoder", "")
    encoder = encoder or loading.encoder_of(init, flags)
    if encoder not in ENCODERS:
        known = ", ".join(n for n, spec in ENCODERS.items() if spec.family)
        raise ValueError(
            f"{flag} is {init!r}, of an unknown encoder {encoder!r}: known are {known}"
        )
    spec = ENCODERS[encoder]
    found = loading.load_pretrained(init, encoder, flags=flags)
    n_scores = 0 if found.classifier is None else len(found.classifier["bias"])
    if classes and len(classes) != n_scores:
        raise ValueError(
            f"{flag} {init} has {n_scores} scores, but --classes names {len(classes)}"
        )
    is_imagenet = n_scores == imagenet16.N_CLASSES
    stated = found.facts if init in shipped() else {}
    names = tuple(classes or stated.get("classes", ()))
    if is_imagenet and not names:
        names = wordnet_ids()
    network = make_network(
        encoder,
        found.variables,
        found.classifier if names else None,
        classes=names,
        size_px=size_px or stated.get("image_size", IMAGENET_PX),
        input_px=size_px or stated.get("input_px", IMAGENET_PX),
        mean=found.mean or spec.mean,
        std=found.std or spec.std,
    )
    _refuse_size(network)
    about = {"weights": init, "encoder": encoder, "image_size": network.size_px}
    about |= {key: found.facts[key] for key in KNOWLEDGE if key in found.facts}
    opened = of_network(
        network,
        name=name,
        batch_size=batch_size,
        about=about,
        background=background_of(found.facts),
    )
    return in_categories(opened) if is_imagenet and categories else opened


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
