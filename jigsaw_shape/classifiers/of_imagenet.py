"""This project's models, opened to be evaluated: training runs, ImageNet weights."""

import dataclasses
import pathlib

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.classifiers import of_run
from jigsaw_shape.classifiers.classifier import Model
from jigsaw_shape.measures import imagenet16
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.multitask import Multitask
from jigsaw_shape.models.weights import loading
from jigsaw_shape.runs import directory as directory_lib
from jigsaw_shape.system import devices
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import predict as predict_lib
from jigsaw_shape.training import step as step_lib

IMAGENET_PX = 224


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run and its model.

    Attributes:
      config: Its configuration; fields it was stored without are the defaults.
      model: At the checkpoint that was asked for.
    """

    config: ConfigDict
    model: Model


def open_run(
    directory: pathlib.Path, *, selection: str, name: str, batch_size: int
) -> Run:
    """Returns a training run's model; the run's directory is only read.

    Args:
      directory: Of the run.
      selection: A key of `rows.RULES`: which of its checkpoints.
      name: For rows.
      batch_size: A multiple of the number of devices.

    Raises:
      ValueError: It is no run, has no evaluation yet or no such checkpoint, or what is
        stored does not fit.
    """
    run = of_run.open_run(directory, selection)
    config, learner, step = run.config, run.learner, run.chosen["step"]
    predict_fn = predict_lib.make_predict_fn(
        learner_lib.make_predict(config, learner),
        devices.shard,
        devices.replicate(run.variables),
        batch_size,
    )
    has_puzzle = learner.n_orders > 0
    model = Model(
        name=name,
        classes=run.classes,
        size_px=config.data.image_size,
        batch_size=batch_size,
        predict=_predict(predict_fn),
        permutations=learner.permutations if has_puzzle else None,
        grid=config.jigsaw.grid if has_puzzle else 0,
        has_features=True,
        about={
            "weights": f"{directory.resolve().name}, step {step} ({selection})",
            "encoder": config.model.encoder,
            "preset": config.preset,
            "dataset": config.data.name,
            "images": directory_lib.read_images(directory),
            "target": config.data.target,
            "seed": config.seed,
            "selection": selection,
            "step": step,
            "image_size": config.data.image_size,
        },
    )
    return Run(config, model)


def open_pretrained(weights_name: str, *, name: str, batch_size: int) -> Model:
    """Returns an ImageNet classifier, in the 16 categories, at 224 px.

    Args:
      weights_name: An encoder, such as `"efficientnet_lite0"`, for the weights of the
        extra `[pretrained]`, or a name such as
        `"torchvision:resnet50.IMAGENET1K_V1"`, `"timm:tf_efficientnet_lite0.in1k"`.
      name: For rows.
      batch_size: A multiple of the number of devices.

    Raises:
      ValueError: There are no such weights, or they have no classifier.
    """
    init = weights_name if ":" in weights_name else f"pretrained:{weights_name}"
    encoder = loading.encoder_of(init)
    if encoder not in ENCODERS:
        known = ", ".join(n for n, spec in ENCODERS.items() if spec.family)
        raise ValueError(f"--pretrained is {weights_name!r}: {known} are encoders")
    found = loading.load_pretrained(init, encoder)
    classifier = found.classifier
    if classifier is None or len(classifier["bias"]) != imagenet16.N_CLASSES:
        raise ValueError(
            f"--pretrained {weights_name}: the weights have no classifier of "
            f"ImageNet's {imagenet16.N_CLASSES} classes"
        )
    spec = ENCODERS[encoder]
    net = Multitask(
        encoder=spec.build(),
        heads={"classification": imagenet16.N_CLASSES},
        mean=found.mean or spec.mean,
        std=found.std or spec.std,
    )
    variables = {kind: {"encoder": tree} for kind, tree in found.variables.items()}
    variables["params"]["head_classification"] = classifier
    predict_fn = predict_lib.make_predict_fn(
        step_lib.make_predict(net, IMAGENET_PX),
        devices.shard,
        devices.replicate(variables),
        batch_size,
    )
    return Model(
        name=name,
        classes=imagenet16.CATEGORIES,
        size_px=IMAGENET_PX,
        batch_size=batch_size,
        predict=in_categories(_predict(predict_fn)),
        has_features=True,
        about={
            "weights": init,
            "encoder": encoder,
            "image_size": IMAGENET_PX,
        },
    )


def in_categories(predict):
    """Returns `predict` with its 1,000 scores mapped to the 16 categories."""

    def mapped(images, orders=None):
        outputs = predict(images, orders)
        scores = imagenet16.category_scores(outputs["classification"])
        return {**outputs, "classification": scores}

    return mapped


def _predict(predict_fn: predict_lib.PredictFn):
    """Returns `Model.predict` of a `predict_fn`, which serves training too."""

    def predict(images, orders=None):
        batch = {"image": images}
        if orders is not None:
            batch["order"] = np.asarray(orders, np.int32)
        return predict_fn(None, batch)

    return predict
