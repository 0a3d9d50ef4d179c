"""The models, images and observers that the command's flags name, opened."""

import argparse
import collections
import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from ml_collections import ConfigDict

from jigsaw_shape.classifiers import flags, of_answers, of_onnx
from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.classifiers.of_run import ADAPTATION
from jigsaw_shape.classifiers.open import is_published, open_classifier, takes_classes
from jigsaw_shape.classifiers.untrained import untrained_beside
from jigsaw_shape.data import decisions as decisions_lib
from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.decoding import parse_background
from jigsaw_shape.data.names import plain
from jigsaw_shape.data.shared_classes import some
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.embedding import features_file
from jigsaw_shape.suites import classes as classes_lib
from jigsaw_shape.suites import given_images, own_data
from jigsaw_shape.suites.classes import Match
from jigsaw_shape.suites.given_images import labelled
from jigsaw_shape.suites.observers import HUMANS
from jigsaw_shape.system import buckets

_PUBLISHED = "pretrained:"


@dataclasses.dataclass(frozen=True)
class Opened:
    """What an evaluation is of.

    Attributes:
      models: Those that can be shown images.
      data: Labelled images, each set once.
      predicted: Decisions read from files, on the only set of `data`.
      features: Read from files too, on the same set: float32 [n, F] by name.
      observers: Published decisions.
      mapping: Category by the plain name of a class, for models of other classes.
      notes: What a reader should know of the images.
      n_images: The most images to make probes of, or of one domain to fit on; 0: all.
      seed: Of the choice.
    """

    models: tuple[Classifier, ...] = ()
    data: tuple[Stimuli, ...] = ()
    predicted: tuple[Decisions, ...] = ()
    features: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    observers: tuple[Decisions, ...] = ()
    mapping: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_images: int = 0
    seed: int = 0
    _own: dict = dataclasses.field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Every model's name; files of predictions come last."""
        predicted = [one.observer for one in self.predicted]
        alone = [name for name in self.features if name not in predicted]
        return (*(model.name for model in self.models), *predicted, *alone)

    def match(self, model: Classifier, stimuli: Stimuli) -> Match:
        """Returns how a model's classes answer the categories of images."""
        return classes_lib.match(model.classes, stimuli.categories, self.mapping)

    def is_given(self, stimuli: Stimuli) -> bool:
        """Returns whether these images are a set of `data` or a part of one."""
        return stimuli.digest in {one.digest for one in self.data}

    def features_of(self, stimuli: Stimuli) -> dict[str, np.ndarray]:
        """Returns features from files of the images of `data` or a part of them."""
        if not self.features:
            return {}
        row_of = {image: row for row, image in enumerate(self.data[0].images)}
        rows = [row_of[image] for image in stimuli.images]
        return {name: vectors[rows] for name, vectors in self.features.items()}

    def of_runs(
        self, own: Callable[[ConfigDict], Stimuli | None]
    ) -> list[tuple[Stimuli, tuple[Classifier, ...]]]:
        """Returns each of the runs' own sets once, with its runs.

        Sets with the same name, such as those of runs with other splits, are numbered.
        Suites that ask for the same images share them.

        Args:
          own: Returns the images that a run's configuration names.
        """
        if own in self._own:
            return self._own[own]
        found: dict[tuple, tuple[Stimuli, list[Classifier]]] = {}
        for model in self.models:
            stimuli = None if model.config is None else own(model.config)
            if stimuli is not None:
                key = (stimuli.name, stimuli.digest, stimuli.side_px, stimuli.images)
                found.setdefault(key, (stimuli, []))[1].append(model)
        seen, apart = collections.Counter(), []
        for stimuli, members in found.values():
            seen[stimuli.name] += 1
            if seen[stimuli.name] > 1:
                name = f"{stimuli.name} ({seen[stimuli.name]})"
                stimuli = dataclasses.replace(stimuli, name=name)
            apart.append((stimuli, tuple(members)))
        self._own[own] = apart
        return apart


