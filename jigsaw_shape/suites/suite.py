"""What a suite is: one question asked of models about images, in one file.

A suite says which images it wants and which versions of them (its probes), turns the
answers into rows, and rows into tables, sections of the page and facts on cards.
`suites.SUITES` lists all suites; the rest of the command knows none of them by name.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.reports.look import Looks
from jigsaw_shape.reports.page import Section
from jigsaw_shape.reports.table import Table
from jigsaw_shape.suites.classes import Match

if TYPE_CHECKING:
    from jigsaw_shape.suites.opened import Opened
    from jigsaw_shape.suites.results import Results

# Host arrays of n images: "classification" float32 [n, classes] and, where the model
# has them, "jigsaw" float32 [n, K + 1] and "features" float32 [n, F].
Outputs = Mapping[str, np.ndarray]
Row = dict[str, Any]
Fact = tuple[str, str, float | None]  # of a card: number, what it is, share or None


@dataclasses.dataclass(frozen=True)
class Probe:
    """One version of every image, such as "contrast/0.3".

    Attributes:
      name: Identifies the version; suites that name the same probe share its answers.
      make: `make(rngs, images)` maps typed keys [b] and float32 [b, S, S, 3] in [0, 1]
        to the version, float32 [b, H, W, 3] in [0, 1]. S is `Classifier.size_px`;
        lengths published for 224 px scale with S / 224. An image's key follows from
        the seed and its index alone, so its version is the same in any batch and for
        every model. Jitted where that pays, best once for all levels. None: as it is.
      orders: `orders(indices)` maps int64 [b], the images' indices, to the orders
        int32 [b] to shuffle them by (`Classifier.predict`); only models with a jigsaw
        head are shown such a probe. None: not shuffled.
    """

    name: str
    make: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    orders: Callable[[np.ndarray], np.ndarray] | None = None


PLAIN = Probe("plain")  # the images as they are


@dataclasses.dataclass(frozen=True)
class Job:
    """Images, and the models that suites want them shown to.

    Attributes:
      stimuli: The images.
      models: Perhaps none, where files of predictions answer.
      probed: Whether the suites' probes are made of them, of at most `--n-images`;
        else all of the images are shown as they are.
      suites: Names of the suites that ask; the plan fills them in.
      matches: How each model's classes answer the images, likewise; none for features.
    """

    stimuli: Stimuli
    models: tuple[Classifier, ...]
    probed: bool = False
    suites: tuple[str, ...] = ()
    matches: Mapping[str, Match] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a suite wants shown.

    Attributes:
      jobs: Each set of images once.
      left_out: Why images or models cannot be used. Refused where the suite was named,
        noted where it was not (`--suite all`).
      notes: What the reader of the results should know.
    """

    jobs: Sequence[Job] = ()
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Answers:
    """What was answered about one set of images, for `Suite.rows`.

    Attributes:
      stimuli: The images; for a suite with probes those that were chosen.
      models: Those that were shown them.
      outputs: `{model: {probe: Outputs}}`; of images shown as they are `PLAIN` alone.
      matches: How the models' classes answer the images' categories, by model.
      predicted: Decisions from files.
      observers: Decisions of humans and published networks on these images.
      features: Features from files, float32 [n, F] by name.
      seed: Of the bootstrap.
    """

    stimuli: Stimuli
    models: Sequence[Classifier]
    outputs: Mapping[str, Mapping[str, Outputs]]
    matches: Mapping[str, Match] = dataclasses.field(default_factory=dict)
    predicted: Sequence[Decisions] = ()
    observers: Sequence[Decisions] = ()
    features: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    seed: int = 0

    def base(self, model: str) -> dict[str, Any]:
        """Returns what each row says of a model whose answers it counts."""
        n_classes = len(self.matches[model].names)
        return {"model": model, "group": "model", "n_classes": n_classes}

    def responses(self, model: str, probe: str = PLAIN.name) -> np.ndarray:
        """Returns a model's answers to a probe as categories: str [n]."""
        scores = self.outputs[model][probe]["classification"]
        return self.matches[model].responses(scores)

    def correct(self, model: str, probe: str = PLAIN.name) -> np.ndarray:
        """Returns which answers to a probe are right: bool [n]."""
        return self.responses(model, probe) == self.stimuli.category

    @property
    def decisions(self) -> list[Decisions]:
        """Everyone's decisions on the images as they are: models', then files'."""
        made = [
            Decisions(
                observer=model.name,
                kind="model",
                experiment=self.stimuli.experiment,
                images=self.stimuli.images,
                category=self.stimuli.category,
                response=self.responses(model.name),
            )
            for model in self.models
        ]
        return [*made, *self.predicted]


@dataclasses.dataclass(frozen=True)
class Suite:
    """A question: which images it needs, what is counted, and how that is shown.

    A row is flat and of JSON's types: `model`, `group` (`model`, `human` or `network`),
    perhaps `condition`, `level` and `category`, and measures, shares in [0, 1]; `low`
    and `high` are the ends of the 95 % bootstrap interval of the first of them. The
    command adds `suite` and `data`. Differences of two models are rows too
    (`suites.differences`), with their own table and figure.

    Attributes:
      name: As in `--suite`.
      find: `find(opened, suites)` returns the images that it wants; `suites` are all
        that were asked for, by name.
      wanted: What to give where there are no images, such as "give --data DIR".
      rows: `rows(answers)` yields its rows of one set of images.
      probes: `probes(stimuli, group)` returns the versions to be shown, for a group of
        models of one size and, if any, one puzzle. None: images as they are alone.
      tables: `tables(rows, data)` yields its tables, from its rows on one set.
      section: `section(rows, data, results, looks)` returns its part of the page.
      facts: `facts(rows)` yields what a model's card says, from the model's rows
        without `category` and `difference`.
      one_section: All sets of images are shown in one section, `data` is "".
      by_features: It reads features, whatever the models' classes are, and no
        decisions.
    """

    name: str
    find: Callable[["Opened", Sequence[str]], Found]
    wanted: str
    rows: Callable[[Answers], Iterable[Row]]
    section: Callable[[Sequence[Row], str, "Results", Looks], Section]
    probes: Callable[[Stimuli, Sequence[Classifier]], Sequence[Probe]] | None = None
    tables: Callable[[Sequence[Row], str], Iterable[Table]] = lambda rows, data: ()
    facts: Callable[[Sequence[Row]], Iterable[Fact]] = lambda rows: ()
    one_section: bool = False
    by_features: bool = False
