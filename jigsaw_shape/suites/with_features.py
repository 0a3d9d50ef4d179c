"""What the suites that read features have in common: whose features there are."""

from collections.abc import Sequence

from jigsaw_shape.classifiers.classifier import Classifier
from jigsaw_shape.data.stimuli import Stimuli
from jigsaw_shape.suites.opened import Opened


def models(opened: Opened, suite: str) -> tuple[list[Classifier], list[str]]:
    """Returns the models that give features, and why others are left out."""
    able = [model for model in opened.models if model.has_features]
    left_out = [
        f"{suite}: {model.name} gives no features to compare: an ONNX file needs an "
        "output called features, [B, F], as `python -m jigsaw_shape.export` writes it"
        for model in opened.models
        if not model.has_features
    ]
    return able, left_out


def refused_files(opened: Opened, suite: str) -> list[str]:
    """Returns why files of predictions are left out: they hold no features."""
    return [
        f"{suite}: the predictions {one.observer} hold no features to compare: an npz "
        "needs an array called features, [images, F]"
        for one in opened.predicted
        if one.observer not in opened.features
    ]


def with_others(
    own: Sequence[tuple[Stimuli, Sequence[Classifier]]], able: Sequence[Classifier]
) -> list[tuple[Stimuli, list[Classifier]]]:
    """Returns the runs' own images, which models that are not runs are shown too.

    Args:
      own: Of `Opened.of_runs`.
      able: The models that give features.
    """
    others = [model for model in able if model.config is None]
    return [(s, [*(m for m in runs if m in able), *others]) for s, runs in own]
