"""The suite `experiments`: one cue at a time, made from any labelled images.

Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
improves accuracy and robustness", ICLR 2019, showed observers 160 images of 16
categories in versions that leave one cue. Their stimuli were made by hand where need
was; these are made by program from whatever images there are:

- original: as they are.
- greyscale: luminance in three channels (scikit-image's `rgb2gray`).
- black_and_white: luminance above or below Otsu's threshold (IEEE Transactions on
  Systems, Man, and Cybernetics 9, 1979), one threshold an image.
- silhouette: black on white, what stands out from the colour of the image's border.
  Published silhouettes were cut out by hand. Here a pixel's distance to the border's
  median colour, in CIELAB, is thresholded by Otsu and holes are filled. That is the
  object where it stands alone before an even ground; where it does not, it is whatever
  differs from the border, and accuracy on it says little. Look at some.
- edges: Canny's (IEEE PAMI 8, 1986), black on white, of luminance in [0, 1], Gaussian
  of sqrt(2) px, hysteresis between 0.4 and 1 times the threshold that 70 % of the
  gradients' magnitudes stay below: MATLAB's defaults, with which the published edges
  were made.
- texture: the image cut into 6 x 6 tiles that all trade places (`puzzle.shuffle`).
  Published textures were photographs of surfaces, or of objects in heaps.

scikit-image does what it knows, on the host. It is installed by the extra `evaluate`.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from scipy import ndimage

from jigsaw_shape.classifiers.classifier import PLAIN, Probe, Suite
from jigsaw_shape.measures import intervals
from jigsaw_shape.suites import puzzle
from jigsaw_shape.suites.distortions import GREY

TEXTURE_GRID = 6
_CANNY_STD_PX = 2**0.5
_CANNY_QUANTILE, _CANNY_LOW = 0.7, 0.4
_FAINTEST = 1 / 255  # a gradient that no image of 8 bits has but by rounding


def make_suite() -> Suite:
    """Returns the suite of the five experiments, and of binarized images.

    Its rows: `condition`, a name of the module's list; `accuracy`, with `low` and
    `high`, the ends of its 95 % bootstrap interval; `n` images. `scores` are right
    answers by condition.

    Raises:
      ValueError: scikit-image is not installed.
    """
    skimage()
    probes = {
        "original": PLAIN,
        "greyscale": GREY,
        "black_and_white": Probe("black_and_white", _on_host(black_and_white)),
        "silhouette": Probe("silhouette", _on_host(silhouette)),
        "edges": Probe("edges", _on_host(edges)),
        "texture": Probe(
            "texture",
            jax.jit(lambda rngs, x: puzzle.shuffle(rngs, x, TEXTURE_GRID)),
        ),
    }

    def scores(outputs, label):
        return {
            name: np.float32(outputs[probe.name]["classification"].argmax(-1) == label)
            for name, probe in probes.items()
        }

    def rows(outputs, label, seed) -> Iterator[dict]:
        for name, right in scores(outputs, label).items():
            low, high = intervals.interval(right, np.ones(len(label)), seed=seed)
            yield {
                "condition": name,
                "accuracy": float(right.mean()),
                "low": low,
                "high": high,
                "n": len(label),
            }

    return Suite("experiments", tuple(probes.values()), rows, scores)


def skimage():
    """Returns scikit-image with what is used of it.

    Raises:
      ValueError: It is not installed.
    """
    try:
        import skimage.color
        import skimage.feature
        import skimage.filters
    except ModuleNotFoundError as error:
        raise ValueError(
            "--suite experiments needs scikit-image: "
            "pip install 'jigsaw_shape[evaluate]'"
        ) from error
    return skimage


def black_and_white(image: np.ndarray) -> np.ndarray:
    """Returns where luminance is above Otsu's threshold: float32 [H, W], 0 or 1.

    Args:
      image: float32 [H, W, 3] in [0, 1]; as for the others here.
    """
    grey = skimage().color.rgb2gray(image)
    return np.float32(grey > skimage().filters.threshold_otsu(grey))


def silhouette(image: np.ndarray) -> np.ndarray:
    """Returns 0 where the image differs from its border's colour: float32 [H, W]."""
    lab = skimage().color.rgb2lab(image)
    border = np.concatenate([lab[0], lab[-1], lab[1:-1, 0], lab[1:-1, -1]])
    distance = np.linalg.norm(lab - np.median(border, axis=0), axis=-1)
    stands_out = distance > skimage().filters.threshold_otsu(distance)
    return 1 - np.float32(ndimage.binary_fill_holes(stands_out))


def edges(image: np.ndarray) -> np.ndarray:
    """Returns 0 on Canny's edges: float32 [H, W]."""
    grey = skimage().color.rgb2gray(image)
    smooth = ndimage.gaussian_filter(grey, _CANNY_STD_PX)
    gradient = np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1))
    high = max(np.quantile(gradient, _CANNY_QUANTILE), _FAINTEST)
    found = skimage().feature.canny(
        grey, _CANNY_STD_PX, low_threshold=_CANNY_LOW * high, high_threshold=high
    )
    return 1 - np.float32(found)


def _on_host(
    function: Callable[[np.ndarray], np.ndarray],
) -> Callable[[jax.Array, jax.Array], np.ndarray]:
    """Returns a probe's `make`, which does one image a thread."""

    def make(rngs, images):
        del rngs
        with ThreadPoolExecutor() as workers:
            planes = list(workers.map(function, np.asarray(images)))
        return np.repeat(np.stack(planes)[..., None], 3, axis=-1)

    return make
