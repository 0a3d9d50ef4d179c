"""Shape-biased features by solving jigsaw puzzles of stylized images, in JAX/Flax.

>>> model = jigsaw_shape.load("runs/mine")  # or "flat", which comes with it
>>> vectors = model.features(["photos/1.png", "photos/2.png"])
>>> nearest = jigsaw_shape.search("sketch.png", "photos", model)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from jigsaw_shape.classifiers.classifier import Classifier
    from jigsaw_shape.embedding.queries import Nearest

__all__ = ["load", "search"]
__version__ = "0.1.0"


def load(what: str | os.PathLike, **options: Any) -> Classifier:
    """Returns a trained network, ready to answer images.

        >>> model = jigsaw_shape.load("runs/mine", selection="val", batch_size=8)
        >>> model.features("photos/1.png").shape
        (256,)

    It has `features`, `logits` and `stages`, which take files and arrays, and `classes`
    and `input_px`. It computes on every device that JAX sees, `batch_size` images at a
    time: a call with fewer takes as long, so give it many, or load it with a small one.

    Args:
      what: A run's directory; a folder or a file of `python -m jigsaw_shape.export`; an
        ONNX file; published weights, such as `"pretrained:efficientnet_lite0"` or
        `"hub:OWNER/REPOSITORY"`; or `"flat"`, for drawings, icons and logos, which
        comes with this package.
      **options: Those of `classifiers.open.open_classifier`, such as
        `selection="oracle"`, `batch_size=256`.

    Raises:
      ValueError: There is no such thing, or it cannot be read.
    """
    from jigsaw_shape.classifiers.open import open_classifier

    return open_classifier(what, **{"flag": "model", **options})


def search(
    queries: str | os.PathLike | Sequence[str | os.PathLike],
    among: str | os.PathLike | Sequence[str | os.PathLike],
    model: Classifier | str | os.PathLike = "flat",
    *,
    top: int = 10,
) -> list[Nearest]:
    """Returns the images that are nearest to others, by the cosine of their features.

        >>> (found,) = jigsaw_shape.search("sketch.png", "photos", "runs/mine", top=2)
        >>> found.query, len(found.paths), found.cosines[0] >= found.cosines[1]
        ('sketch.png', 2, True)

    It is what `python -m jigsaw_shape.embed --query` does. An image that is among the
    searched ones is not found as its own neighbour.

    Args:
      queries: An image's file, a folder, or several of them.
      among: Likewise, the images to search; or a file of features that `embed` wrote,
        `.npz` or `.parquet`, with whose index it is searched if there is one.
      model: What `load` returns, or takes; `flat`, for drawings, comes with this
        package.
      top: How many of each; fewer where there are fewer.

    Returns:
      `query`, `paths` and `cosines`, the nearest first, for each query in turn.

    Raises:
      ValueError: A query cannot be read, there is nothing to search, or the features
        are of another model. Searched images that cannot be read are left out, with a
        warning.
      OSError: A folder cannot be read.
    """
    from jigsaw_shape.classifiers.classifier import Classifier
    from jigsaw_shape.embedding import search as search_lib

    opened = model if isinstance(model, Classifier) else load(model)
    return search_lib.search(queries, among, opened, top=top)
