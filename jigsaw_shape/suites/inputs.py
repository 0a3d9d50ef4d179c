"""From the command's flags to models, images and observers; refuses at the door."""

import argparse
import collections
import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.classifiers import of_answers, of_onnx
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.open import open_classifier
from jigsaw_shape.data import decisions as decisions_lib
from jigsaw_shape.data import domain_folders
from jigsaw_shape.data.decisions import EXPERIMENTS, Decisions
from jigsaw_shape.data.stimuli import Stimuli, read_folder
from jigsaw_shape.suites import session
from jigsaw_shape.suites.scoring import HUMANS


@dataclasses.dataclass(frozen=True)
class Opened:
    """What an evaluation is of.

    Attributes:
      models: Those that can be shown images.
      configs: The configurations of training runs among them, by name.
      predicted: Decisions read from files, on `data`'s one set of images.
      data: Labelled images, each set once.
      observers: Published decisions.
      features: Read from files too: float32 [n, F] by name, of `data`'s one set.
      notes: What a reader should know of the images.
    """

    models: tuple[Classifier, ...]
    configs: dict[str, ConfigDict]
    predicted: tuple[Decisions, ...]
    data: tuple[Stimuli, ...]
    observers: tuple[Decisions, ...]
    features: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every model's name, those of files of predictions last."""
        predicted = [one.observer for one in self.predicted]
        alone = [name for name in self.features if name not in predicted]
        return (*(model.name for model in self.models), *predicted, *alone)

    def of_runs(
        self, own: Callable[[ConfigDict], Stimuli | None]
    ) -> list[tuple[Stimuli, list[Classifier]]]:
        """Returns each of the runs' own sets once, with the runs whose it is.

        Sets of one name, such as those of runs with other splits, are numbered.
        """
        found: dict[tuple, tuple[Stimuli, list[Classifier]]] = {}
        for model in self.models:
            if model.name not in self.configs:
                continue
            stimuli = own(self.configs[model.name])
            if stimuli is not None:
                key = (stimuli.name, stimuli.digest, stimuli.side_px, stimuli.images)
                found.setdefault(key, (stimuli, []))[1].append(model)
        seen, apart = collections.Counter(), []
        for stimuli, models in found.values():
            seen[stimuli.name] += 1
            if seen[stimuli.name] > 1:
                name = f"{stimuli.name} ({seen[stimuli.name]})"
                stimuli = dataclasses.replace(stimuli, name=name)
            apart.append((stimuli, models))
        return apart


def suites_of(named: Sequence[str]) -> tuple[str, ...]:
    """Returns the suites in their order; `all` is every one."""
    if "all" in named:
        return session.SUITES
    return tuple(suite for suite in session.SUITES if suite in named)


def open_all(args: argparse.Namespace, n_devices: int) -> Opened:
    """Returns everything that the flags name, opened.

    Raises:
      ValueError: A flag's value cannot work; names it, and what is allowed.
      OSError: A file cannot be read.
    """
    if args.batch_size < 1 or args.batch_size % n_devices:
        raise ValueError(
            f"--batch_size is {args.batch_size}: a multiple of the {n_devices} devices"
        )
    if args.n_images < 0 or not 0 <= args.seed < 2**32:
        raise ValueError(
            f"--n_images is {args.n_images} and --seed {args.seed}: 0 or more, and "
            f"0 to {2**32 - 1}"
        )
    notes = []
    data = [stimuli for named in args.data for stimuli in _read_data(named, notes)]
    twice = _first_twice([stimuli.name for stimuli in data])
    if twice:
        raise ValueError(f"--data names two folders called {twice}: rename one")
    observers = ()
    if args.observers:
        observers = decisions_lib.read_observers(pathlib.Path(args.observers))
    models, configs = [], {}
    for named in args.workdir:
        label, path = _labelled(named)
        opened = open_classifier(
            path,
            selection=args.checkpoint,
            name=label or pathlib.Path(path).resolve().name,
            batch_size=args.batch_size,
            flag="--workdir",
        )
        models.append(opened)
        configs[opened.name] = opened.config
    for named in args.pretrained:
        label, weights = _labelled(named)
        models.append(
            open_classifier(
                weights if ":" in weights else f"pretrained:{weights}",
                name=label or weights,
                batch_size=args.batch_size,
                flag="--pretrained",
            )
        )
    models += _open_onnx(args)
    predicted, features = _read_predicted(args.predictions, data)
    opened = Opened(
        *(tuple(models), configs, predicted, tuple(data), tuple(observers)),
        features,
        tuple(notes),
    )
    if not opened.names:
        raise ValueError(
            "no model: give --workdir, --pretrained, --onnx or --predictions"
        )
    twice = _first_twice(opened.names)
    if twice:
        raise ValueError(f"two models are called {twice}: say LABEL={twice} for one")
    if HUMANS in opened.names:
        raise ValueError(f"a model is called {HUMANS}: say LABEL={HUMANS} for it")
    return dataclasses.replace(opened, observers=_apart(observers, opened.names))


