"""What counts as the same run, and as the same settings of several."""

import json
import pathlib

import pytest
from test_checks import CONFIGS, load_config

from jigsaw_shape import checks
from jigsaw_shape import config as config_lib
from jigsaw_shape.presets import apply_preset
from jigsaw_shape.runs import fingerprint

# The defaults of version 1. A field may be added to the program, and is not added here.
DEFAULTS = json.loads(
    (pathlib.Path(__file__).parent / "data" / "defaults_1.json").read_text()
)


def _config(preset="jigen", **fields):
    config = apply_preset(config_lib.default_config(), preset)
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in fields.items()}
    )
    return config


def _without(stored, *keys):
    """Returns a stored configuration from before there were these fields."""
    tree = json.loads(stored)
    for key in keys:
        node = tree
        *parents, leaf = key.split(".")
        for parent in parents:
            node = node[parent]
        del node[leaf]
    return json.dumps(tree)


def test_differences_name_what_changed_and_forgive_what_may():
    config = config_lib.default_config()
    stored = fingerprint.to_json(config)
    assert fingerprint.differences(stored, config) == []
    config.workdir, config.log.every_steps, config.data.cache = "x", 7, "none"
    assert fingerprint.differences(stored, config) == []
    config.optim.lr = 0.5
    config.augment.crop_scale = (0.5, 1.0)
    assert fingerprint.differences(stored, config) == [
        "augment.crop_scale: [0.8, 1.0] -> [0.5, 1.0]",
        "optim.lr: 0.001 -> 0.5",
    ]


def test_a_run_from_before_a_field_goes_on_where_the_field_is_at_its_default():
    config = _config()
    old = _without(fingerprint.to_json(config), "optim.ema_decay", "mixstyle")
    assert fingerprint.differences(old, config) == []
    config.optim.ema_decay = 0.9
    assert fingerprint.differences(old, config) == ["optim.ema_decay: absent -> 0.9"]


def test_a_field_that_is_gone_or_known_to_one_data_set_alone_is_a_difference():
    config = _config()
    tree = json.loads(fingerprint.to_json(config))
    tree["optim"]["gone"] = 1
    assert fingerprint.differences(json.dumps(tree), config) == [
        "optim.gone: 1 -> absent"
    ]
    stored = fingerprint.to_json(config)
    config.data.draw_seed = 0
    assert fingerprint.differences(stored, config) == ["data.draw_seed: absent -> 0"]


@pytest.mark.parametrize(
    "same", [{"seed": 5}, {"data__target": "photo"}, {"log__every_steps": 3}]
)
def test_runs_of_one_method_have_one_digest(same):
    assert fingerprint.digest(_config(**same)) == fingerprint.digest(_config())


@pytest.mark.parametrize(
    "other",
    [
        {"optim__lr": 0.5},
        {"data__split_seed": 1},
        {"data__name": "vlcs"},
        {"preset": "ddec"},
        {"diversify__p_ordered": (0.1,)},
    ],
)
def test_other_settings_have_another_digest(other):
    assert fingerprint.digest(_config(**other)) != fingerprint.digest(_config())


def test_a_new_field_at_its_default_leaves_the_digest(monkeypatch):
    before = fingerprint.digest(_config())
    older = config_lib.default_config

    def newer():
        config = older()
        config.optim.swa = 0.0
        config.novelty = type(config)({"weight": 0.0})
        return config

    monkeypatch.setattr(fingerprint, "default_config", newer)
    monkeypatch.setattr(config_lib, "default_config", newer)
    config = _config()
    assert "swa" in config.optim
    assert fingerprint.digest(config) == before
    config.optim.swa = 0.5
    assert fingerprint.digest(config) != before


def test_defaults_stay_while_their_version_does():
    now = config_lib.flatten(
        json.loads(fingerprint.to_json(config_lib.default_config()))
    )
    moved = {k: now.get(k) for k, v in DEFAULTS.items() if now.get(k) != v}
    assert fingerprint.DEFAULTS_VERSION == 1
    assert not moved, "raise settings.DEFAULTS_VERSION, and write defaults_2.json"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_stored_configuration_is_read_again(path):
    config = load_config(path, "jigen")
    stored = fingerprint.to_json(config)
    again = fingerprint.from_json(stored)
    assert fingerprint.to_json(again) == stored
    assert fingerprint.differences(stored, again) == []
    checks.check(again, n_devices=4)


def test_what_a_stored_configuration_lacks_is_the_default():
    config = load_config(CONFIGS[0])
    tree = config.to_dict()
    del tree["mixstyle"], tree["optim"]["ema_decay"]
    again = fingerprint.from_json(json.dumps(tree))
    assert again.mixstyle == config_lib.default_config().mixstyle
    assert again.optim.ema_decay == 0
    assert again.optim.lr == config.optim.lr


@pytest.mark.parametrize("stored", ["[]", '{"optim": 3}', "nonsense"])
def test_what_is_no_configuration_is_refused(stored):
    with pytest.raises(ValueError, match="no configuration of a run"):
        fingerprint.from_json(stored)
