"""The suite `distortions`: accuracy against the strength of each distortion.

A distortion's `area` is the area under its curve of accuracy against the *index* of the
level, 0 to L - 1, by the trapezoid rule, divided by L - 1: a mean in [0, 1] of the
levels' accuracies in which the first and the last weigh half. It summarizes the
published levels, whose steps are no physical unit.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import distortions as distortions_lib
from jigsaw_shape.measures.distortions import Distortion
from jigsaw_shape.suites import levels, one_pass
from jigsaw_shape.suites.suite import Probe


def area_weights(n_levels: int) -> np.ndarray:
    """Returns what each level counts in the area under a curve: float64 [n_levels]."""
    weights = np.ones(n_levels)
    weights[[0, -1]] = 0.5
    return weights


_KIND = levels.Kind(
    name="distortions",
    table=distortions_lib.distortions(np.zeros((1, 1), np.float32)),
    summary="area",
    weights=area_weights,
    heading="Area under the curve of accuracy",
    fact="right under distortions, mean over",
    lead=(
        "Accuracy as each distortion grows, from undistorted images on the left. The "
        "broken line is chance; shades are 95 % intervals over images."
    ),
    units={
        "contrast": "share of the contrast",
        "low_pass": "blur, px at 224",
        "high_pass": "blur, px at 224",
        "uniform_noise": "half-width",
        "phase_scrambling": "phase noise, degrees",
        "power_equalisation": "spectrum: 0 own, 1 the mean",
        "false_colour": "colours: 0 own, 1 opposite",
        "rotation": "turn, degrees",
        "eidolon_1": "reach, px at 224",
        "eidolon_2": "reach, px at 224",
        "eidolon_3": "reach, px at 224",
    },
    titles={f"eidolon_{n}": f"Eidolon {'I' * n}" for n in (1, 2, 3)},
)


def probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns every distortion at each of its published levels.

    Power equalisation needs the mean amplitude spectrum, for which all images are read
    once before.

    Args:
      stimuli: All images that are measured.
      group: Models of one size.
    """
    return list(make_probes(_amplitude(stimuli, group)).values())


def make_probes(amplitude: np.ndarray) -> dict[str, Probe]:
    """Returns the probes by name.

    Args:
      amplitude: `measures.distortions.mean_amplitude` of the images, at the size in
        which the model sees them.
    """
    memory = _Memory()

    def maker(distortion: Distortion) -> levels.Make:
        if distortion.coherence is None:
            return jax.jit(distortion.distort)
        return lambda rngs, images, level: _eidolons_of(
            memory.parts(rngs, images), level, jnp.float32(distortion.coherence)
        )

    return levels.make_probes(distortions_lib.distortions(amplitude), maker)


def _amplitude(stimuli: Stimuli, group: Sequence[Classifier]) -> np.ndarray:
    """Returns the images' mean amplitude spectrum, for which it reads all of them."""
    store = one_pass.store_of(stimuli, group)
    batches = store.batches(one_pass.chunks_of(len(stimuli.images), group))
    return distortions_lib.mean_amplitude(
        one_pass.resize(batch["image"], group[0].size_px) for batch in batches
    )


_eidolon_parts = jax.jit(distortions_lib.eidolon_parts)
_eidolons_of = jax.jit(distortions_lib.eidolons_of)


class _Memory:
    """The last batch's parts of eidolons, which all reaches and coherences share.

    They are used again for the same arrays of JAX, not for equal ones. They take 12 MB
    for each image of 224 px.
    """

    def __init__(self):
        self._of, self._parts = (None, None), None

    def parts(self, rngs, images):
        same = self._of[0] is rngs and self._of[1] is images
        if not (same and isinstance(images, jax.Array)):
            self._of, self._parts = (rngs, images), None  # free the old ones first
            self._parts = _eidolon_parts(rngs, images)
        return self._parts


SUITE = levels.make_suite(_KIND, probes)
