"""What turns images into features: a run, an export of one, published weights."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jigsaw_shape.exporting import (
    folder,
    onnx_file,
    orbax_folder,
    safetensors_file,
    stablehlo_file,
)
from jigsaw_shape.exporting.run import open_run
from jigsaw_shape.exporting.trained import Trained, from_facts, from_metadata
from jigsaw_shape.models import ENCODERS
from jigsaw_shape.models.weights.loading import encoder_of, load_pretrained

_PRETRAINED_PX = 224  # what published ImageNet weights are tested at
_AXIS = "batch"


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A model that embeds images.

    Attributes:
      name: What the user called it.
      input_px: The side of the squares that it takes.
      batch_size: How many it takes at a time: exactly so many.
      embed: Maps uint8 [batch_size, input_px, input_px, 3] to features [batch_size, F],
        perhaps still being computed: `numpy.asarray` waits for them.
      about: What tells its features from those of others, in JSON's types.
    """

    name: str
    input_px: int
    batch_size: int
    embed: Callable[[np.ndarray], Any]
    about: Mapping[str, Any]


def open_encoder(
    name: str,
    *,
    selection: str = "val",
    encoder: str = "",
    size_px: int = 0,
    batch_size: int = 64,
) -> Encoder:
    """Returns the model that a name means.

    Args:
      name: A run's directory; a folder of `python -m jigsaw_shape.export`, or a
        `.safetensors`, `.onnx` or `.stablehlo` file of one; or published weights, such
        as `pretrained:efficientnet_lite0`, `torchvision:resnet18.IMAGENET1K_V1`.
      selection: Which of a run's checkpoints, a rule of `rows.RULES`.
      encoder: A name in `ENCODERS`, for weights whose name does not say it: any that
        `config.model.init` takes.
      size_px: The side of the squares that published weights see; 0: 224.
      batch_size: Images at a time; rounded up to a multiple of the devices. A program
        for one batch size has its own.

    Raises:
      ValueError: It means nothing, or cannot be read.
      OSError: A file cannot be read.
    """
    if batch_size < 1:
        raise ValueError(f"--batch-size is {batch_size}: 1 or more")
    if size_px < 0:
        raise ValueError(f"--size is {size_px}: 1 or more, 0 for the model's own")
    path = Path(name)
    is_run = (path / "checkpoints").is_dir()
    is_export = any((p / folder.FACTS).is_file() for p in (path, path.parent))
    if path.exists() and (is_run or is_export or not encoder):
        for flag, value in (("--encoder", encoder), ("--size", size_px)):
            if value:
                raise ValueError(
                    f"{flag} is {value}, but {name} knows its own: leave it out"
                )
    if encoder:
        published = _published(name, encoder, size_px or _PRETRAINED_PX)
        return _of_trained(name, published, batch_size)
    if (path / "config.json").is_file() and not (path / folder.FACTS).is_file():
        saved = open_run(path, selection)
        return _of_trained(name, saved.trained, batch_size)
    if path.is_dir():
        return _of_folder(name, path, batch_size)
    if path.is_file():
        return _of_file(name, path, batch_size)
    if not name.partition(":")[2]:
        raise ValueError(
            f"--model is {name!r}: no such run, export or file, nor published weights "
            "such as pretrained:efficientnet_lite0"
        )
    published = _published(name, encoder_of(name), size_px or _PRETRAINED_PX)
    return _of_trained(name, published, batch_size)


