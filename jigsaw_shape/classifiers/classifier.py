"""What every network that answers images looks like, whatever it is made of."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.classifiers import reading
from jigsaw_shape.classifiers.reading import Images
from jigsaw_shape.models.network import Network


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A network that answers images, whatever it is made of.

    `features`, `logits` and `stages` take images as one has them: a file's path, an
    array [H, W, 3], a batch [B, H, W, 3], or a list of paths and arrays of any sizes.
    Arrays are RGB, uint8 or floats in [0, 1]. Whole images are squashed to the square
    that the network takes and normalized inside, so an array gives what its file gives.
    Of several images they return arrays [B, ...], of one image [...].

        >>> model = jigsaw_shape.load("runs/mine")
        >>> model.classes, model.input_px
        (('bird', 'cat', 'cup'), 32)
        >>> model.features(["photos/1.png", "photos/2.png"]).shape
        (2, 256)
        >>> model.classes[model.logits("photos/1.png").argmax()] in model.classes
        True

    Attributes:
      name: For rows and figures.
      classes: Its label space, in the order of its scores; empty where it gives
        features alone.
      size_px: The side of the squares that the network sees.
      input_px: The side at which to read image files for it. Where it is not `size_px`
        they are resized inside, as in training's evaluation.
      batch_size: How many images are computed at a time.
      predict: `predict(images, orders=None)` maps one or more images, uint8 or float32
        in [0, 1], [b, H, W, 3], JAX or NumPy, to host arrays: `classification`, float32
        [b, n], whose largest entry is the answer, `jigsaw`, float32 [b, K + 1], and
        `features`, float32 [b, F], as far as it has them; where `n_scores` is set also
        `ranks`, float32 [b, n], each class's place among all that it ranks.
        Images of another side than `size_px` are resized as in training's evaluation
        (`resampling.resize`). With `orders`, int32 [b], each image is cut into `grid` x
        `grid` tiles and shuffled by that row of `permutations`. Any number of devices;
        each image counts once.
      permutations: int32 [K + 1, T], row 0 the identity; None without a jigsaw head.
      grid: Tiles a side of the puzzle; 0 without a jigsaw head.
      n_scores: How many classes it ranks, where these are more than `classes`; else 0.
      has_features: Whether `predict` returns its pooled features too.
      predict_stages: `predict_stages(images, names)` maps images, as `predict` does, to
        what the encoder's stages return, float32 [b, h, w, C] or [b, F] by name: of all
        stages, or of those in `names`. None of programs, which keep no stages.
      background: What shows through transparent images, as in its training.
      about: Flat facts for rows: weights, encoder, checkpoint, digests, ...
      digest: Tells its weights from others'.
      network: The weights themselves; None of programs, such as an ONNX file.
      config: Of a training run; None of all others.
      thousand: The same with ImageNet's 1,000 classes, where `classes` are the 16
        categories made of them; else None.
    """

    name: str
    classes: tuple[str, ...]
    size_px: int
    batch_size: int
    predict: Callable[..., dict[str, np.ndarray]]
    input_px: int = 0
    permutations: np.ndarray | None = None
    grid: int = 0
    n_scores: int = 0
    has_features: bool = False
    predict_stages: Callable[..., dict[str, np.ndarray]] | None = None
    background: str = "white"
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    digest: str = ""
    network: Network | None = None
    config: ConfigDict | None = None
    thousand: "Classifier | None" = None

    def __post_init__(self):
        object.__setattr__(self, "input_px", self.input_px or self.size_px)

    def features(self, images: Images) -> np.ndarray:
        """Returns the encoder's features, by whose cosine images are compared.

            >>> model = jigsaw_shape.load("runs/mine")
            >>> photo = np.asarray(Image.open("photos/1.png"))
            >>> np.array_equal(model.features(photo), model.features("photos/1.png"))
            True

        Args:
          images: See the class.

        Returns:
          float32 [B, F], or [F] of one image.

        Raises:
          ValueError: An image cannot be used, or the network gives no features.
        """
        if not self.has_features:
            raise ValueError(f"{self.name} gives classes and no features")
        return self._of_all(images, self.only("features"))["features"]

    def logits(self, images: Images) -> np.ndarray:
        """Returns a score for each of `classes`; the largest is the answer.

            >>> model = jigsaw_shape.load("runs/mine")
            >>> best = model.logits(["photos/1.png", "photos/2.png"]).argmax(1)
            >>> [model.classes[i] for i in best]
            ['cat', 'cat']

        Args:
          images: See the class.

        Returns:
          float32 [B, n], or [n] of one image.

        Raises:
          ValueError: An image cannot be used, or the network names no classes.
        """
        if not self.classes:
            raise ValueError(f"{self.name} gives features and names no classes")
        head = "classification"
        return self._of_all(images, self.only(head))[head]

    def stages(
        self, images: Images, names: str | Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Returns what the encoder's stages return, by name, from first to last.

            >>> model = jigsaw_shape.load("runs/mine")
            >>> {name: a.shape for name, a in model.stages("photos/1.png").items()}
            {'stage1': (12, 12, 32), 'stage2': (6, 6, 64), ...}

        Args:
          images: See the class.
          names: One or several; None for all, of which the first are large.

        Returns:
          float32 [B, h, w, C], or [B, F] of fully connected layers; of one image
          without B.

        Raises:
          ValueError: An image cannot be used, there is no such stage, or the network is
            a program, such as an ONNX file, which gives what it returns alone.
        """
        if self.predict_stages is None:
            raise ValueError(
                f"{self.name} is a program, which gives no stages: load the run, or "
                "weights, such as model.safetensors of the same export"
            )
        names = [names] if isinstance(names, str) else names
        return self._of_all(images, functools.partial(self.predict_stages, names=names))

    def answer(
        self,
        images: Sequence[reading.File | np.ndarray],
        compute: Callable[[np.ndarray], Mapping[str, np.ndarray]],
        *,
        background: str = "",
        on_image: Callable[[int], None] = lambda n_done: None,
    ) -> reading.Answers:
        """Returns what is computed of images; one that cannot be read stops nothing.

        Args:
          images: Several.
          compute: `predict` or `predict_stages`, or a part of what it returns.
          background: What shows through where a file is transparent; "" for its own.
          on_image: Called with how many images are done.
        """
        return reading.answer(
            compute,
            images,
            size_px=self.input_px,
            batch_size=self.batch_size,
            background=background or self.background,
            on_image=on_image,
        )

    def only(self, head: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """Returns `predict` without its other outputs."""
        return lambda images: {head: self.predict(images)[head]}

    def _of_all(self, images: Images, compute: Callable) -> dict[str, np.ndarray]:
        """Returns what is computed of every image; refuses where one is not usable."""
        listed, is_one = reading.several(images)
        found = self.answer(listed, compute)
        if found.failed:
            place, reason = min(found.failed.items())
            image = listed[place]
            named = image if isinstance(image, reading.File) else f"image {place}"
            n_more = len(found.failed) - 1
            more = f" (and {n_more} more of {len(listed)} images)" if n_more else ""
            raise ValueError(f"{named}: {reason}{more}")
        if not found.outputs:
            raise ValueError("no image was given")
        return {name: a[0] if is_one else a for name, a in found.outputs.items()}


def in_batches(compute: Callable[..., Mapping[str, Any]], batch_size: int) -> Callable:
    """Returns `Classifier.predict` of a function that takes `batch_size` images.

    A short batch is padded with copies of its first image, whose outputs are cut off.

    Args:
      compute: `compute(images)`, or `compute(images, orders)`, returns arrays
        [batch_size, ...] by head.
      batch_size: The one shape that is compiled.
    """

    def predict(images, orders=None):
        given = (images,) if orders is None else (images, np.asarray(orders, np.int32))
        parts = []
        for start in range(0, len(images), batch_size):
            n = min(batch_size, len(images) - start)
            batch = given
            if len(images) != batch_size:
                rows = start + np.arange(batch_size) * (np.arange(batch_size) < n)
                batch = tuple(array[rows] for array in given)
            outputs = compute(*batch)
            parts.append({head: np.asarray(a)[:n] for head, a in outputs.items()})
        return {
            head: np.concatenate([part[head] for part in parts]) for head in parts[0]
        }

    return predict
