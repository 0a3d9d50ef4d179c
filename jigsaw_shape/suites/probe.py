"""The suite `probe`: what frozen features are worth, within and across domains.

Simple classifiers are fitted on features of a network that stays as it is
(`measures.probe`), so that networks without a head, self-supervised and untrained ones
can be compared. Regularization is chosen on held-out images of the domain that is
fitted on, never on the domain that is tested. Needs scikit-learn, of the extra
`evaluate`.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from jigsaw_shape.data import domain_folders
from jigsaw_shape.data.stimuli import Stimuli, of_dataset
from jigsaw_shape.measures import intervals, probe
from jigsaw_shape.suites import (
    accuracy,
    differences,
    own_data,
    probe_page,
    with_features,
)
from jigsaw_shape.suites.labelled_images import choice
from jigsaw_shape.suites.opened import Opened
from jigsaw_shape.suites.probe_page import FEW, LINEAR, NEIGHBOURS, OTHERS
from jigsaw_shape.suites.suite import PLAIN, Answers, Found, Job, Suite

_GIVEN = (domain_folders.EXPERIMENT, "images")


def find(opened: Opened, suites: Sequence[str]) -> Found:
    """Returns labelled images, and the models that give features.

    These are the given images; without any, each run's own, for other models too. Of
    each domain at most `--n-images` are used that a run was trained on, and as many
    others.
    """
    del suites
    try:
        probe.sklearn()
    except ValueError as error:
        return Found(left_out=[f"--suite probe: {error}"])
    able, left_out = with_features.models(opened, "probe")
    given = [s for s in opened.data if s.experiment in _GIVEN]
    if given:
        left_out += with_features.refused_files(opened, "probe")
        found = [(s, able) for s in given if able or opened.features]
    else:
        found = with_features.with_others(opened.of_runs(own_images), able)
    jobs, notes = [], []
    for whole, models in found:
        stimuli = _at_most(whole, opened.n_images, opened.seed)
        if not list(_sets(stimuli, opened.seed)):
            left_out.append(
                f"{whole.name}: no domain has images of two classes to fit a probe on "
                "and others of these classes to test it"
            )
            continue
        jobs.append(Job(stimuli, tuple(models)))
        notes += [f"{stimuli.name}: {stimuli.made_by}"] * bool(stimuli.made_by)
    return Found(jobs, left_out, notes)


def own_images(config) -> Stimuli:
    """Returns every image of a run's sources and of its target."""
    dataset, splits = own_data.load(config)
    indices = np.concatenate([splits.train, splits.val, splits.target])
    stimuli = of_dataset(
        dataset,
        indices,
        name=f"{dataset.name}/{config.data.target} and sources",
        side_px=config.data.stored_px,
    )
    made_by = (
        f"Probes are fitted on images of {', '.join(splits.sources)} that the run was "
        f"trained on, and tested on {'others and on ' * bool(len(splits.val))}the "
        f"target {config.data.target}"
    )
    if not len(splits.val):
        middle = f"{probe.MIDDLE_STRENGTH:g}"
        made_by += f"; no images are left to choose C, which is {middle}"
    trained = np.arange(len(indices)) < len(splits.train)
    return dataclasses.replace(stimuli, made_by=made_by, trained=trained)


def _at_most(stimuli: Stimuli, n_images: int, seed: int) -> Stimuli:
    """Returns at most so many images of each domain, trained on or not; 0: all."""
    trained, domains = _trained(stimuli), _domains(stimuli)
    chosen = []
    for domain in np.unique(domains):
        for seen in (True, False):
            here = np.flatnonzero((domains == domain) & (trained == seen))
            if len(here):
                part = choice(stimuli.subset(here), n_images, seed)
                row_of = {stimuli.images[i]: i for i in here}
                chosen += [row_of[image] for image in part.images]
    if len(chosen) == len(stimuli.images):
        return stimuli
    text = f"{stimuli.made_by}. " if stimuli.made_by else ""
    text += (
        f"A seeded choice of {len(chosen)} of {len(stimuli.images)} images, at most "
        f"{n_images} of a domain, each class in proportion (--n-images)"
    )
    part = stimuli.subset(np.sort(chosen))
    return dataclasses.replace(
        part, name=f"{stimuli.name}, {len(chosen)} images", made_by=text
    )


def _trained(stimuli: Stimuli) -> np.ndarray:
    none = np.zeros(len(stimuli.images), bool)
    return none if stimuli.trained is None else stimuli.trained


def _domains(stimuli: Stimuli) -> np.ndarray:
    if stimuli.domain is None:
        return np.full(len(stimuli.images), stimuli.name)
    return stimuli.domain


class _Set(NamedTuple):
    """Images to fit on, to choose by, and to test in each domain, as indices."""

    fit: str
    fitted: np.ndarray
    chooses: np.ndarray
    tests: dict[str, np.ndarray]


