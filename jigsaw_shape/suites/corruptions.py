"""The suite `corruptions`: accuracy on ImageNet-C's corruptions of any labelled images.

On a run of PACS it is PACS-C; images of less than 64 px have CIFAR-10-C's settings. A
corruption's `mean` is the mean accuracy over its five severities, one minus the
corruption error of Hendrycks & Dietterich, ICLR 2019, section 4.2, without their
division by AlexNet's.
"""

from collections.abc import Sequence

import jax
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures.corruptions import corruptions
from jigsaw_shape.suites import levels
from jigsaw_shape.suites.suite import Probe

_TABLE = corruptions()
PROBES = levels.make_probes(_TABLE, lambda corruption: jax.jit(corruption.distort))


def severity_weights(n_levels: int) -> np.ndarray:
    """Returns weights of levels, of which the first is the image itself: [n_levels]."""
    return np.float64(np.arange(n_levels) > 0)


_KIND = levels.Kind(
    name="corruptions",
    table=_TABLE,
    summary="mean",
    weights=severity_weights,
    heading="Accuracy, mean over five severities,",
    fact="right under corruptions, mean over",
    lead=(
        "Accuracy as each corruption grows, from the image itself on the left. The "
        "broken line is chance; shades are 95 % intervals over images."
    ),
    units=dict.fromkeys(_TABLE, "severity"),
    titles={"jpeg_compression": "JPEG compression"},
)


def probes(stimuli: Stimuli, group: Sequence[Classifier]) -> list[Probe]:
    """Returns every corruption at each severity, and the images themselves."""
    del stimuli, group
    return list(PROBES.values())


SUITE = levels.make_suite(_KIND, probes)
