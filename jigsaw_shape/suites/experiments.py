"""The suite `experiments`: one cue at a time, published or made from labelled images.

Geirhos et al., "ImageNet-trained CNNs are biased towards texture; increasing shape bias
improves accuracy and robustness", ICLR 2019, showed observers 160 images of 16
categories in versions that leave one cue. Some of their stimuli were made by hand.
These are made by program from any labelled images:

- original: as they are.
- greyscale: luminance in three channels (scikit-image's `rgb2gray`).
- black_and_white: luminance above or below Otsu's threshold (IEEE Transactions on
  Systems, Man, and Cybernetics 9, 1979), one threshold an image.
- silhouette: black on white, what stands out from the colour of the image's border: a
  pixel's distance to the border's median colour, in CIELAB, thresholded by Otsu, with
  holes filled. Published silhouettes were cut out by hand. These show the object only
  if it stands alone before an even ground; else accuracy on them says little. Look at
  some of them.
- edges: Canny's (IEEE PAMI 8, 1986), black on white, of luminance in [0, 1], Gaussian
  of sqrt(2) px, hysteresis between 0.4 and 1 times the threshold that 70 % of the
  gradients' magnitudes stay below: MATLAB's defaults, with which the published edges
  were made.
- texture: the image cut into 6 x 6 tiles that all trade places (`puzzle.shuffle`).
  Published textures were photographs of surfaces, or of objects in heaps.

Other published sets, such as model-vs-human's sketches and distortions, are shown as
they are. Beside humans' decisions, models are ranked as in its benchmark.

scikit-image makes them on the host. The extra `evaluate` installs it.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from scipy import ndimage

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data import anagrams, domain_folders
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.reports.page import Section, Tile
from jigsaw_shape.reports.table import Table
from jigsaw_shape.suites import (
    accuracy,
    consistency,
    differences,
    figure_parts,
    labelled_images,
    puzzle,
)
from jigsaw_shape.suites.levels import GREY
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import PLAIN, Answers, Found, Job, Probe, Suite

TEXTURE_GRID = 6
_CANNY_STD_PX = 2**0.5
_CANNY_QUANTILE, _CANNY_LOW = 0.7, 0.4
_FAINTEST = 1 / 255  # in an image of 8 bits a lower gradient is due to rounding
_NOT_PUBLISHED = (
    *("cue_conflict", "images", anagrams.EXPERIMENT, domain_folders.EXPERIMENT),
)
_N_SHOWN = 8  # images of a published set


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns published stimuli, or without any the images to make them of."""
    published = [
        Job(stimuli, opened.models)
        for stimuli in opened.data
        if stimuli.experiment not in _NOT_PUBLISHED
    ]
    if published:
        return Found(published)
    if not opened.models:
        return Found(
            left_out=[
                "files of predictions can only answer experiments' own images, not "
                "versions made of others: give --data with a folder whose name says "
                "an experiment, such as edges, or EXPERIMENT=DIR"
            ]
        )
    found = labelled_images.find_probed(opened, suites)
    if found.jobs:
        try:
            skimage()
        except ValueError as error:
            return Found(left_out=[str(error)])
    return found


def probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns the versions of the module's list, for any images and models."""
    del stimuli, group
    return list(VERSIONS.values())


def rows(answers: Answers) -> Iterator[dict]:
    """Yields accuracies: of published stimuli beside observers, or of each version.

    `condition` is the experiment, a name of the module's list.
    """
    if any(GREY.name in outputs for outputs in answers.outputs.values()):
        yield from _made_rows(answers)
        return
    yield from accuracy.rows(answers)
    if answers.observers:
        everyone = answers.decisions, answers.observers
        for row in consistency.rows(*everyone, seed=answers.seed):
            yield {"condition": answers.stimuli.experiment, **row}
        yield from consistency.likeness_rows(*everyone, answers.stimuli.condition)


def _made_rows(answers: Answers) -> Iterator[dict]:
    scores = {}
    for model in answers.models:
        base = answers.base(model.name)
        own = scores.setdefault(model.name, {})
        for name, probe in VERSIONS.items():
            right = answers.correct(model.name, probe.name)
            own[name] = np.float32(right)
            share = accuracy.share(right, seed=answers.seed)
            yield base | {"condition": name} | share
    yield from differences.rows(scores, seed=answers.seed)


def _tables(rows, data) -> Iterator[Table]:
    yield from consistency.make_tables(rows, data)
    yield from accuracy.table(rows, data)
    yield from differences.table(rows, data)


def _section(rows, data, results, looks) -> Section:
    del data  # of all sets
    sets = list(dict.fromkeys(row["data"] for row in rows))
    drawn = {"experiments": accuracy.by_condition(rows, looks, ", ".join(sets))}
    for name in sets:
        here = [row for row in rows if row["data"] == name]
        kappas = consistency.figure(here, looks, name)
        if kappas is not None:
            drawn[f"error_consistency_{name}"] = kappas
    lead = (
        "One cue at a time: what is still recognized when colour, texture or inner "
        "detail is gone."
    )
    shown = tuple(_strips(results, rows))
    return Section("experiments", "One cue at a time", lead, drawn, shown)


def _strips(results, rows) -> Iterator[tuple[str, tuple[Tile, ...]]]:
    """Yields some images of each published set, or one image in each version of it."""
    for data in dict.fromkeys(row["data"] for row in rows):
        stimuli, samples = results.stimuli[data], results.samples.get(data, {})
        if GREY.name in samples and stimuli.experiment == "images":
            tiles = [
                Tile(samples[probe.name][0], differences.title_of(condition))
                for condition, probe in VERSIONS.items()
                if probe.name in samples
            ]
        else:
            spread = np.linspace(0, len(stimuli.images) - 1, _N_SHOWN).astype(int)
            tiles = [
                Tile(figure_parts.thumbnail(stimuli, i), str(stimuli.category[i]))
                for i in dict.fromkeys(spread)
            ]
        yield data, tuple(tiles)


def skimage():
    """Returns scikit-image with the modules that are used.

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
      image: float32 [H, W, 3] in [0, 1].
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
    """Returns a probe's `make`, which works on several images in parallel."""

    def make(rngs, images):
        del rngs
        with ThreadPoolExecutor() as workers:
            planes = list(workers.map(function, np.asarray(images)))
        return np.repeat(np.stack(planes)[..., None], 3, axis=-1)

    return make


VERSIONS = {
    "original": PLAIN,
    "greyscale": GREY,
    "black_and_white": Probe("black_and_white", _on_host(black_and_white)),
    "silhouette": Probe("silhouette", _on_host(silhouette)),
    "edges": Probe("edges", _on_host(edges)),
    "texture": Probe(
        "texture", jax.jit(lambda rngs, x: puzzle.shuffle(rngs, x, TEXTURE_GRID))
    ),
}

SUITE = Suite(
    find=find,
    wanted=labelled_images.WANTED,
    probes=probes,
    rows=rows,
    tables=_tables,
    section=_section,
    facts=accuracy.facts,
    overall=consistency.ranks,
    one_section=True,
)
