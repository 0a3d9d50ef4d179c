"""The suites of `evaluate`, by name, in the order in which they are shown."""

from jigsaw_shape.suites import (
    configural,
    corruptions,
    distortions,
    experiments,
    probe,
    puzzle,
    reliance,
    retrieval,
    shape_bias,
    target,
    triplets,
)
from jigsaw_shape.suites.suite import Suite

SUITES: dict[str, Suite] = {
    "shape_bias": shape_bias.SUITE,
    "experiments": experiments.SUITE,
    "target": target.SUITE,
    "reliance": reliance.SUITE,
    "configural": configural.SUITE,
    "distortions": distortions.SUITE,
    "corruptions": corruptions.SUITE,
    "puzzle": puzzle.SUITE,
    "retrieval": retrieval.SUITE,
    "probe": probe.SUITE,
    "triplets": triplets.SUITE,
}
