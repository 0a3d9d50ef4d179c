"""Suites run over models and images: rows, decisions, and pictures to look at."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import jax
import numpy as np

from jigsaw_shape.classifiers.classifier import PLAIN, Model, Suite
from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.image_store import ImageStore
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import distortions, retrieval
from jigsaw_shape.pixels import augment
from jigsaw_shape.suites import distortions as distortions_lib
from jigsaw_shape.suites import experiments as made_stimuli
from jigsaw_shape.suites import one_pass, puzzle, scoring
from jigsaw_shape.suites.findings import Findings

SUITES = (
    *("target", "shape_bias", "experiments", "distortions", "puzzle"),
    "retrieval",
)
_N_SAMPLES = 4  # images whose probes are kept to be looked at


class NonFiniteError(RuntimeError):
    """A model's scores or features of an image are not finite numbers."""


@dataclasses.dataclass
class Session:
    """What is the same for every suite.

    Attributes:
      seed: Decides probes, subsets and resamples.
      n_images: The most labelled images that probes are made of; 0 for all.
      on_pass: `on_pass(title, n_images)` returns what is called with the number of
        images that are done.
      keep_features: Whether features are kept of every image as it is: `retrieve` does
        not show it again.
      findings: What has been found so far.
    """

    seed: int
    n_images: int
    on_pass: Callable[[str, int], Callable[[int], None]]
    keep_features: bool = False
    findings: Findings = dataclasses.field(default_factory=Findings)
    # (model, digest of the images, path) -> float32 [F]
    _features: dict[tuple[str, str, str], np.ndarray] = dataclasses.field(
        default_factory=dict, repr=False
    )

    def decide(self, models: Sequence[Model], stimuli: Stimuli) -> list[Decisions]:
        """Returns the models' decisions on images as they are, in one pass a size."""
        found = {}
        for group in _by_size(models):
            outputs = self._run(group, stimuli, [PLAIN])
            for model in group:
                scores = outputs[model.name][PLAIN.name]["classification"]
                found[model.name] = _decisions(model, stimuli, scores)
        return [found[model.name] for model in models]

    def score(
        self,
        suite: str,
        stimuli: Stimuli,
        decided: Sequence[Decisions],
        observers: Sequence[Decisions],
    ) -> None:
        """Adds the rows of `shape_bias`, `experiments` or `target` from decisions."""
        findings = self.findings
        others, left_out = scoring.beside(observers, stimuli)
        if left_out:
            findings.notes.append(
                f"{stimuli.name}: {len(left_out)} observers of {stimuli.experiment} "
                f"saw other images ({', '.join(left_out[:3])}, ...) and are left out"
            )
        findings.stimuli[stimuli.name] = stimuli
        findings.decisions += decided
        findings.observers += others
        if suite == "shape_bias":
            rows = scoring.cue_conflict_rows(stimuli, decided, others, seed=self.seed)
        else:
            rows = scoring.accuracy_rows(
                stimuli, decided, others, suite=suite, seed=self.seed
            )
        findings.rows += rows

    def probe(
        self,
        suites: Iterable[str],
        models: Sequence[Model],
        stimuli: Stimuli,
        predicted: Sequence[Decisions] = (),
    ) -> None:
        """Adds the rows of suites that are made from labelled images.

        Models of one size share the pass; `target` shares it too where it is over the
        same images.

        Args:
          suites: Of `SUITES`, not `shape_bias` nor `retrieval`.
          models: At least one.
          stimuli: The labelled images.
          predicted: Others' decisions on them, for `target`.
        """
        suites = list(suites)
        part = self._part(stimuli)
        whole = len(part.images) == len(stimuli.images)
        if "target" in suites and (suites == ["target"] or not whole):
            decided = self.decide(models, stimuli)
            self.score("target", stimuli, [*decided, *predicted], ())
            suites.remove("target")
        if not suites:
            return
        if not whole:
            self.findings.notes.append(
                f"{stimuli.name}: {', '.join(suites)} are measured on a seeded choice "
                f"of {len(part.images)} of its {len(stimuli.images)} images, each "
                "class by its share (--n_images)"
            )
        scores, decided = {name: {} for name in suites}, {}
        for group in _by_size(models):
            asked = self._suites(suites, group, part)
            probes = [p for of_one in asked.values() for s in of_one for p in s.probes]
            outputs = self._run(group, part, [PLAIN, *probes], n_samples=_N_SAMPLES)
            for model in group:
                label = part.labels(model.classes, model.name)
                answers = outputs[model.name]
                decided[model.name] = _decisions(
                    model, part, answers[PLAIN.name]["classification"]
                )
                for suite in asked[model.name]:
                    base = {"suite": suite.name, "data": part.name}
                    base |= {"model": model.name, "group": "model"}
                    base |= {"n_classes": len(model.classes)}
                    for row in suite.rows(answers, label, self.seed):
                        self.findings.rows.append({**base, **row})
                    if suite.scores is not None:
                        scores[suite.name][model.name] = suite.scores(answers, label)
        if "target" in suites:
            in_order = [decided[model.name] for model in models]
            self.score("target", part, [*in_order, *predicted], ())
        self.findings.stimuli.setdefault(part.name, part)  # or the whole of it
        for name, of_models in scores.items():
            base = {"suite": name, "data": part.name}
            self.findings.rows += scoring.paired_rows(of_models, base, seed=self.seed)

    def retrieve(
        self,
        models: Sequence[Model],
        stimuli: Stimuli,
        given: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> None:
        """Adds the rows of `retrieval`: who finds what across domains, and norms.

        Images whose features an earlier pass kept are not shown again.

        Args:
          models: That have features.
          stimuli: Images of domains.
          given: Others' features of them, float32 [n, F] by name.
        """
        _, labels = np.unique(stimuli.category, return_inverse=True)
        names = tuple(dict.fromkeys(stimuli.domain.tolist()))
        domains = np.array([names.index(name) for name in stimuli.domain])
        scores = {}
        for name, features in {**self._vectors(models, stimuli), **given}.items():
            base = {"suite": "retrieval", "data": stimuli.name}
            base |= {"model": name, "group": "model"}
            found = retrieval.between(features, labels, domains, names)
            rows = [*retrieval.retrieval_rows(found, seed=self.seed)]
            rows += retrieval.norm_rows(features, domains, names)
            self.findings.rows += [{**base, **row} for row in rows]
            scores[name] = {
                f"{query} → {searched}": one.scores
                for (query, searched), one in found.items()
                if one.n_queries
            }
        base = {"suite": "retrieval", "data": stimuli.name}
        self.findings.rows += scoring.paired_rows(scores, base, seed=self.seed)
        self.findings.stimuli[stimuli.name] = stimuli

    def _vectors(self, models, stimuli) -> dict[str, np.ndarray]:
        """Returns each model's features float32 [n, F], from here or a pass now."""
        paths = [str(path) for path in stimuli.paths]

        def keys(model):
            return [(model.name, stimuli.digest, path) for path in paths]

        alike: dict[bytes, tuple[np.ndarray, list[Model]]] = {}
        for model in models:
            missing = np.array([key not in self._features for key in keys(model)])
            alike.setdefault(missing.tobytes(), (missing, []))[1].append(model)
        for missing, of_need in alike.values():
            if missing.any():
                rest = stimuli.subset(np.flatnonzero(missing))
                for group in _by_size(of_need):
                    self._run(group, rest, [PLAIN])
        found = {}
        for model in models:
            vectors = np.stack([self._features[key] for key in keys(model)])
            bad = np.flatnonzero(~np.isfinite(vectors).all(1))
            if len(bad):
                raise NonFiniteError(
                    f"{model.name} gives {stimuli.paths[bad[0]]} features that are not "
                    "finite numbers"
                )
            found[model.name] = vectors
        return found

    def _keep(self, stimuli: Stimuli, outputs) -> None:
        """Keeps the features of a pass, of models that have them."""
        for name, probed in outputs.items():
            vectors = probed[PLAIN.name].get("features", ())
            for path, vector in zip(stimuli.paths, vectors, strict=False):
                self._features[name, stimuli.digest, str(path)] = vector

    def _suites(self, names, group, stimuli) -> dict[str, list[Suite]]:
        """Returns each model's suites; what they have in common is made once."""
        common, size_px = [], group[0].size_px
        if "distortions" in names:
            common.append(distortions_lib.make_suite(_amplitude(stimuli, group)))
        if "experiments" in names:
            common.append(made_stimuli.make_suite())
        found = {}
        for model in group:
            own = [puzzle.make_suite(size_px, model.permutations)]
            found[model.name] = common + (own if "puzzle" in names else [])
        return found

    def _part(self, stimuli: Stimuli) -> Stimuli:
        """Returns at most `n_images` of the images, each class by its share."""
        n = len(stimuli.images)
        if not 0 < self.n_images < n:
            return stimuli
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(n)
        # Ranks within classes, as shares: any first part holds each class by its share.
        rank = np.empty(n)
        for name in stimuli.categories:
            members = order[stimuli.category[order] == name]
            rank[members] = (np.arange(len(members)) + rng.random()) / len(members)
        return stimuli.subset(np.sort(np.argsort(rank, kind="stable")[: self.n_images]))

    def _run(self, group: Sequence[Model], stimuli: Stimuli, probes, n_samples=0):
        """Returns the outputs of one pass of models of one size.

        Of the first `n_samples` images every version is kept to be looked at.
        """
        stored_px = stimuli.side_px or group[0].size_px
        store = ImageStore(
            stimuli.dataset(stored_px), cache="none", stored_px=stored_px
        )
        n = len(stimuli.images)
        title = f"{stimuli.name}: {', '.join(model.name for model in group)}"
        found = one_pass.run(
            group,
            store,
            probes,
            seed=self.seed,
            n_samples=n_samples,
            features_of=(PLAIN.name,) if self.keep_features else (),
            on_batch=self.on_pass(title, n),
        )
        samples = self.findings.samples.setdefault(stimuli.name, {})
        for name, images in found.samples.items():
            samples.setdefault(name, images)
        self.findings.speed.append(
            {
                "data": stimuli.name,
                "models": [model.name for model in group],
                "n_answers": found.n_answers,
                "images_per_s": found.n_answers / found.total_s,
                "forward_share": found.forward_s / found.total_s,
                "total_s": found.total_s,
            }
        )
        if self.keep_features:
            self._keep(stimuli, found.outputs)
        return found.outputs


def _by_size(models: Sequence[Model]) -> list[list[Model]]:
    """Returns models that can share a pass: of one size, and of one puzzle if any."""
    groups: list[list[Model]] = []
    for model in models:
        for group in groups:
            puzzles = {_puzzle_of(m) for m in (*group, model)} - {None}
            if group[0].size_px == model.size_px and len(puzzles) <= 1:
                group.append(model)
                break
        else:
            groups.append([model])
    return groups


def _puzzle_of(model: Model) -> bytes | None:
    return None if model.permutations is None else model.permutations.tobytes()


def _decisions(model: Model, stimuli: Stimuli, scores: np.ndarray) -> Decisions:
    if not np.isfinite(scores).all():
        where = int(np.flatnonzero(~np.isfinite(scores).all(1))[0])
        raise NonFiniteError(
            f"{model.name} answers {stimuli.paths[where]} with scores that are not "
            "finite numbers"
        )
    return Decisions(
        observer=model.name,
        kind="model",
        experiment=stimuli.experiment,
        images=stimuli.images,
        category=stimuli.category,
        response=np.array(model.classes)[scores.argmax(-1)],
    )


def _amplitude(stimuli: Stimuli, group: Sequence[Model]) -> np.ndarray:
    """Returns the images' mean amplitude spectrum: a pass of reading."""
    size_px, n_batch = group[0].size_px, min(model.batch_size for model in group)
    stored_px = stimuli.side_px or size_px
    store = ImageStore(stimuli.dataset(stored_px), cache="none", stored_px=stored_px)
    everything = np.arange(len(stimuli.images))
    chunks = [everything[i : i + n_batch] for i in range(0, len(everything), n_batch)]
    resize = jax.jit(augment.resize, static_argnums=1)
    batches = (resize(batch["image"], size_px) for batch in store.batches(chunks))
    return distortions.mean_amplitude(batches)
