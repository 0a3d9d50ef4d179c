"""Programs of exports, weights inside, as classifiers; ONNX has a file of its own."""

import hashlib
import json
import pathlib
from typing import Any

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.exporting.format import FACTS, Program

_OURS = {"logits": "classification", "features": "features"}


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

    def predict(images, orders=None):
        del orders  # there is no puzzle
        n, shown = len(images), np.asarray(images)
        shown = to_dtype(shown[np.arange(batch_size) % n], program.dtype)
        outputs = program.predict(shown)
        return {_OURS.get(k, k): np.asarray(v)[:n] for k, v in outputs.items()}

    return Classifier(
        name=name,
        classes=tuple(facts.get("classes", ())),
        size_px=program.input_px,
        batch_size=batch_size,
        predict=predict,
        has_features=True,
        background=facts.get("background", "white"),
        digest=file_digest(path),
        about={
            "weights": path.name,
            "image_size": facts.get("image_size", program.input_px),
        },
    )


def to_dtype(images: np.ndarray, dtype: Any) -> np.ndarray:
    """Returns pixels, uint8 or float32 in [0, 1], as the one of the two that is asked.

    Args:
      images: Any shape.
      dtype: uint8 or float32.
    """
    if images.dtype == dtype:
        return images
    if dtype == np.uint8:
        return np.clip(np.rint(255 * images), 0, 255).astype(np.uint8)
    return (images / 255).astype(np.float32)


def file_digest(path: pathlib.Path) -> str:
    """Returns what tells a file's content from others'."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
