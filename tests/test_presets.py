"""Methods as changes to a configuration: what each changes, and what it needs."""

import json

import pytest
from conftest import REPOSITORY
from test_checks import load_config

from jigsaw_shape import config as config_lib
from jigsaw_shape.presets import apply_preset
from jigsaw_shape.runs import fingerprint
from jigsaw_shape.training import run_data


def _config(preset):
    return apply_preset(config_lib.default_config(), preset)


def _changes(one, other):
    """Returns the fields in which two presets differ, but for their names."""
    stored = fingerprint.to_json(_config(one))
    lines = fingerprint.differences(stored, _config(other))
    return {line.split(":")[0] for line in lines} - {"preset"}


@pytest.mark.parametrize(
    ("one", "other", "fields"),
    [
        ("erm", "dann", {"losses.domain"}),
        ("sin", "dann_style", {"losses.domain", "dann.domains"}),
        ("fourier", "shape", {"diversify.p_ordered", "losses.consistency"}),
        ("shape", "shape_edges", {"diversify.name", "optim.heads_first"}),
        ("ddec", "whole_only", {"diversify.per_tile"}),
        ("ddec", "tile_only", {"diversify.per_tile"}),
        ("ddec", "jigsaw_0", {"losses.jigsaw"}),
    ],
)
def test_an_ablation_changes_what_it_is_named_for_and_nothing_else(one, other, fields):
    assert _changes(one, other) == fields


def test_style_only_stylizes_as_many_images_as_ddec_and_shuffles_none():
    whole, alone = _config("ddec"), _config("style_only")
    share = (1 - whole.jigsaw.bias_whole_image) * whole.diversify.p_shuffled[0]
    assert alone.diversify.p_ordered[0] == pytest.approx(share)
    assert alone.jigsaw.bias_whole_image == 1
    assert alone.losses.jigsaw == 0
    for key in ("name", "weakest", "strongest", "external", "styles"):
        assert alone.diversify[key] == whole.diversify[key]


@pytest.mark.parametrize("sources", ["photo", ""])
def test_one_source_has_no_domains_to_tell_apart(sources):
    config = load_config(REPOSITORY / "configs" / "shapes.py", "dann")
    config.data.n_per_class = 3
    config.data.sources = sources
    if not sources:
        run_data.load_data(config)
        return
    with pytest.raises(ValueError, match=r"photo is the only one.*dann\.domains"):
        run_data.load_data(config)
    config.dann.domains = "style"
    run_data.load_data(config)
    config.dann.domains = "source"
    config.data.setting = "adaptation"  # the target's images are another domain
    run_data.load_data(config)


@pytest.mark.parametrize("preset", ["coral", "mmd", "cdann", "vrex", "irm", "fishr"])
def test_one_source_has_nothing_to_compare(preset):
    config = load_config(REPOSITORY / "configs" / "shapes.py", preset)
    config.data.n_per_class = 3
    config.data.sources = "photo"
    with pytest.raises(ValueError, match=rf"losses\.{preset}=.*photo is the only one"):
        run_data.load_data(config)


@pytest.mark.parametrize(
    ("preset", "change", "words"),
    [
        ("shape", {}, r"diversify\.external='\(0\.0,\).*photo is the only one"),
        ("sin", {"diversify.external": (1.0, 0.5)}, "images of other sources"),
        ("mixstyle", {"mixstyle.mix": "crossdomain"}, r"photo is the only one"),
        ("shape", {"diversify.external": (1.0,)}, ""),
        ("ddec", {}, ""),
        ("randconv", {}, ""),
        ("mixstyle", {}, ""),
    ],
)
def test_one_source_has_no_styles_of_others(preset, change, words):
    config = load_config(REPOSITORY / "configs" / "shapes.py", preset)
    config.data.n_per_class = 3
    config.update_from_flattened_dict(change)
    run_data.load_data(config)  # with all sources
    config.data.sources = "photo"
    if not words:
        run_data.load_data(config)
        return
    with pytest.raises(ValueError, match=words):
        run_data.load_data(config)


def test_defaults_are_without_the_new_terms():
    stored = json.loads(fingerprint.to_json(_config("erm")))
    on = {name: weight for name, weight in stored["losses"].items() if weight}
    assert on == {"classification": 1.0}
