"""Which images the suite `retrieval` is measured on, and of whom."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.classifiers.classifier import Model
from jigsaw_shape.data import domain_folders
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.measures import retrieval
from jigsaw_shape.suites.inputs import Opened
from jigsaw_shape.training import learner

Searched = list[tuple[Stimuli, Sequence[Model]]]


def find(opened: Opened, *, explicit: bool) -> tuple[Searched, list[str]]:
    """Returns images and who is shown them, and notes on what is left out.

    Images of domains that are given; else each run's own, shown to the models that are
    no runs too: what is found needs no names of classes.

    Args:
      opened: The models and images.
      explicit: Whether what has no features, or can find nothing, is refused instead
        of left out with a note.

    Raises:
      ValueError: As `explicit` says.
    """
    notes = []

    def leave_out(text):
        if explicit:
            raise ValueError(text)
        notes.append(f"retrieval leaves out what cannot be searched: {text}")

    able = []
    for model in opened.models:
        if model.has_features:
            able.append(model)
        else:
            leave_out(
                f"{model.name} gives no features to compare: an ONNX file needs an "
                "output called features, [B, F], as `python -m jigsaw_shape.export` "
                "writes it"
            )
    given = [s for s in opened.data if s.experiment == domain_folders.EXPERIMENT]
    for one in opened.predicted if given else ():
        if one.observer not in opened.features:
            leave_out(
                f"the predictions {one.observer} hold no features to compare: an npz "
                "needs an array called features, [images, F]"
            )
    found = [(s, able) for s in given if able or opened.features]
    if not given:
        others = [model for model in able if model.name not in opened.configs]
        own = [(s, [*runs, *others]) for s, runs in opened.of_runs(own_images)]
        found = [(s, m) for s, m in own if m]
    kept = []
    for stimuli, models in found:
        try:
            retrieval.check(stimuli.category, stimuli.domain, stimuli.name)
        except ValueError as error:
            leave_out(str(error))
        else:
            kept.append((stimuli, models))
            notes += [f"{stimuli.name}: {stimuli.made_by}"] * bool(stimuli.made_by)
    return kept, notes


def own_images(config) -> Stimuli:
    """Returns a run's target and its sources' validation images: none that trained."""
    dataset, splits = learner.load_data(config)
    stimuli = of_dataset(
        dataset,
        np.sort(np.concatenate([splits.val, splits.target])),
        name=f"{dataset.name}/{config.data.target} and validation",
        side_px=config.data.stored_px,
    )
    made_by = (
        f"Every image of the target {config.data.target} and the images of "
        f"{', '.join(splits.sources)} that were held out for validation; none that the "
        "run was trained on"
    )
    return dataclasses.replace(stimuli, made_by=made_by)
