"""What a run saw in training, by the names of domains and classes."""

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.of_run import ADAPTATION
from jigsaw_shape.data import domain_folders
from jigsaw_shape.data.known_sets import find_set
from jigsaw_shape.data.names import plain
from jigsaw_shape.data.stimuli import Stimuli


def of_domains(model: Classifier, stimuli: Stimuli) -> dict[str, bool]:
    """Returns whether a run was trained on each domain; {} of what is no run.

    A domain of a folder counts as trained on if a source has its name. An adaptation
    run saw its target, though without labels.
    """
    about = model.about
    if "target" not in about or "dataset" not in about or stimuli.domain is None:
        return {}
    names = list(dict.fromkeys(stimuli.domain.tolist()))
    listed = [name for name in about.get("sources", "").split(",") if name.strip()]
    target = plain(about["target"])
    if not listed:
        is_own = stimuli.experiment != domain_folders.EXPERIMENT
        known = names if is_own else find_set(about["dataset"]).domains
        listed = [name for name in known if plain(name) != target]
    if about.get("setting") == ADAPTATION:
        listed.append(target)
    sources = {plain(name) for name in listed}
    return {name: plain(name) in sources for name in names}


def of_classes(model: Classifier, stimuli: Stimuli) -> np.ndarray | None:
    """Returns whether each image is of a class that a run knows: bool [n].

    None of what is no run, or has no classes.
    """
    if "target" not in model.about or not model.classes:
        return None
    known = {plain(name) for name in model.classes}
    return np.array([plain(str(name)) in known for name in stimuli.category])
