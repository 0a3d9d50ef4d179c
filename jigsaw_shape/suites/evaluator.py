"""Shows images to models and collects every suite's rows."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.suites import SUITES, one_pass
from jigsaw_shape.suites.labelled_images import choice
from jigsaw_shape.suites.observers import on_these
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.results import Results
from jigsaw_shape.suites.suite import PLAIN, Answers, Job

_N_SAMPLES = 4  # images whose probes are kept for the page


class NonFiniteError(RuntimeError):
    """A model's scores or features of an image are not finite numbers."""


@dataclasses.dataclass
class Evaluator:
    """Runs jobs, one after the other.

    It keeps the answers to unchanged images: no model is shown one of them twice.

    Attributes:
      opened: The models and images.
      seed: Decides probes, choices of images and resamples.
      n_images: The most images that probes are made of; 0 for all.
      on_pass: `on_pass(title, n_images)` is a context that yields a function, which is
        called with the number of images that are done.
      keep_features: Whether a suite will read features.
      full: Whether suites show every published level, not a few.
      results: What has been found so far.
    """

    opened: Opened
    seed: int
    n_images: int
    on_pass: Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
    keep_features: bool = False
    full: bool = False
    results: Results = dataclasses.field(default_factory=Results)
    # (model, digest of the images, path) -> {"classification": [n], "features": [F]}
    _kept: dict[tuple[str, str, str], dict[str, np.ndarray]] = dataclasses.field(
        default_factory=dict, repr=False
    )

    def run(self, job: Job) -> None:
        """Adds a job's rows and decisions to `results`.

        Raises:
          OSError: An image cannot be read.
          NonFiniteError: A model's scores or features are not finite numbers.
        """
        answers = self._probed(job) if job.probed else self._plain(job)
        self.results.stimuli.setdefault(job.stimuli.name, job.stimuli)
        for name in job.suites:
            for row in SUITES[name].rows(answers):
                self.results.rows.append(
                    {"suite": name, "data": job.stimuli.name, **row}
                )
            if (keep := SUITES[name].keep) is not None:
                self.results.kept[name, job.stimuli.name] = keep(answers)

    def _probed(self, job: Job) -> Answers:
        stimuli = job.stimuli
        part = choice(stimuli, self.n_images, self.seed)
        if len(part.images) < len(stimuli.images):
            self.results.notes.append(
                f"{stimuli.name}: {', '.join(job.suites)} use a seeded choice of "
                f"{len(part.images)} of its {len(stimuli.images)} images, each class "
                "in proportion (--n-images)"
            )
        outputs = {}
        for group in _groups(job.models):
            probes = [PLAIN]
            for name in job.suites:
                suite = SUITES[name]
                make = (suite.full_probes if self.full else None) or suite.probes
                probes += make(part, group)
            outputs |= self._show(group, part, probes, n_samples=_N_SAMPLES)
        self._refuse_non_finite(job.models, part, outputs, "classification")
        return Answers(part, job.models, outputs, job.matches, seed=self.seed)

    def _plain(self, job: Job) -> Answers:
        stimuli, by_features = job.stimuli, SUITES[job.suites[0]].by_features
        needed = "features" if by_features else "classification"
        outputs = self._answers_to_plain(job.models, stimuli, needed)
        self._refuse_non_finite(job.models, stimuli, outputs, needed)
        answers = Answers(stimuli, job.models, outputs, job.matches, seed=self.seed)
        given = self.opened.is_given(stimuli)  # files answer no other images
        if by_features:
            features = self.opened.features_of(stimuli) if given else {}
            return dataclasses.replace(answers, features=features)
        predicted = self.opened.predicted if given else ()
        observers, left_out = on_these(self.opened.observers, stimuli)
        if left_out:
            more = ", ..." if len(left_out) > 3 else ""
            self.results.notes.append(
                f"{stimuli.name}: {len(left_out)} observers of {stimuli.experiment} "
                f"saw other images and are left out: {', '.join(left_out[:3])}{more}"
            )
        answers = dataclasses.replace(
            answers,
            predicted=[one.on(stimuli.images) for one in predicted],
            observers=observers,
        )
        self.results.decisions += answers.decisions
        self.results.observers += observers
        return answers

    def _answers_to_plain(self, models, stimuli, needed: str):
        """Returns `{model: {"plain": Outputs}}`; shows only images without answers."""

        def keys(model):
            return [(model.name, stimuli.digest, str(path)) for path in stimuli.paths]

        lacking: dict[tuple[int, ...], list[Classifier]] = {}
        for model in models:
            absent = (i for i, key in enumerate(keys(model)) if key not in self._kept)
            lacking.setdefault(tuple(absent), []).append(model)
        for absent, members in lacking.items():
            rest = stimuli
            if len(absent) < len(stimuli.images):
                rest = stimuli.subset(np.array(absent, int))
            for group in _groups(members) if absent else ():
                self._show(group, rest, [PLAIN])
        found = {}
        for model in models:
            kept = [self._kept[key] for key in keys(model)]
            heads = [head for head in (needed, "ranks") if head in kept[0]]
            found[model.name] = {
                PLAIN.name: {
                    head: np.stack([one[head] for one in kept]) for head in heads
                }
            }
        return found

    def _show(self, group: Sequence[Classifier], stimuli: Stimuli, probes, n_samples=0):
        """Returns the outputs of one pass of models of one size."""
        title = f"{stimuli.name}: {', '.join(model.name for model in group)}"
        with self.on_pass(title, len(stimuli.images)) as on_batch:
            found = one_pass.run(
                group,
                one_pass.store_of(stimuli, group),
                probes,
                seed=self.seed,
                n_samples=n_samples,
                features_of=(PLAIN.name,) if self.keep_features else (),
                on_batch=on_batch,
            )
        samples = self.results.samples.setdefault(stimuli.name, {})
        for name, images in found.samples.items():
            samples.setdefault(name, images)
        self.results.speed.append(
            {
                "data": stimuli.name,
                "models": [model.name for model in group],
                "n_answers": found.n_answers,
                "images_per_s": found.n_answers / found.total_s,
                "forward_share": found.forward_s / found.total_s,
                "total_s": found.total_s,
            }
        )
        for name, outputs in found.outputs.items():
            for i, path in enumerate(stimuli.paths):
                self._kept[name, stimuli.digest, str(path)] = {
                    head: array[i] for head, array in outputs[PLAIN.name].items()
                }
        return found.outputs

    def _refuse_non_finite(self, models, stimuli, outputs, head: str) -> None:
        what = "scores" if head == "classification" else head
        for model in models:
            array = outputs[model.name][PLAIN.name][head]
            bad = np.flatnonzero(~np.isfinite(array).all(1))
            if len(bad):
                raise NonFiniteError(
                    f"{model.name} answers {stimuli.paths[bad[0]]} with {what} that "
                    "are not finite numbers: check its weights and normalization"
                )


def _groups(models: Sequence[Classifier]) -> list[list[Classifier]]:
    """Returns groups of models that can share a pass.

    Those of a group have the same size and background, and the same puzzle if any.
    """
    groups: list[list[Classifier]] = []
    for model in models:
        for group in groups:
            first = group[0]
            puzzles = [m.permutations for m in (*group, model)]
            if (
                model.size_px == first.size_px
                and model.background == first.background
                and len({p.tobytes() for p in puzzles if p is not None}) <= 1
            ):
                group.append(model)
                break
        else:
            groups.append([model])
    return groups
