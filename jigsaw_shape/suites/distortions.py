"""The suite `distortions`: accuracy against the strength of each distortion.

A distortion's `area` is that under its curve of accuracy against the *index* of the
level, from 0 to L - 1, by the trapezoid rule and over L - 1: in [0, 1], a mean of the
levels' accuracies in which the first and the last have half a weight. It is a summary
at the published levels, whose steps are no physical unit.
"""

import functools
import math
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jigsaw_shape.classifiers.classifier import PLAIN, Outputs, Probe, Suite
from jigsaw_shape.measures import distortions as distortions_lib
from jigsaw_shape.measures import eidolons, intervals
from jigsaw_shape.measures.distortions import Distortion

GREY = Probe("grey", jax.jit(lambda rngs, images: distortions_lib.grey(images)))


def make_suite(amplitude: np.ndarray | None = None) -> Suite:
    """Returns the suite of the published distortions at the published levels.

    Its rows are of two kinds. One a distortion and level: `condition`, the distortion's
    name; `level`, a number or `"inf"`; `probe`, the name of the version that was shown;
    `accuracy`, with `low` and `high`, the ends of its 95 % bootstrap interval; `n`
    images. One a distortion: `condition`, `area`, see the module, with `low` and
    `high`; `n`. The levels of no distortion share the probes `plain` and `grey`.
    `scores` are each image's own areas, so that the differences between two models'
    areas are paired.

    Args:
      amplitude: `distortions.mean_amplitude` of all images that are measured, at the
        size in which the model sees them; None leaves power equalisation out.
    """
    table = distortions_lib.distortions(amplitude)
    probes = {}
    memory = _Memory()
    for name, distortion in table.items():
        make = _maker(distortion, memory)
        for level in distortion.levels:
            probe = _probe(name, distortion, level, make)
            probes[probe.name] = probe
    return Suite(
        "distortions",
        tuple(probes.values()),
        functools.partial(_rows, table),
        functools.partial(_scores, table),
    )


def areas(correct: np.ndarray) -> np.ndarray:
    """Returns the area under each image's curve: float64 [n], see the module.

    Args:
      correct: bool [n, L], L at least 2, whether each image was answered rightly at
        each level.
    """
    weights = np.ones(correct.shape[1])
    weights[[0, -1]] = 0.5
    return correct @ weights / weights.sum()


def level_name(level: float) -> float | str:
    """Returns a level as JSON can hold it."""
    return level if math.isfinite(level) else "inf"


def _probe_name(name: str, distortion: Distortion, level: float) -> str:
    if level == distortion.none and distortion.base:
        return distortion.base
    return f"{name}/{level:g}"


def _probe(name: str, distortion: Distortion, level: float, make) -> Probe:
    named = _probe_name(name, distortion, level)
    shared = {probe.name: probe for probe in (PLAIN, GREY)}
    return shared.get(named) or Probe(
        named, lambda rngs, images: make(rngs, images, jnp.float32(level))
    )


def _maker(distortion: Distortion, memory: "_Memory"):
    """Returns the compiled distortion, one program for all of its levels."""
    if distortion.coherence is None:
        return jax.jit(distortion.distort)
    return functools.partial(memory.disarray, distortion.coherence)


class _Memory:
    """The last batch's parts of eidolons, which all reaches and coherences share.

    Used where the next call has the same arrays of JAX, not equal ones. They take 12 MB
    an image of 224 px.
    """

    def __init__(self):
        self._of, self._parts = (None, None), None

        @jax.jit
        def decompose(rngs, images):
            scale = distortions_lib.scale(images.shape[1])
            grey = distortions_lib.grey(images)[..., 0]
            return eidolons.decompose(rngs, grey, scale=scale)

        @jax.jit
        def compose(parts, reach, coherence):
            scale = distortions_lib.scale(parts.slices.shape[-1])
            planes = eidolons.compose(
                parts, reach=reach, coherence=coherence, scale=scale
            )
            return jnp.repeat(planes[..., None], 3, axis=-1)

        self._decompose, self._compose = decompose, compose

    def disarray(self, coherence: float, rngs, images, level):
        same = self._of[0] is rngs and self._of[1] is images
        if not (same and isinstance(images, jax.Array)):
            self._of, self._parts = (rngs, images), None  # free them first
            self._parts = self._decompose(rngs, images)
        return self._compose(self._parts, level, jnp.float32(coherence))


def _correct(
    name: str,
    distortion: Distortion,
    outputs: Mapping[str, Outputs],
    label: np.ndarray,
) -> np.ndarray:
    """Returns which answers were right: bool [n, L]."""
    names = [_probe_name(name, distortion, level) for level in distortion.levels]
    answers = [outputs[n]["classification"].argmax(-1) for n in names]
    return np.stack(answers, axis=1) == label[:, None]


def _scores(
    table: Mapping[str, Distortion],
    outputs: Mapping[str, Outputs],
    label: np.ndarray,
) -> dict[str, np.ndarray]:
    return {
        name: np.float32(areas(_correct(name, distortion, outputs, label)))
        for name, distortion in table.items()
    }


def _rows(
    table: Mapping[str, Distortion],
    outputs: Mapping[str, Outputs],
    label: np.ndarray,
    seed: int,
) -> Iterator[dict]:
    everyone = np.ones(len(label))
    for name, distortion in table.items():
        correct = _correct(name, distortion, outputs, label)
        for level, right in zip(distortion.levels, correct.T, strict=True):
            low, high = intervals.interval(right, everyone, seed=seed)
            yield {
                "condition": name,
                "level": level_name(level),
                "probe": _probe_name(name, distortion, level),
                "accuracy": float(right.mean()),
                "low": low,
                "high": high,
                "n": len(label),
            }
        own = areas(correct)
        low, high = intervals.interval(own, everyone, seed=seed)
        yield {
            "condition": name,
            "area": float(own.mean()),
            "low": low,
            "high": high,
            "n": len(label),
        }
