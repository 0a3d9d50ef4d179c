"""The same network with random weights: the zero of any scale that features are on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.imagenet_labels import in_categories
from jigsaw_shape.classifiers.of_network import of_network

_KEPT = ("encoder", "image_size", "images", "dataset", "target")


def untrained(model: Classifier, *, name: str, seed: int = 0) -> Classifier:
    """Returns a classifier's network as it was before any training.

    Weights are drawn as for a run that starts at random; BatchNorm has mean 0 and
    variance 1. Pixels, sizes, classes and, of a run, the configuration are the model's.

    Args:
      model: Of a run, an export's weights or published weights.
      name: For rows.
      seed: Of the weights.

    Raises:
      ValueError: It is a program, such as an ONNX file, whose network is not known.
    """
    network = model.network
    if network is None:
        raise ValueError(
            f"{model.name} is a program, so its network cannot be drawn anew: "
            "--untrained needs a run, an export's weights or published weights"
        )
    images = jnp.zeros((1, network.size_px, network.size_px, 3))
    drawn = jax.jit(lambda rng: network.module.init(rng, images, train=False))(
        jax.random.key(seed)
    )
    drawn = jax.tree.map(np.asarray, dict(drawn))
    about = {key: model.about[key] for key in _KEPT if key in model.about}
    opened = of_network(
        dataclasses.replace(network, variables=drawn),
        name=name,
        batch_size=model.batch_size,
        config=model.config,
        background=model.background,
        about={"weights": f"random, seed {seed}", **about},
    )
    in_16 = model.classes and len(model.classes) != len(network.classes)
    return in_categories(opened) if in_16 else opened


def untrained_beside(models: list[Classifier], seed: int = 0) -> list[Classifier]:
    """Returns an untrained network for each architecture and data set among models.

    One with a class head stands for one without, whose features are the same.

    Raises:
      ValueError: All of the models are programs, whose networks are not known.
    """
    found: dict[tuple, Classifier] = {}
    known = [model for model in models if model.network is not None]
    for model in sorted(known or models, key=lambda model: not model.classes):
        network, config = model.network, model.config
        data = config and config.data.to_json()
        size = network and (network.module.encoder, network.size_px, network.classes)
        same = [s for s, d in found if size and d == data and s[:2] == size[:2]]
        if (size, data) not in found and (model.classes or not same):
            n = 1 + sum(size and size[0] == key[0][0] for key in found)
            kind = model.about.get("encoder", model.name)
            name = f"untrained {kind}" + (f" ({n})" if n > 1 else "")
            found[size, data] = untrained(model, name=name, seed=seed)
    return list(found.values())
