"""What frozen features are worth to a simple classifier that is fitted on them.

Three classifiers, none of which changes the network: k nearest neighbours, a linear
probe, and the nearest class mean of few images. Needs scikit-learn.
"""

import copy
import warnings
from typing import Any, NamedTuple

import numpy as np

from jigsaw_shape.measures.retrieval import unit

FIT, CHOOSE, TEST = "fit", "choose", "test"
N_NEIGHBOURS, TEMPERATURE = 20, 0.07
STRENGTHS = tuple(10.0**n for n in range(-5, 2))
MIDDLE_STRENGTH = STRENGTHS[len(STRENGTHS) // 2]  # where no image chooses
SHOTS, N_DRAWS = (1, 5, 10), 20
_MOST_STEPS = 300  # of L-BFGS; held-out images judge what has not converged by then
_SHARES = {False: (0.6, 0.8), True: (0.0, 0.5)}  # ends of FIT and of CHOOSE


class Linear(NamedTuple):
    """A linear probe's answers.

    Attributes:
      answers: [M], as the labels.
      strength: C, the inverse of the regularization that was chosen.
    """

    answers: np.ndarray
    strength: float


def sklearn() -> Any:
    """Returns scikit-learn with the modules that are used.

    Raises:
      ValueError: It is not installed.
    """
    try:
        import sklearn.linear_model
        import sklearn.neighbors
        import sklearn.pipeline
        import sklearn.preprocessing
    except ModuleNotFoundError as error:
        raise ValueError(
            "this needs scikit-learn: pip install 'jigsaw_shape[evaluate]'"
        ) from error
    return sklearn


def parts(
    labels: np.ndarray, domains: np.ndarray, trained: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """Returns what each image is for: str [N], `FIT`, `CHOOSE` or `TEST`.

    In a domain with images that a network was trained on, these are fitted on, and of
    the others a half chooses and a half tests. In other domains 60 % fit, 20 % choose,
    20 % test. Each class is divided in these proportions, in a seeded order.

    Args:
      labels: [N], classes.
      domains: [N].
      trained: bool [N], whether a network was trained on it.
      seed: Of the order.
    """
    found = np.full(len(labels), FIT, "<U6")
    rng = np.random.default_rng(seed)
    for domain in np.unique(domains):
        here = domains == domain
        ends = _SHARES[bool(trained[here].any())]
        for label in np.unique(labels[here]):
            members = rng.permutation(
                np.flatnonzero(here & ~trained & (labels == label))
            )
            place = (np.arange(len(members)) + 0.5) / max(1, len(members))
            found[members[place >= ends[0]]] = CHOOSE
            found[members[place >= ends[1]]] = TEST
    return found


def nearest_neighbours(
    features: np.ndarray, labels: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Returns the answers of k nearest neighbours by cosine similarity: [M].

    k = 20 (all where there are fewer). A neighbour votes with weight
    exp(similarity / 0.07): Wu et al., CVPR 2018, section 3.4, with the k of Caron et
    al. (DINO), ICCV 2021, section 4.1.

    Args:
      features: float [N, F], fitted on.
      labels: [N], their classes.
      asked: float [M, F].
    """
    model = sklearn().neighbors.KNeighborsClassifier(
        min(N_NEIGHBOURS, len(features)),
        metric="cosine",
        algorithm="brute",
        weights=lambda distance: np.exp(-distance / TEMPERATURE),
    )
    return model.fit(features, labels).predict(asked)


def linear_probe(
    features: np.ndarray,
    labels: np.ndarray,
    held_out: np.ndarray,
    held_out_labels: np.ndarray,
    asked: np.ndarray,
) -> Linear:
    """Returns the answers of a logistic regression, its strength chosen on held-out.

    Each feature is standardized over the images fitted on. Multinomial logistic
    regression with an L2 penalty is fitted by L-BFGS for each C in `STRENGTHS` (as
    Kornblith et al., CVPR 2019, section 3.2, with a coarser grid). The most accurate on
    the held-out images answers; of equal ones the most strongly regularized.

    Args:
      features: float [N, F], fitted on.
      labels: [N], their classes, at least two.
      held_out: float [H, F], images that choose; none: the middle of the grid is taken.
      held_out_labels: [H].
      asked: float [M, F].
    """
    scale = sklearn().preprocessing.StandardScaler().fit(features)
    features, asked = scale.transform(features), scale.transform(asked)
    strengths = STRENGTHS
    if len(held_out):
        held_out = scale.transform(held_out)
    else:
        strengths = (MIDDLE_STRENGTH,)
    model = sklearn().linear_model.LogisticRegression(
        max_iter=_MOST_STEPS, warm_start=True
    )
    best, chosen, strength = -1.0, model, strengths[0]
    for c in strengths:  # from the strongest penalty on, each starts from the last
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=_not_converged())
            model.set_params(C=c).fit(features, labels)
        right = 0.0
        if len(held_out):
            right = float(np.mean(model.predict(held_out) == held_out_labels))
        if right > best:
            best, chosen, strength = right, copy.deepcopy(model), c
    return Linear(chosen.predict(asked), strength)


def _not_converged() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning

    return ConvergenceWarning


def few_shot(
    features: np.ndarray,
    labels: np.ndarray,
    asked: np.ndarray,
    shots: int,
    *,
    seed: int = 0,
    n_draws: int = N_DRAWS,
) -> np.ndarray | None:
    """Returns the answers of the nearest class mean of few images: [n_draws, M].

    Features lose their mean over all images that can be drawn, and are scaled to length
    1; a class's mean is over `shots` of its images; the nearest by Euclidean distance
    answers (SimpleShot with CL2N, Wang et al., arXiv 1911.04623, section 3). Each draw
    is of other images, without replacement. None where a class has fewer than `shots`.

    Args:
      features: float [N, F], to be drawn from.
      labels: [N], their classes.
      asked: float [M, F].
      shots: Images of each class.
      seed: Of the drawing.
      n_draws: Their number.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < shots:
        return None
    middle = features.mean(0)
    features, asked = unit(features - middle), unit(asked - middle)
    rng = np.random.default_rng([seed, shots])
    members = [np.flatnonzero(labels == name) for name in classes]
    answers = []
    for _ in range(n_draws):
        means = np.stack(
            [features[rng.permutation(m)[:shots]].mean(0) for m in members]
        )
        # The nearest: |x - m|^2 without |x|^2, which is the same for all.
        distance = (means**2).sum(1) - 2 * asked @ means.T
        answers.append(classes[distance.argmin(1)])
    return np.stack(answers)
