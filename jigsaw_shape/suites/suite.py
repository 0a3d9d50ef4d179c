"""What a suite is: one question that models are asked about images, in one file.

A suite says which images it wants and which versions of them (its probes). It turns
answers into rows, and rows into tables, sections of the page and facts on cards.
`suites.SUITES` lists all suites by name; nothing else in the command names one.
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
ProbesOf = Callable[[Stimuli, Sequence[Classifier]], Sequence["Probe"]]
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
        every model. Jit it where that pays, once for all levels. None: unchanged.
      orders: `orders(indices)` maps the images' indices, int64 [b], to the orders,
        int32 [b], in which `Classifier.predict` shuffles them. Only models with a
        jigsaw head are shown such a probe. None: not shuffled.
    """

    name: str
    make: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    orders: Callable[[np.ndarray], np.ndarray] | None = None


PLAIN = Probe("plain")  # unchanged images


@dataclasses.dataclass(frozen=True)
class Headline:
    """A share that the page leads with.

    Attributes:
      measure: What it is, for the figure that compares all models.
      value: In [0, 1] or about.
      low: End of its 95 % interval.
      high: The other end.
      clause: How the model's sentence says it, such as "is right on 82 % of photos";
        "" leaves it to the figure.
    """

    measure: str
    value: float
    low: float
    high: float
    clause: str = ""


@dataclasses.dataclass(frozen=True)
class Job:
    """Images, and the models that are shown them.

    Attributes:
      stimuli: The images.
      models: May be empty where files of predictions answer.
      probed: Whether models are shown the suites' probes of at most `--n-images`
        images; else they are shown all images unchanged.
      suites: Names of the suites that ask; filled in by the plan.
      matches: How each model's classes answer the images; filled in by the plan, empty
        for suites of features.
    """

    stimuli: Stimuli
    models: tuple[Classifier, ...]
    probed: bool = False
    suites: tuple[str, ...] = ()
    matches: Mapping[str, Match] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a suite found to measure.

    Attributes:
      jobs: Each set of images once.
      left_out: Why images or models cannot be used: an error where the suite was named,
        a note under `--suite all`.
      notes: What the reader of the results should know.
    """

    jobs: Sequence[Job] = ()
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers about one set of images, for `Suite.rows`.

    Attributes:
      stimuli: The images; for a suite with probes the chosen ones.
      models: Those that were shown them.
      outputs: `{model: {probe: Outputs}}`; without probes of `PLAIN` alone.
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
        """Returns the start of each row on a model's answers."""
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
        """Decisions on the unchanged images: of models, then from files."""
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
    optionally `condition`, `level` and `category`, then measures, shares in [0, 1];
    `low` and `high` are the ends of the first measure's 95 % bootstrap interval. The
    command adds `suite` and `data`. Differences between two models are rows too
    (`suites.differences`), with a table and a figure of their own.

    Attributes:
      find: `find(opened, suites)` returns the images that it wants; `suites` names all
        suites that were asked for.
      wanted: Advice where there are no images, such as "give --data DIR".
      rows: `rows(answers)` yields its rows on one set of images.
      probes: `probes(stimuli, group)` returns the versions to show to a group of models
        that have the same size and, if any, the same puzzle. None: unchanged images
        alone.
      full_probes: The same for `evaluate --full`; None: no others than `probes`.
      tables: `tables(rows, data)` yields its tables, from its rows on one set.
      overall: `overall(rows)` yields tables over all sets of images, from the rows of
        all suites.
      section: `section(rows, data, results, looks)` returns its part of the page.
      facts: `facts(rows)` yields what a model's card says, from the model's rows
        without `category` and `difference`.
      headlines: `headlines(rows)` yields what leads the page, from the same rows.
      keep: `keep(answers)` returns what its section draws beside its rows, by name;
        it becomes `results.kept[suite, data]`.
      one_section: Whether one section shows all sets of images; its `data` is "".
      by_features: Whether it reads features in place of decisions, whatever the models'
        classes are.
    """

    find: Callable[["Opened", Sequence[str]], Found]
    wanted: str
    rows: Callable[[Answers], Iterable[Row]]
    section: Callable[[Sequence[Row], str, "Results", Looks], Section]
    probes: Callable[[Stimuli, Sequence[Classifier]], Sequence[Probe]] | None = None
    full_probes: Callable[[Stimuli, Sequence[Classifier]], Sequence[Probe]] | None = (
        None
    )
    tables: Callable[[Sequence[Row], str], Iterable[Table]] = lambda rows, data: ()
    overall: Callable[[Sequence[Row]], Iterable[Table]] = lambda rows: ()
    facts: Callable[[Sequence[Row]], Iterable[Fact]] = lambda rows: ()
    headlines: Callable[[Sequence[Row]], Iterable[Headline]] = lambda rows: ()
    keep: Callable[[Answers], Mapping[str, Any]] | None = None
    one_section: bool = False
    by_features: bool = False
