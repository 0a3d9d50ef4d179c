"""Which suites are measured on which images, by which models."""

import dataclasses
from collections.abc import Sequence

from jigsaw_shape.data.shared_classes import some
from jigsaw_shape.data.splits import NONE
from jigsaw_shape.suites import SUITES
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import Job


def plan(
    opened: Opened, suites: Sequence[str], *, explicit: bool
) -> tuple[list[Job], list[str]]:
    """Returns which images to show to which models, and notes on the results.

    Jobs with probes come first: they also show unchanged images, whose answers the
    other jobs use again.

    Args:
      opened: The models and images.
      suites: Keys of `SUITES`, in their order.
      explicit: Whether each suite was asked for by name. What cannot be measured is
        then an error, else a note.

    Raises:
      ValueError: A suite has no images, or a model cannot answer them.
    """
    jobs: dict[tuple, Job] = {}
    notes: list[str] = []
    for name in suites:
        suite = SUITES[name]
        found = suite.find(opened, suites)
        left_out = list(found.left_out)
        if not (found.jobs or left_out):
            left_out = [f"{name} has no images: {suite.wanted}"]
        if left_out and explicit:
            raise ValueError(left_out[0])
        notes += [*left_out, *found.notes]
        for job in found.jobs:
            members = tuple(model.name for model in job.models)
            key = (job.stimuli.name, members, job.probed, suite.by_features)
            job = jobs.get(key, job)
            jobs[key] = dataclasses.replace(job, suites=(*job.suites, name))
    ordered = sorted(jobs.values(), key=lambda job: not job.probed)
    for number, job in enumerate(ordered):
        if SUITES[job.suites[0]].by_features:
            continue
        if not (job.models or opened.predicted):
            raise ValueError(
                f"{', '.join(job.suites)} need answers, but --predictions holds only "
                "features"
            )
        matches = {m.name: opened.match(m, job.stimuli) for m in job.models}
        ordered[number] = dataclasses.replace(job, matches=matches)
        notes += _class_notes(ordered[number])
    used = {job.stimuli.digest for job in ordered}
    unused = [s.name for s in opened.data if s.digest not in used]
    if unused:
        notes.append(
            f"--data {', '.join(unused)}: no suite that was asked for uses it; if "
            "these are ordinary labelled images, write --data images=DIR"
        )
    return ordered, list(dict.fromkeys([*notes, *_trained_on(opened, ordered)]))


def _class_notes(job: Job) -> list[str]:
    """Returns notes on classes that only the images or only a model have.

    Raises:
      ValueError: Images and a model have no class in common.
    """
    notes, categories = [], job.stimuli.categories
    if len(categories) == 1:
        notes.append(
            f"{job.stimuli.name} shows one class, {categories[0]}: accuracy on it does "
            "not say whether a model tells classes apart"
        )
    for model, match in job.matches.items():
        if len(match.missing) == len(categories):
            raise ValueError(
                f"{job.stimuli.name} shows {some(categories)}, and {model} knows none "
                f"of them: its classes are {some(match.names)}. Give --mapping FILE "
                "with lines CLASS,CATEGORY if only the names differ"
            )
        if match.missing:
            n = int(sum(name in match.missing for name in job.stimuli.category))
            notes.append(
                f"{model} has no class for {some(match.missing)} of "
                f"{job.stimuli.name}, so it is wrong on {n} of its images; accuracy on "
                "the shared classes is given too"
            )
        if match.unseen:
            notes.append(
                f"{model} can also answer {some(match.unseen)}, which "
                f"{job.stimuli.name} does not show"
            )
    return notes


def _trained_on(opened: Opened, jobs: Sequence[Job]) -> list[str]:
    """Returns notes on runs that may have been trained on what a set was made of."""
    notes = []
    for job in jobs:
        if (made_of := job.stimuli.held_out) is None:
            continue
        splits = {
            model.name: (model.config.data.split, model.config.data.split_seed)
            for model in job.models
            if model.config is not None and model.about["images"] == made_of.images
        }
        all_seen = [name for name, split in splits.items() if split[0] == NONE]
        if all_seen:
            notes.append(
                f"{job.stimuli.name} is made of images that {', '.join(all_seen)} may "
                f"have been trained on: split {NONE} holds none of the sources' out"
            )
        names = [
            name
            for name, split in splits.items()
            if split != made_of[1:] and name not in all_seen
        ]
        if names:
            notes.append(
                f"{job.stimuli.name} is made of images that split {made_of.split} "
                f"(seed {made_of.split_seed}) holds out. {', '.join(names)}, trained "
                "with another split, may have seen some of them. Make a set with the "
                "run's --config.data.split and --config.data.split_seed"
            )
    return notes
