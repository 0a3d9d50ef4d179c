"""Figures of shape bias stay legible whatever models are called."""

import itertools

import pytest

from jigsaw_shape.reports import look
from jigsaw_shape.suites import consistency, shape_bias_figures


def _row(name, bias):
    return {
        "model": name,
        "group": "model",
        "versus": "humans",
        "shape_bias": bias,
        "error_consistency": bias,
        "low": bias - 0.1,
        "high": bias + 0.1,
        "shape_accuracy": 0.5 * bias,
        "texture_accuracy": 0.5 - 0.5 * bias,
        "n": 1200,
    }


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("erm", ["erm"]),
        ("ab " * 20, ["ab " * 11 + "ab", "ab " * 7 + "ab"]),
        ("x" * 40 + "y" * 80, ["x" * 36, "…" + "y" * 35]),
        ("", [""]),
    ],
)
def test_names_take_two_lines_at_most(name, lines):
    assert look.two_lines(name).split("\n") == lines


@pytest.mark.parametrize("length", [5, 70, 120])
@pytest.mark.parametrize("draw", [shape_bias_figures.ranking, consistency.figure])
def test_long_names_leave_room_for_the_axes(draw, length):
    names = [("torchvision:resnet50.IMAGENET1K_V1 and " * 4)[:length], "erm"]
    with look.look():
        figure = draw([_row(names[0], 0.3), _row(names[1], 0.6)], look.Looks(names))
        figure.draw_without_rendering()
    whole = figure.get_window_extent()
    for tick in figure.axes[0].get_yticklabels():
        assert whole.x0 <= tick.get_window_extent().x0
    boxes = []
    for axes in figure.axes:
        assert axes.get_window_extent().width > 2 * figure.dpi
        label = axes.xaxis.label.get_window_extent()
        assert whole.x0 <= label.x0
        assert label.x1 <= whole.x1
        boxes.append(label)
    for left, right in itertools.pairwise(boxes):
        assert left.x1 < right.x0