def _published(name: str, encoder: str, size_px: int) -> Trained:
    if encoder not in ENCODERS:
        encoders = ", ".join(n for n, spec in ENCODERS.items() if spec.family)
        raise ValueError(
            f"--model is {name!r}, of an unknown encoder {encoder!r}: name one of "
            f"{encoders} with --encoder"
        )
    spec = ENCODERS[encoder]
    try:
        found = load_pretrained(name, encoder)
    except ValueError as error:
        message = str(error).replace("config.model.init", "--model")
        raise ValueError(message) from error
    trained = Trained(
        encoder=encoder,
        variables=found.variables,
        classifier=None,
        classes=(),
        size_px=size_px,
        input_px=size_px,
        mean=found.mean or spec.mean,
        std=found.std or spec.std,
    )
    images = jax.ShapeDtypeStruct((1, *trained.shape), np.uint8)
    try:
        jax.eval_shape(trained.apply, trained.tree(), images)
    except ValueError as error:  # too small, or not a multiple of something
        message = str(error).replace("config.data.image_size", "--size")
        raise ValueError(message) from error
    return trained


def _of_folder(name: str, path: Path, batch_size: int) -> Encoder:
    """Opens an export by the first of its files that this machine can read."""
    stored = path / folder.FACTS
    if not stored.is_file():
        raise ValueError(
            f"--model is {name!r}, a folder that is neither a run (no config.json) nor "
            f"an export (no {folder.FACTS})"
        )
    if (path / folder.SAFETENSORS).is_file():
        return _of_file(name, path / folder.SAFETENSORS, batch_size)
    if (path / folder.ORBAX).is_dir():
        facts = json.loads(stored.read_text())
        bare = from_facts(facts | {"classes": []}, {}, None)
        variables = orbax_folder.read(path / folder.ORBAX)
        return _of_trained(
            name, dataclasses.replace(bare, variables=variables), batch_size
        )
    for program in (folder.ONNX, folder.STABLEHLO):
        if (path / program).is_file():
            return _of_file(name, path / program, batch_size)
    raise ValueError(f"--model is {name!r}, an export without a file of weights")


def _of_file(name: str, path: Path, batch_size: int) -> Encoder:
    if path.suffix == ".safetensors":
        return _of_trained(name, safetensors_file.read(path), batch_size)
    if path.suffix == ".onnx":
        onnx_file.refuse_missing(f"--model {name}")
        predict, metadata = onnx_file.read(path)
        facts = from_metadata(metadata)
        if "input_px" not in facts:
            raise ValueError(f"{path} is not a file of `python -m jigsaw_shape.export`")
        shape, is_uint8 = (batch_size, facts["input_px"]), facts["input"] == "uint8"
    elif path.suffix == ".stablehlo":
        predict, images = stablehlo_file.read(path)
        fixed, input_px, *_ = images.shape
        size = fixed if isinstance(fixed, int) else batch_size
        shape, is_uint8 = (size, input_px), images.dtype == np.uint8
    else:
        raise ValueError(
            f"--model is {name!r}: a .safetensors, .onnx or .stablehlo file of "
            "`python -m jigsaw_shape.export`, its folder, or a run's"
        )

    def embed(images):
        if not is_uint8:
            images = (images / 255).astype(np.float32)
        return predict(images)["features"]

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    about = {"model": name, "file": path.name, "digest": digest, "input_px": shape[1]}
    return Encoder(name, shape[1], shape[0], embed, about)


def _of_trained(name: str, trained: Trained, batch_size: int) -> Encoder:
    """Spreads batches over this process's devices."""
    devices = jax.local_devices()
    batch_size = -(-batch_size // len(devices)) * len(devices)
    mesh = Mesh(np.asarray(devices), (_AXIS,))
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(_AXIS))
    features_alone = dataclasses.replace(trained, classifier=None, classes=())
    tree = jax.device_put(features_alone.tree(), everywhere)
    apply = jax.jit(features_alone.apply)

    def embed(images):
        return apply(tree, jax.device_put(images, split))["features"]

    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(features_alone.tree()):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    about = {
        "model": name,
        "encoder": trained.encoder,
        "digest": digest.hexdigest()[:16],
        "input_px": trained.input_px,
        "image_size": trained.size_px,
    }
    return Encoder(name, trained.input_px, batch_size, embed, about)
