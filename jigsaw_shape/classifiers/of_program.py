"""Programs of exports, weights inside, as classifiers; ONNX has a file of its own."""

import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier, in_batches
from jigsaw_shape.exporting.format import FACTS, Program, background_of
from jigsaw_shape.pixels import resampling

_OURS = {"logits": "classification"}

_resize = jax.jit(resampling.resize, static_argnums=1)


def of_program(
    path: pathlib.Path, program: Program, *, name: str, batch_size: int
) -> Classifier:
    """Returns the classifier of a program.

    Its classes are those of the export's facts beside the file; without these it gives
    features alone.

    Args:
      path: Its file.
      program: What the file holds.
      name: For rows.
      batch_size: Images a call, where the program leaves that open.
    """
    beside = path.parent / FACTS
    facts = json.loads(beside.read_text()) if beside.is_file() else {}
    batch_size = program.batch_size or batch_size

    def compute(images):
        shown = as_pixels(images, program.input_px, program.dtype)
        outputs = program.predict(shown)
        return {_OURS.get(name, name): array for name, array in outputs.items()}

    def predict(images, orders=None):
        del orders  # there is no puzzle
        return in_batches(compute, batch_size)(images)

    return Classifier(
        name=name,
        classes=tuple(facts.get("classes", ())),
        size_px=program.input_px,
        batch_size=batch_size,
        predict=predict,
        has_features=True,
        background=background_of(facts),
        digest=file_digest(path),
        about={
            "weights": path.name,
            "image_size": facts.get("image_size", program.input_px),
        },
    )


def as_pixels(images: Any, size_px: int, dtype: Any) -> np.ndarray:
    """Returns images as a program takes them: [b, size_px, size_px, 3].

    Args:
      images: uint8 or float32 in [0, 1], [b, H, W, 3], JAX or NumPy.
      size_px: The side of its squares.
      dtype: uint8 or float32.
    """
    if images.shape[1:3] != (size_px, size_px):
        images = _resize(images, size_px)
    images = np.asarray(images)
    if images.dtype == dtype:
        return images
    if dtype == np.uint8:
        return np.clip(np.rint(255 * images), 0, 255).astype(np.uint8)
    return (images / 255).astype(np.float32)


def file_digest(path: pathlib.Path) -> str:
    """Returns what tells a file's content from others'."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
