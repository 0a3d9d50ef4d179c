"""Images made by a function, as the suites take them."""

import contextlib
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.suites import SUITES, plan
from jigsaw_shape.suites import classes as classes_lib
from jigsaw_shape.suites.evaluator import Evaluator
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.results import Results
from jigsaw_shape.suites.suite import Answers


def make_stimuli(
    names: Sequence[str], category: np.ndarray, read: Callable, **fields
) -> Stimuli:
    """Returns labelled images of 8 px called `mine`; `fields` are any others."""
    fields = {"experiment": "images", "texture": None, "digest": "0", **fields}
    return Stimuli(
        name="mine",
        images=tuple(names),
        paths=tuple(map(pathlib.Path, names)),
        category=category,
        read=lambda i, px, *how: read(i, px),
        side_px=8,
        made_by="",
        **fields,
    )


def make_answers(outputs, label: np.ndarray, size_px: int = 48, permutations=None):
    """Returns one model's outputs as suites take them; classes are "0", "1", ..."""
    classes = tuple(
        map(str, range(next(iter(outputs.values()))["classification"].shape[1]))
    )
    category = np.array([classes[n] for n in label])
    model = Classifier("m", classes, size_px, 4, None, permutations=permutations)
    names = [f"{n}.png" for n in range(len(label))]
    return Answers(
        make_stimuli(names, category, None),
        [model],
        {"m": outputs},
        {"m": classes_lib.match(classes, classes)},
    )


def evaluate(
    suites,
    models,
    stimuli,
    *,
    n_images=0,
    predicted=(),
    features=None,
    explicit=True,
    full=False,
) -> Results:
    """Returns what suites find of models on the images that are given."""
    opened = Opened(
        tuple(models), (stimuli,), predicted, features or {}, n_images=n_images
    )
    jobs, notes = plan.plan(opened, suites, explicit=explicit)
    evaluator = Evaluator(opened, 0, n_images, _no_bar)
    evaluator.full = full
    evaluator.keep_features = any(SUITES[name].by_features for name in suites)
    evaluator.results.notes += notes
    for job in jobs:
        evaluator.run(job)
    return evaluator.results


@contextlib.contextmanager
def _no_bar(title, n_images):
    yield lambda n_done: None
