"""Which suite is run on which images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.classifiers.classifier import Model
from jigsaw_shape.data import domain_folders, sources
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.suites import experiments as made_stimuli
from jigsaw_shape.suites import searched
from jigsaw_shape.suites.inputs import Opened
from jigsaw_shape.suites.session import Session
from jigsaw_shape.training import learner

_MADE = ("target", "experiments", "distortions", "puzzle")  # from labelled images


@dataclasses.dataclass(frozen=True)
class Job:
    """A pass: what is asked of which models about which images.

    Attributes:
      suites: `("shape_bias",)` and `("experiments",)` of published images,
        `("retrieval",)`, or those that are made from labelled images.
      stimuli: The images.
      models: Who is shown them; perhaps nobody.
      published: Whether the images are scored as they are, beside observers.
    """

    suites: tuple[str, ...]
    stimuli: Stimuli
    models: tuple[Model, ...]
    published: bool


def plan(
    opened: Opened, suites: Sequence[str], *, explicit: bool
) -> tuple[list[Job], list[str]]:
    """Returns the passes that the suites need, and notes on what they leave out.

    Args:
      opened: The models and images.
      suites: Of `session.SUITES`.
      explicit: Whether each suite was asked for by name: one without images to run on
        is then refused, else left out with a note.

    Raises:
      ValueError: There are no images for a suite, or a model cannot answer them.
    """
    conflicts = _conflicts(opened) if "shape_bias" in suites else []
    published = [
        (stimuli, opened.models)
        for stimuli in opened.data
        if stimuli.experiment
        not in ("cue_conflict", "images", domain_folders.EXPERIMENT)
        and "experiments" in suites
    ]
    made = [suite for suite in _MADE if suite in suites]
    # Published stimuli are not made once more, and a file cannot be asked again.
    if published:
        made.remove("experiments")
    if not opened.models:
        made = [suite for suite in made if suite == "target"]
    labelled = _labelled(opened, suites) if made else []
    notes, noted = [], set()
    if labelled and "experiments" in made:
        try:
            made_stimuli.skimage()
        except ValueError as error:
            if explicit:
                raise
            made.remove("experiments")
            notes.append(str(error))
            noted.add("experiments")
    jobs = [Job(("shape_bias",), s, tuple(m), True) for s, m in conflicts]
    jobs += [Job(("experiments",), s, tuple(m), True) for s, m in published]
    jobs += [Job(tuple(made), s, tuple(m), False) for s, m in labelled]
    if "retrieval" in suites:  # last: features that passes before it kept are there
        found, left_out = searched.find(opened, explicit=explicit)
        jobs += [Job(("retrieval",), s, tuple(m), False) for s, m in found]
        notes += left_out
        noted |= {"retrieval"} if left_out and not found else set()
    for suite in suites:
        if suite not in noted and not any(suite in job.suites for job in jobs):
            text = f"{suite} has no images: {_wanted(suite, opened)}"
            if explicit:
                raise ValueError(text)
            notes.append(text)
    unused = [s.name for s in opened.data if not any(s is j.stimuli for j in jobs)]
    if unused:
        notes.append(
            f"--data {', '.join(unused)}: no suite here looks at it; a folder of other "
            "images than experiments' is given as images=DIR"
        )
    notes += _trained_on(opened, jobs)
    for job in jobs:
        if job.suites == ("retrieval",):  # of features, whatever the classes
            continue
        if not (job.models or opened.predicted):
            raise ValueError(
                f"{', '.join(job.suites)}: --predictions holds features and no answers"
            )
        for model in job.models:
            job.stimuli.labels(model.classes, model.name)
    return jobs, notes


def run(session: Session, job: Job, opened: Opened) -> None:
    """Does a job; what it finds is in `session.findings`.

    Raises:
      OSError: An image cannot be read.
      session.NonFiniteError: A model's scores are no numbers.
    """
    given = any(job.stimuli is stimuli for stimuli in opened.data)
    predicted = opened.predicted if given else ()  # a file answers what is given alone
    if job.published:
        decided = [*session.decide(job.models, job.stimuli), *predicted]
        session.score(job.suites[0], job.stimuli, decided, opened.observers)
        return
    if job.suites == ("retrieval",):
        features = opened.features if given else {}
        session.retrieve(job.models, job.stimuli, features)
        return
    if job.models:
        session.probe(job.suites, job.models, job.stimuli, predicted)
    elif predicted:
        session.score("target", job.stimuli, predicted, ())


def _trained_on(opened: Opened, jobs: Sequence[Job]) -> list[str]:
    """Returns notes on runs that were trained on what a set was made of."""
    notes = []
    for job in jobs:
        made_of = job.stimuli.held_out
        if made_of is None:
            continue
        names = []
        for model in job.models:
            if model.about.get("images") == made_of.images:
                data = opened.configs[model.name].data
                if (data.split, data.split_seed) != made_of[1:]:
                    names.append(model.name)
        if names:
            notes.append(
                f"{job.stimuli.name} is made of images that split {made_of.split} "
                f"(seed {made_of.split_seed}) holds out: {', '.join(names)}, of "
                "another split, may have been trained on some of them. Make a set with "
                "--config.data.split and --config.data.split_seed of the run"
            )
    return list(dict.fromkeys(notes))


def _wanted(suite: str, opened: Opened) -> str:
    if suite == "shape_bias":
        return "give --data with a folder whose name says cue-conflict"
    if suite == "retrieval":
        return (
            f"give --data {domain_folders.EXPERIMENT}=DIR with folders "
            "DOMAIN/CLASS/IMAGE, or --workdir with a run's own"
        )
    if opened.predicted and not opened.models:
        if suite == "experiments":
            return (
                "files of predictions answer experiments' own images, and cannot be "
                "asked about versions of others: give --data with a folder whose name "
                "says an experiment, such as edges, or EXPERIMENT=DIR"
            )
        if suite != "target":
            return (
                "files of predictions answer shape_bias, experiments and target alone"
            )
    return "give --data with a folder CATEGORY/IMAGE, or --workdir with a run's own"


def _conflicts(opened: Opened) -> list[tuple[Stimuli, Sequence[Model]]]:
    """Returns cue conflicts and who is asked; where none is given, the runs' own."""
    found = [
        (stimuli, opened.models)
        for stimuli in opened.data
        if stimuli.experiment == "cue_conflict"
    ]
    return found or opened.of_runs(_own_conflict)