def _sets(stimuli: Stimuli, seed: int) -> Iterator[_Set]:
    """Yields what is fitted and what is tested then.

    Domains are fitted on one by one, and all others together for each domain that a run
    held out, or for each of the given ones. No image is tested that was fitted on or
    that a run was trained on, nor one of a class that was not fitted on.
    """
    domains, trained = _domains(stimuli), _trained(stimuli)
    part = probe.parts(stimuli.category, domains, trained, seed=seed)
    names = list(dict.fromkeys(domains.tolist()))
    sets = [(name, domains == name, names) for name in names]
    if len(names) > 2:
        held_out = [n for n in names if not trained[domains == n].any()]
        sets += [(OTHERS, domains != name, [name]) for name in held_out]
    for fit, members, asked in sets:
        fitted = members & (part == probe.FIT)
        known = np.isin(stimuli.category, stimuli.category[fitted])
        unseen = known & ~trained & (~members | (part == probe.TEST))
        tests = {test: np.flatnonzero(unseen & (domains == test)) for test in asked}
        tests = {test: images for test, images in tests.items() if len(images)}
        if len(np.unique(stimuli.category[fitted])) > 1 and tests:
            chooses = members & (part == probe.CHOOSE) & known
            yield _Set(fit, np.flatnonzero(fitted), np.flatnonzero(chooses), tests)


def rows(answers: Answers) -> Iterator[dict]:
    """Yields accuracies of each probe, then differences between linear probes.

    `measure` is `linear`, `neighbours` or `few_shot` (with `shots`); `fit` and `test`
    name domains, `fit` may be "the others"; `strength` is the C that was chosen. The
    interval of `few_shot` is over draws, others' are over images.
    """
    sets = list(_sets(answers.stimuli, answers.seed))
    features = {
        model.name: answers.outputs[model.name][PLAIN.name]["features"]
        for model in answers.models
    }
    linear: dict[str, dict[str, np.ndarray]] = {}
    for name, vectors in {**features, **answers.features}.items():
        linear[name] = {}
        for one in sets:
            for row, right in _measured(vectors, answers, one):
                yield {"model": name, "group": "model", **row}
                if row["measure"] == LINEAR:
                    linear[name][probe_page.title(row)] = np.float64(right)
    yield from differences.rows(linear, seed=answers.seed)


def _measured(vectors: np.ndarray, answers: Answers, one: _Set):
    """Yields a row of each measure in each domain, and what was right: bool [n]."""
    category, seed = answers.stimuli.category, answers.seed
    of = vectors[one.fitted], category[one.fitted]
    asked = np.concatenate(list(one.tests.values()))
    right = {
        FEW: [
            (shots, found == category[asked])
            for shots in probe.SHOTS
            if (found := probe.few_shot(*of, vectors[asked], shots, seed=seed))
            is not None
        ],
        NEIGHBOURS: probe.nearest_neighbours(*of, vectors[asked]) == category[asked],
    }
    held_out = vectors[one.chooses], category[one.chooses]
    found = probe.linear_probe(*of, *held_out, vectors[asked])
    right[LINEAR] = found.answers == category[asked]
    n_classes = len(np.unique(of[1]))
    ends = np.cumsum([len(images) for images in one.tests.values()])
    for test, end in zip(one.tests, ends, strict=True):
        here = slice(end - len(one.tests[test]), end)
        base = {"fit": one.fit, "test": test, "n_fit": len(one.fitted)}
        base |= {"n_classes": n_classes, "chance": 1 / n_classes}
        for shots, correct in right[FEW]:
            row = {"measure": FEW, "shots": shots, **over_draws(correct[:, here])}
            yield {**row, **base, "n": len(one.tests[test])}, None
        for measure in (NEIGHBOURS, LINEAR):
            row = {"measure": measure, **base}
            row |= {"strength": found.strength} if measure == LINEAR else {}
            correct = right[measure][here]
            yield row | accuracy.share(correct, seed=seed), correct


def over_draws(right: np.ndarray) -> dict:
    """Returns the mean `accuracy` of draws, with the 95 % t interval of the mean.

    Args:
      right: bool [draws, n].
    """
    found = right.mean(1)
    reach = stats.sem(found) * stats.t.ppf((1 + intervals.LEVEL) / 2, len(found) - 1)
    middle = float(found.mean())
    return {
        "accuracy": middle,
        "low": max(0.0, middle - float(reach)),
        "high": min(1.0, middle + float(reach)),
        "draws": len(found),
    }


SUITE = Suite(
    find=find,
    wanted=(
        f"give --data {domain_folders.EXPERIMENT}=DIR with folders DOMAIN/CLASS/IMAGE "
        "or --data images=DIR with folders CLASS/IMAGE, or --model with a run, for its "
        "own images"
    ),
    rows=rows,
    tables=probe_page.tables,
    section=probe_page.section,
    facts=probe_page.facts,
    headlines=probe_page.headlines,
    by_features=True,
)
