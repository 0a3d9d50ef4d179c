"""Humans and published networks, beside the models that are evaluated."""

from collections.abc import Iterator, Sequence

from jigsaw_shape.data.decisions import Decisions
from jigsaw_shape.data.stimuli import Stimuli

HUMANS = "humans"  # all of them, pooled over trials
_ORDER = {"model": 0, "human": 1, "network": 2}


def on_these(
    observers: Sequence[Decisions], stimuli: Stimuli
) -> tuple[list[Decisions], list[str]]:
    """Returns observers' decisions on these images, and who saw other images."""
    known, left_out = [], []
    for observer in observers:
        if observer.experiment != stimuli.experiment:
            continue
        try:
            known.append(observer.on(stimuli.images))
        except ValueError:
            left_out.append(observer.observer)
    return known, left_out


def crowds(
    models: Sequence[Decisions], observers: Sequence[Decisions]
) -> Iterator[tuple[str, str, list[Decisions]]]:
    """Yields (name, group, decisions) of models, all humans pooled, each observer.

    The group is `model`, `human` or `network`.
    """
    for model in models:
        yield model.observer, "model", [model]
    humans = [one for one in observers if one.kind == "human"]
    if humans:
        yield HUMANS, "human", humans
    for observer in observers:
        yield observer.observer, observer.kind, [observer]


def as_listed(rows: Sequence[dict]) -> list[dict]:
    """Returns rows of models, then of humans pooled, then of networks, for a table."""
    rows = [r for r in rows if r["group"] != "human" or r["model"] == HUMANS]
    return sorted(rows, key=lambda row: _ORDER[row["group"]])