def open_all(args: argparse.Namespace, n_devices: int) -> Opened:
    """Returns everything that the flags name, opened.

    Raises:
      ValueError: A flag's value cannot work; names it, and what is allowed.
      OSError: A file cannot be read.
    """
    if args.batch_size < 1 or args.batch_size % n_devices:
        raise ValueError(
            f"--batch-size is {args.batch_size}: give a multiple of the number of "
            f"devices, {n_devices}"
        )
    if args.n_images < 0:
        raise ValueError(f"--n-images is {args.n_images}: 0 or more allowed")
    if not 0 <= args.seed < 2**32:
        raise ValueError(f"--seed is {args.seed}: 0 to {2**32 - 1} allowed")
    own_data.forget()
    notes = []
    data = [
        stimuli for named in args.data for stimuli in given_images.read(named, notes)
    ]
    twice = _first_twice([stimuli.name for stimuli in data])
    if twice:
        raise ValueError(f"--data names two folders called {twice}: rename one")
    observers = ()
    if args.observers:
        observers = decisions_lib.read_observers(pathlib.Path(args.observers))
    models, mapping = _open_models(args), {}
    given_images.refuse_learned(args.data, models)
    if args.mapping:
        mapping = classes_lib.read_mapping(pathlib.Path(args.mapping))
        known = {plain(name) for model in models for name in model.classes}
        unknown = [name for name in mapping if name not in known]
        if len(unknown) == len(mapping):
            raise ValueError(
                f"--mapping {args.mapping}: no model has any of its classes, "
                f"{some(unknown)}; each line is CLASS,CATEGORY"
            )
        if unknown:
            notes.append(f"--mapping {args.mapping}: no model has {some(unknown)}")
    adapted = [m.name for m in models if m.about.get("setting") == ADAPTATION]
    if adapted:
        notes.append(
            f"{', '.join(adapted)} trained on the target's images too, without their "
            "labels (config.data.setting=adaptation): do not compare with runs that "
            "held them out"
        )
    predicted, features = _read_predicted(args.predictions, data)
    opened = Opened(tuple(models), tuple(data), predicted, features)
    names = opened.names
    if not names:
        raise ValueError("no model: give --model or --predictions")
    twice = _first_twice(names)
    if twice:
        raise ValueError(f"two models are called {twice}: name one with LABEL=MODEL")
    if HUMANS in names:
        raise ValueError(f"a model is called {HUMANS}: rename it with LABEL=MODEL")
    observers = tuple(
        dataclasses.replace(one, observer=f"{one.observer} (published)")
        if one.observer in names
        else one
        for one in observers
    )
    return dataclasses.replace(
        opened,
        observers=observers,
        mapping=mapping,
        notes=tuple(notes),
        n_images=args.n_images,
        seed=args.seed,
    )


def _open_models(args: argparse.Namespace) -> list[Classifier]:
    classes, pixels = flags.read_classes(args.classes), flags.read_pixels(args)
    if args.background:
        parse_background(args.background)
    models = [(label, buckets.here(what)) for label, what in map(labelled, args.model)]
    _refuse_unused(args, [what for _, what in models])
    found = []
    for label, what in models:
        path = pathlib.Path(what)
        name = path.resolve().name if path.is_dir() else path.stem
        if not path.exists():
            name = what.removeprefix(_PUBLISHED)
        published = is_published(what, args.encoder)
        model = open_classifier(
            what,
            selection=args.selection,
            name=label or name,
            batch_size=args.batch_size,
            encoder=args.encoder if published else "",
            size_px=args.size if published else 0,
            classes=classes if takes_classes(what, args.encoder) else (),
            pixels=pixels,
        )
        model = dataclasses.replace(
            model, background=args.background or model.background
        )
        if model.config is not None:  # a run that was moved keeps its images beside it
            model.config.workdir = what
        if model.about.get("setting") == ADAPTATION:
            model = dataclasses.replace(model, name=f"{model.name} ({ADAPTATION})")
        found.append(model)
    if args.untrained:
        found += untrained_beside(found, args.seed)
    if args.mean or args.std or args.pixels:
        stated = [model.about.get("normalization") for model in found]
        if not any(stated):
            raise ValueError("--mean, --std and --pixels need an ONNX file as --model")
        if set(stated) <= {None, of_onnx.INSIDE}:
            raise ValueError(
                f"{', '.join(args.model)} normalizes pixels inside: leave out --mean, "
                "--std and --pixels"
            )
    return found


def _refuse_unused(args: argparse.Namespace, models: Sequence[str]) -> None:
    """Refuses flags of some kinds of models where there is none of them."""
    if args.classes and not any(takes_classes(m, args.encoder) for m in models):
        raise ValueError(
            f"--classes is {args.classes}, but no --model is published weights or an "
            "ONNX file: others have their own names, so leave it out"
        )
    published = [is_published(what, args.encoder) for what in models]
    for option, value in (("--encoder", args.encoder), ("--size", args.size)):
        if value and not any(published):
            raise ValueError(
                f"{option} is {value}, but no --model is published weights: runs, "
                "exports and ONNX files have their own, so leave it out"
            )


def _read_predicted(
    arguments: Sequence[str], data: Sequence[Stimuli]
) -> tuple[tuple[Decisions, ...], dict[str, np.ndarray]]:
    """Returns the decisions and the features in the files of predictions."""
    if arguments and len(data) != 1:
        raise ValueError(
            f"--predictions needs one set of images, but --data names {len(data)}: "
            "give only the folder of the images that were answered"
        )
    decided, features = [], {}
    for named in arguments:
        label, rest = labelled(named)
        path = pathlib.Path(rest)
        name = label or path.stem
        if name in features:
            raise ValueError(f"two models are called {name}: name one with LABEL=FILE")
        if features_file.is_one(path):  # of `embed`, which may have embedded more
            stored = features_file.read(path)
            features[name] = of_answers.in_order(
                path, stored.paths, stored.vectors, data[0]
            )
            continue
        vectors = of_answers.read_features(path, data[0])
        if vectors is not None:
            features[name] = vectors
        if vectors is None or of_answers.holds_answers(path):
            decided.append(of_answers.read_predictions(path, data[0], name=name))
    return tuple(decided), features


def _first_twice(names: Sequence[str]) -> str | None:
    return next((name for name in names if list(names).count(name) > 1), None)
