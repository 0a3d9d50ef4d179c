"""The images that `evaluate --data` names: folders, and what comes with the package."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data import anagrams, domain_folders, emoji, out_of_distribution
from jigsaw_shape.data.decisions import EXPERIMENTS, experiment_of
from jigsaw_shape.data.embedded import emoji_small
from jigsaw_shape.data.stimuli import Stimuli, of_dataset, read_folder

_PARTS = (emoji.HELD_OUT, emoji.UNRELATED)  # of the classes of domains=DIR
_LABELS = (
    *(*EXPERIMENTS, "images", anagrams.EXPERIMENT, domain_folders.EXPERIMENT),
    *_PARTS,
)
_SHIPPED = "emoji_small"  # in place of a folder of domains


def labelled(named: str) -> tuple[str, str]:
    """Returns LABEL and REST of `LABEL=REST`, or an empty label and all of `REST`."""
    label, equals, rest = named.partition("=")
    return (label, rest) if equals and rest and "/" not in label else ("", named)


def _experiment_and_path(named: str) -> tuple[str, str]:
    """Returns both of `[EXPERIMENT=]DIR`; hyphens in an experiment are underscores."""
    label, path = labelled(named)
    return label.replace("-", "_"), path


def read(named: str, notes: list[str]) -> list[Stimuli]:
    """Returns the images of `[EXPERIMENT=]DIR`, or of each experiment's folder in it.

    There, folders whose names say no experiment are left out, and so are folders of
    decisions (CSV). Files left out of `domains=DIR` are added to the notes.

    Raises:
      ValueError: There is no such experiment or folder, or nothing in it.
    """
    label, path = _experiment_and_path(named)
    folder = pathlib.Path(path)
    if label and label not in _LABELS:
        known = ", ".join(_LABELS)
        raise ValueError(f"--data {named}: {label} is no experiment; use {known}")
    if path == _SHIPPED and label and not folder.is_dir():
        return [_part(_shipped(), label, named)]
    if not folder.is_dir():
        raise ValueError(f"--data {folder} is not a folder")
    if label == domain_folders.EXPERIMENT or label in _PARTS:
        stimuli, left_out = domain_folders.read_folder(folder)
        notes += left_out
        return [_part(stimuli, label, named)]
    if label == anagrams.EXPERIMENT:
        return [anagrams.read_folder(folder)]
    if not label and out_of_distribution.is_set(folder):
        return [out_of_distribution.read_folder(folder)]
    if not label and experiment_of(folder.resolve().name) is None:
        below = [
            entry
            for entry in sorted(folder.iterdir())
            if entry.is_dir()
            and experiment_of(entry.name)
            and not any(entry.rglob("*.csv"))
        ]
        sets = sorted(filter(out_of_distribution.is_set, folder.iterdir()))
        if below or sets:
            read = map(read_folder, below), map(out_of_distribution.read_folder, sets)
            return [stimuli for some_read in read for stimuli in some_read]
    return [read_folder(folder, label)]


def refuse_learned(arguments: Sequence[str], models: Sequence[Classifier]) -> None:
    """Refuses runs that learned names which --data is to hold out.

    Args:
      arguments: Of --data.
      models: Runs and others, of which nothing is known.

    Raises:
      ValueError: Says which run, and a name.
    """
    if not any(_experiment_and_path(named)[0] in _PARTS for named in arguments):
        return
    for model in models:
        data = model.config.data if model.config is not None else None
        if data is None or data.name not in (emoji.NAME, _SHIPPED):
            continue
        if known := emoji.names_of(emoji.HELD_OUT, model.classes):
            raise ValueError(
                f"{model.name} learned {len(known)} of the names that --data holds "
                f"out, such as {known[0]}: train it with --config.data.classes=learned"
            )


def _shipped() -> Stimuli:
    """Returns the drawings that come with the package."""
    dataset = emoji_small.load()
    stimuli = of_dataset(
        dataset,
        np.arange(len(dataset)),
        name=dataset.name,
        side_px=emoji_small.SIZE_PX,
    )
    return dataclasses.replace(
        stimuli,
        experiment=domain_folders.EXPERIMENT,
        read=lambda i, px, *how: emoji_small.load(size_px=px).read(i),
    )


def _part(stimuli: Stimuli, label: str, named: str) -> Stimuli:
    """Returns the images of the classes that a label stands for."""
    if label not in _PARTS:
        return stimuli
    kept = emoji.names_of(label, stimuli.categories)
    indices = np.flatnonzero(np.isin(stimuli.category, kept))
    if not len(indices):
        raise ValueError(f"--data {named}: none of its classes is held out")
    name = f"{stimuli.name} ({label}, {len(kept)} classes)"
    return dataclasses.replace(stimuli.subset(indices), name=name)
