"""Shape-biased features by solving jigsaw puzzles of stylized images, in JAX/Flax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from jigsaw_shape.classifiers.classifier import Classifier

__version__ = "0.1.0"


def load(what: str | os.PathLike, **options: Any) -> Classifier:
    """Returns a trained network, ready to answer images.

        model = jigsaw_shape.load("runs/mine")
        outputs = model.predict(images)  # uint8 [b, H, W, 3]
        names = [model.classes[i] for i in outputs["classification"].argmax(1)]
        outputs["features"]  # float32 [b, F]

    Args:
      what: A run's directory; a folder or a file of `python -m jigsaw_shape.export`; an
        ONNX file; or published weights, such as `"pretrained:efficientnet_lite0"`.
      **options: Those of `classifiers.open.open_classifier`, such as
        `selection="oracle"`, `batch_size=256`.

    Raises:
      ValueError: There is no such thing, or it cannot be read.
    """
    from jigsaw_shape.classifiers.open import open_classifier

    return open_classifier(what, **options)
