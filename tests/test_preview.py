"""The sheet of what a run sees has the rows that the run has."""

import pytest
from conftest import REPOSITORY
from test_checks import load_config

from jigsaw_shape.preview import preview_figure
from jigsaw_shape.training import learner as learner_lib
from jigsaw_shape.training import run_data


@pytest.mark.parametrize(
    ("preset", "rows"),
    [
        ("erm", ["stored", "augmented", "held out"]),
        ("jigen", ["stored", "augmented", "shuffled", "held out"]),
        ("fourier", ["stored", "augmented", "style", "stylized", "held out"]),
        ("puzzle", ["stored", "augmented", "shuffled", "held out"]),
        ("randconv", ["stored", "augmented", "stylized", "held out"]),
    ],
)
def test_rows_are_what_the_preset_does(preset, rows):
    labels = [axes.get_ylabel() for axes in _sheet(preset).axes if axes.get_ylabel()]
    assert labels == rows


def test_an_image_that_becomes_edges_has_no_style():
    axes = _sheet("shape_edges").axes
    labels = [ax.get_ylabel() for ax in axes]
    first = labels.index("style")
    row = axes[first : labels.index("stylized")]
    white = [bool((ax.images[0].get_array() == 1).all()) for ax in row]
    assert any(white)
    assert not all(white)


def _sheet(preset):
    config = load_config(REPOSITORY / "configs" / "shapes.py", preset)
    config.data.update(n_per_class=6, n_cue_conflict_per_class=4, stored_px=32)
    config.data.image_size = 24
    dataset, splits = run_data.load_data(config)
    learner = learner_lib.make_learner(
        config, len(dataset.classes), len(dataset.domains)
    )
    styling, _ = run_data.load_styling(config, dataset, splits)
    return preview_figure(config, dataset, splits, learner.permutations, styling)
