"""What is evaluated: a model that answers, probes of images, suites of probes.

A suite asks one question of a model, such as how it bears noise. It names the versions
of the images that it needs, its probes, and turns the answers to them into rows. The
runner (`suites.one_pass`) reads every image once, makes each probe of it once and shows
it to every model, so that suites which share images share the pass.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.models.network import Network

# Host arrays of n images: "classification" float32 [n, classes] and, where the model
# has them, "jigsaw" float32 [n, K + 1] and "features" float32 [n, F].
Outputs = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A network that answers images, whatever it is made of.

    Attributes:
      name: For rows and figures.
      classes: Its label space, in the order of its scores; empty where it gives
        features alone.
      size_px: The side of the squares that the network sees.
      input_px: The side at which to read image files for it. Where it is not `size_px`
        they are resized inside, as in training's evaluation.
      batch_size: The most images that a call of `predict` takes.
      predict: `predict(images, orders=None)` maps uint8, or float32 in [0, 1],
        [b, H, W, 3], JAX or NumPy, 1 to `batch_size` of them, to host arrays:
        `classification`, float32 [b, n], whose largest entry is the answer, `jigsaw`,
        float32 [b, K + 1], and `features`, float32 [b, F], as far as it has them.
        Images of another side than `size_px` are resized as in training's evaluation
        (`augment.resize`). With `orders`, int32 [b], each image is cut into `grid` x
        `grid` tiles and shuffled by that row of `permutations`. Any number of devices;
        each image counts once.
      permutations: int32 [K + 1, T], row 0 the identity; None without a jigsaw head.
      grid: Tiles a side of the puzzle; 0 without a jigsaw head.
      has_features: Whether `predict` returns its pooled features too.
      background: What shows through transparent images, as in its training.
      about: Flat facts for rows: weights, encoder, checkpoint, digests, ...
      digest: Tells its weights from others'.
      network: The weights themselves; None of programs, such as an ONNX file.
      config: Of a training run; None of all others.
    """

    name: str
    classes: tuple[str, ...]
    size_px: int
    batch_size: int
    predict: Callable[..., dict[str, np.ndarray]]
    input_px: int = 0
    permutations: np.ndarray | None = None
    grid: int = 0
    has_features: bool = False
    background: str = "white"
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    digest: str = ""
    network: Network | None = None
    config: ConfigDict | None = None

    def __post_init__(self):
        object.__setattr__(self, "input_px", self.input_px or self.size_px)


Model = Classifier  # the suites' word for it


@dataclasses.dataclass(frozen=True)
class Probe:
    """One version of every image, such as "contrast/0.3".

    Attributes:
      name: Tells probes apart; two suites that name the same one share its answers.
      make: `make(rngs, images)` maps typed keys [b] and float32 [b, S, S, 3] in [0, 1]
        to the version, float32 [b, H, W, 3] in [0, 1]. S is `Model.size_px`: lengths
        that are published for 224 px scale with S / 224. An image's key comes from
        the seed and its index alone, so its version is the same in any batch and for
        every model. Jitted where that pays, best once for all levels. None: as it is.
      orders: `orders(indices)` maps int64 [b], the images' indices, to the orders
        int32 [b] to shuffle them by (`Model.predict`). None: not shuffled.
    """

    name: str
    make: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    orders: Callable[[np.ndarray], np.ndarray] | None = None


PLAIN = Probe("plain")  # the images as they are


@dataclasses.dataclass(frozen=True)
class Suite:
    """A question, and how the answers to its probes are scored.

    Attributes:
      name: As in `--suite`.
      probes: What it needs to see answered.
      rows: `rows(outputs, label, seed)` yields flat rows of JSON's types: what was
        asked (`condition`, `level`, `category`, whichever apply) and measures, shares
        in [0, 1]. `outputs` has each probe's `Outputs` by the probe's name, `label` is
        int32 [n], both over all images in their order; `seed` is the bootstrap's. The
        command adds the model, the data and the suite.
      scores: `scores(outputs, label)` returns what each image contributes, float32 [n]
        by condition, such as its share of right answers over a distortion's levels;
        the mean over images is the condition's measure. Two models are compared on the
        differences image by image. None: they are not.
    """

    name: str
    probes: Sequence[Probe]
    rows: Callable[[Mapping[str, Outputs], np.ndarray, int], Iterable[dict[str, Any]]]
    scores: (
        Callable[[Mapping[str, Outputs], np.ndarray], dict[str, np.ndarray]] | None
    ) = None