def _labelled(
    opened: Opened, suites: Sequence[str]
) -> list[tuple[Stimuli, Sequence[Model]]]:
    """Returns labelled images and who is asked.

    Those that are given; else the runs' targets, and for other models the published
    originals, or any published stimuli where no experiment is asked for.
    """
    given = [s for s in opened.data if s.experiment == "images"]
    if given:
        return [(stimuli, opened.models) for stimuli in given]
    others = [model for model in opened.models if model.name not in opened.configs]
    published = [
        (stimuli, others)
        for stimuli in opened.data
        if stimuli.experiment == "original"
        or (
            "experiments" not in suites
            and stimuli.experiment not in ("cue_conflict", domain_folders.EXPERIMENT)
        )
    ]
    found = opened.of_runs(_own_target)
    return found + (published if others or opened.predicted else [])


def _own_target(config) -> Stimuli:
    dataset, splits = learner.load_data(config)
    return of_dataset(
        dataset,
        splits.target,
        name=f"{dataset.name}/{config.data.target}",
        side_px=config.data.stored_px,
    )


def _own_conflict(config) -> Stimuli | None:
    dataset = sources.load_cue_conflict(config.data)
    if dataset is None:
        return None
    return of_dataset(
        dataset,
        np.arange(len(dataset)),
        name=f"{config.data.name}/cue conflict",
        side_px=config.data.stored_px,
        conflict=True,
    )