def _apart(
    observers: Sequence[Decisions], models: Sequence[str]
) -> tuple[Decisions, ...]:
    """Returns observers, of which none is called as a model that is evaluated here."""
    return tuple(
        dataclasses.replace(one, observer=f"{one.observer} (published)")
        if one.observer in models
        else one
        for one in observers
    )


def _read_predicted(
    arguments: Sequence[str], data: Sequence[Stimuli]
) -> tuple[tuple[Decisions, ...], dict[str, np.ndarray]]:
    """Returns the decisions and the features in the files of predictions."""
    if arguments and len(data) != 1:
        raise ValueError(
            f"--predictions answers one set of images, and --data names {len(data)}: "
            "name the folder of those images, and it alone"
        )
    decided, features = [], {}
    for named in arguments:
        label, rest = _labelled(named)
        path = pathlib.Path(rest)
        name = label or path.stem
        if name in features:
            raise ValueError(f"two models are called {name}: say LABEL={rest} for one")
        vectors = of_answers.read_features(path, data[0])
        if vectors is not None:
            features[name] = vectors
        if vectors is None or of_answers.holds_answers(path):
            decided.append(of_answers.read_predictions(path, data[0], name=name))
    return tuple(decided), features


def _first_twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if list(names).count(name) > 1), None)


def _labelled(named: str) -> tuple[str, str]:
    """Returns label and rest of `LABEL=REST`; the label is empty without."""
    label, equals, rest = named.partition("=")
    return (label, rest) if equals and rest and "/" not in label else ("", named)


def _read_data(named: str, notes: list[str]) -> list[Stimuli]:
    """Returns the images of `[EXPERIMENT=]DIR`, or of each folder of experiments in it.

    Folders by whose names no experiment is known are left out there. What is left out
    of `domains=DIR` is added to the notes.
    """
    label, path = _labelled(named)
    folder = pathlib.Path(path)
    if label and label not in (*EXPERIMENTS, "images", domain_folders.EXPERIMENT):
        known = ", ".join((*EXPERIMENTS, "images", domain_folders.EXPERIMENT))
        raise ValueError(f"--data {named}: {label} is no experiment; {known} are")
    if not folder.is_dir():
        raise ValueError(f"--data {folder} is not a folder")
    if label == domain_folders.EXPERIMENT:
        stimuli, left_out = domain_folders.read_folder(folder)
        notes += left_out
        return [stimuli]
    if not label and decisions_lib.experiment_of(folder.resolve().name) is None:
        below = [
            entry
            for entry in sorted(folder.iterdir())
            if entry.is_dir()
            and decisions_lib.experiment_of(entry.name)
            and not any(entry.rglob("*.csv"))
        ]
        if below:
            return [read_folder(entry) for entry in below]
    return [read_folder(folder, label)]


def _open_onnx(args: argparse.Namespace) -> list[Classifier]:
    classes = ()
    if args.classes:
        text = pathlib.Path(args.classes).read_text()
        classes = tuple(line.strip() for line in text.splitlines() if line.strip())
    pixels = of_onnx.Pixels(
        _numbers("--mean", args.mean), _numbers("--std", args.std), args.pixels
    )
    if not args.onnx and (args.mean or args.std or args.pixels or args.classes):
        raise ValueError("--mean, --std, --pixels and --classes are of --onnx")
    found = []
    for named in args.onnx:
        label, path = _labelled(named)
        found.append(
            open_classifier(
                path,
                name=label or pathlib.Path(path).stem,
                batch_size=args.batch_size,
                classes=classes,
                pixels=pixels,
                flag="--onnx",
            )
        )
    if (args.mean or args.std or args.pixels) and all(
        model.about["normalization"] == of_onnx.INSIDE for model in found
    ):
        raise ValueError(
            "--mean, --std and --pixels are for no file here: "
            f"{', '.join(args.onnx)} normalizes inside; leave them out"
        )
    return found


def _numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"{flag} is {text!r}: three numbers, as R,G,B") from error
