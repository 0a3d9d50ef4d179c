"""From decisions to rows: shape bias and accuracies, beside others' on the same images.

A row is flat and says what was measured of whom: `suite`, `data`, `model`, `group`
(`model`, `human` or `network`), perhaps `condition` and `category`, and measures,
shares in [0, 1]; `low` and `high` are the ends of the 95 % bootstrap interval of the
first of them. Imports no JAX.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.measures import error_consistency, intervals
from jigsaw_shape.measures.shape_bias import by_image, shape_bias_rows

HUMANS = "humans"  # all of them, pooled over trials


def beside(
    observers: Sequence[Decisions], stimuli: Stimuli
) -> tuple[list[Decisions], list[str]]:
    """Returns the observers of these very images, on them, and whom that leaves out.

    Args:
      observers: Of any experiments.
      stimuli: The images.
    """
    known, left_out = [], []
    for observer in observers:
        if observer.experiment != stimuli.experiment:
            continue
        try:
            known.append(observer.on(stimuli.images))
        except ValueError:
            left_out.append(observer.observer)
    return known, left_out


def cue_conflict_rows(
    stimuli: Stimuli,
    models: Sequence[Decisions],
    observers: Sequence[Decisions],
    *,
    seed: int = 0,
) -> Iterator[dict]:
    """Yields everyone's shape bias, overall and for each shape, and consistencies.

    And the differences of the models' biases.

    Args:
      stimuli: A cue conflict.
      models: Their decisions on its images, in their order.
      observers: Others', from `beside`.
      seed: Of the bootstrap.
    """
    humans = [o for o in observers if o.kind == "human"]
    base = {"suite": "shape_bias", "data": stimuli.name}
    for name, group, crowd in _crowds(models, observers, humans):
        answers = np.stack([one.response for one in crowd])
        for row in shape_bias_rows(
            answers, stimuli.category, stimuli.texture, seed=seed
        ):
            if len(crowd) > 1:
                row["observers"] = len(crowd)
            yield {**base, "model": name, "group": group, **row}
    shares = {
        one.observer: {
            "shape_bias": by_image(
                one.response[None], stimuli.category, stimuli.texture
            )
        }
        for one in models
    }
    yield from _difference_rows(shares, base, seed)
    yield from _consistency_rows(base, models, observers, humans, seed)


def accuracy_rows(
    stimuli: Stimuli,
    models: Sequence[Decisions],
    observers: Sequence[Decisions] = (),
    *,
    suite: str,
    seed: int = 0,
) -> Iterator[dict]:
    """Yields everyone's accuracy, overall and for each category, and consistencies.

    And the differences of the models' accuracies.

    Args:
      stimuli: The images.
      models: Decisions on them, in their order.
      observers: Others', from `beside`.
      suite: For the rows.
      seed: Of the bootstrap.
    """
    humans = [o for o in observers if o.kind == "human"]
    base = {"suite": suite, "data": stimuli.name, "condition": stimuli.experiment}
    for name, group, crowd in _crowds(models, observers, humans):
        correct = np.stack([one.correct for one in crowd])
        for category in (None, *np.unique(stimuli.category)):
            everyone = np.ones(len(stimuli.images), bool)
            chosen = everyone if category is None else stimuli.category == category
            hits = correct[:, chosen].sum(0)
            trials = np.full(len(hits), len(crowd))
            low, high = intervals.interval(hits, trials, seed=seed)
            row = {**base, "model": name, "group": group}
            if category is not None:
                row["category"] = str(category)
            row |= {
                "accuracy": float(hits.sum() / trials.sum()),
                "low": low,
                "high": high,
                "n": int(trials.sum()),
            }
            if len(crowd) > 1:
                row["observers"] = len(crowd)
            yield row
    correct = {one.observer: {stimuli.experiment: one.correct} for one in models}
    yield from paired_rows(correct, base, seed=seed)
    if observers:
        yield from _consistency_rows(base, models, observers, humans, seed)


def paired_rows(
    scores: dict[str, dict[str, np.ndarray]], base: dict, *, seed: int = 0
) -> Iterator[dict]:
    """Yields the difference of each two models on the same images, by condition.

    Conditions that only one of them has are left out.

    Args:
      scores: `{model: {condition: [n]}}`, what each image contributes to a mean.
      base: Fields of every row.
      seed: Of the bootstrap.
    """
    shares = {
        name: {condition: (one, np.ones(len(one))) for condition, one in own.items()}
        for name, own in scores.items()
    }
    yield from _difference_rows(shares, base, seed)


def _difference_rows(
    shares: dict[str, dict[str, intervals.Part]], base: dict, seed: int
) -> Iterator[dict]:
    """Yields what `paired_rows` does of shares, `{model: {condition: Part}}`."""
    for first, second in itertools.combinations(shares, 2):
        for condition, share in shares[first].items():
            if condition not in shares[second]:
                continue
            gap, low, high = intervals.difference(
                share, shares[second][condition], seed=seed
            )
            yield {
                **base,
                "model": first,
                "group": "model",
                "versus": second,
                "condition": condition,
                "difference": gap,
                "low": low,
                "high": high,
                "n": len(share[0]),
            }


def _crowds(models, observers, humans):
    """Yields (name, group, decisions) of everyone apart, and of all humans together."""
    for model in models:
        yield model.observer, "model", [model]
    if humans:
        yield HUMANS, "human", humans
    for observer in observers:
        yield observer.observer, observer.kind, [observer]


def _consistency_rows(base, models, observers, humans, seed) -> Iterator[dict]:
    """Yields error consistencies: with humans of everyone else, then with networks."""
    everyone = [*models, *observers]
    if len(everyone) < 2:
        return
    correct = np.stack([one.correct for one in everyone])
    of_humans = [n for n, one in enumerate(everyone) if one.kind == "human"]

    def row(name, group, versus, pairs):
        mean, low, high = error_consistency.mean_consistency(correct, pairs, seed=seed)
        return {
            **base,
            "model": name,
            "group": group,
            "versus": versus,
            "error_consistency": mean,
            "low": low,
            "high": high,
            "pairs": len(pairs),
            "n": correct.shape[1],
        }

    if len(humans) > 1:
        pairs = [(i, j) for i in of_humans for j in of_humans if i < j]
        yield row(HUMANS, "human", HUMANS, pairs)
    for n, one in enumerate(everyone):
        if humans and one.kind != "human":
            yield row(one.observer, one.kind, HUMANS, [(n, i) for i in of_humans])
    for n, model in enumerate(models):
        for i, other in enumerate(everyone):
            if i > n and other.kind != "human":
                yield row(model.observer, "model", other.observer, [(n, i)])
