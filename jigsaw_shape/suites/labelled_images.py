"""Finds labelled images for the suites that need nothing else.

Target, distortions, corruptions, puzzle and experiments share the images and the
passes over them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.data import anagrams, domain_folders
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.suites import own_data
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.suite import Found, Job

_NOT_LABELLED = ("cue_conflict", anagrams.EXPERIMENT, domain_folders.EXPERIMENT)
WANTED = "give --data with a folder CATEGORY/IMAGE, or --model with a run, for its own"


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns labelled images, to be shown unchanged.

    These are the given ones. Without any, runs are shown their targets, and other
    models published originals, or any published stimuli if the suite `experiments` is
    not asked for.
    """
    given = [s for s in opened.data if s.experiment == "images"]
    if given:
        return Found([Job(stimuli, opened.models) for stimuli in given])
    others = tuple(m for m in opened.models if m.config is None)
    usable = [
        stimuli
        for stimuli in opened.data
        if stimuli.experiment == "original"
        or ("experiments" not in suites and stimuli.experiment not in _NOT_LABELLED)
    ]
    found = [Job(stimuli, runs) for stimuli, runs in opened.of_runs(own_target)]
    if others or opened.predicted:
        found += [Job(stimuli, others) for stimuli in usable]
    return Found(found)


def find_probed(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns labelled images to make probes of; files cannot answer these."""
    if not opened.models:
        return Found(
            left_out=[
                "files of predictions cannot be asked about distorted or shuffled "
                "images: give --model, or only the suites shape_bias, experiments and "
                "target"
            ]
        )
    return Found(
        [
            dataclasses.replace(one, probed=True)
            for one in find(opened, suites).jobs
            if one.models
        ]
    )


def own_target(config) -> Stimuli:
    """Returns every image of the domain that a run held out."""
    dataset, splits = own_data.load(config)
    return of_dataset(
        dataset,
        splits.target,
        name=f"{dataset.name}/{config.data.target}",
        side_px=config.data.stored_px,
    )


def choice(stimuli: Stimuli, n_images: int, seed: int) -> Stimuli:
    """Returns at most `n_images` of the images, each class in proportion; 0: all."""
    n = len(stimuli.images)
    if not 0 < n_images < n:
        return stimuli
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    # Rank / size within each class: the first images have each class in proportion.
    rank = np.empty(n)
    for name in stimuli.categories:
        members = order[stimuli.category[order] == name]
        rank[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return stimuli.subset(np.sort(np.argsort(rank, kind="stable")[:n_images]))
