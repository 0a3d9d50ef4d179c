"""Which runs are the same: what a configuration has in common with a stored one.

A run may be continued with the configuration that it stores, and averaged with runs
that differ in seed and target alone. This file says what counts as the same.
"""

import hashlib
import json

from ml_collections import ConfigDict

from jigsaw_shape.config import default_config, flatten

# Where things are. (Whether the images are the same is checked by their digest.)
_PLACES = ("workdir", "data.source_dir", "data.data_dir")
# Fields that a continued run may change: they change no parameter, but for rounding.
FREE_FIELDS = (*_PLACES, "data.cache", "model.remat", "log")

# Raise it when a default changes: digests hold only what is not the default.
DEFAULTS_VERSION = 1
_ABSENT = object()


def to_json(config: ConfigDict) -> str:
    """Returns the configuration as stable JSON, the form that runs store."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(stored: str) -> ConfigDict:
    """Returns a run's stored configuration; fields it lacks are those of the defaults.

    So runs of an earlier version, which had fewer fields, can be read. Only
    `data.background` stays absent where it was: see `decoding.background_of`.

    Raises:
      ValueError: It is no configuration.
    """
    config = default_config()
    try:
        tree = json.loads(stored)
        config.update(_with_tuples(tree))
        if "background" not in tree.get("data", {}):
            del config.data.background
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"no configuration of a run: {error}") from error
    return config


def _with_tuples(stored: object) -> object:
    """Returns a stored tree with tuples for lists, as JSON has no tuples."""
    if isinstance(stored, dict):
        return {key: _with_tuples(value) for key, value in stored.items()}
    return tuple(stored) if isinstance(stored, list) else stored


def differences(stored: str, config: ConfigDict) -> list[str]:
    """Returns the fields in which a run's stored JSON and `config` differ.

    Without `FREE_FIELDS`, and without fields that the stored run is too old to have if
    they are at their defaults, which change nothing. An item reads
    `key: stored -> now`.
    """
    before, now = flatten(json.loads(stored)), flatten(json.loads(to_json(config)))
    defaults = _defaults()
    keys = sorted(before.keys() | now.keys())
    before |= {
        key: value
        for key, value in defaults.items()
        if key not in before and now.get(key) == value
    }
    return [
        f"{key}: {before.get(key, 'absent')} -> {now.get(key, 'absent')}"
        for key in keys
        if before.get(key, _ABSENT) != now.get(key, _ABSENT) and not _is_free(key)
    ]


def common(config: ConfigDict) -> dict:
    """Returns the flat fields that every process of a run must have in common."""
    every = flatten(json.loads(to_json(config)))
    return {key: value for key, value in every.items() if key not in _PLACES}


def fields(stored: str) -> dict:
    """Returns what runs of one method on one protocol have in common, as flat fields.

    The data set's name and every field that is not at its default, so that fields added
    later do not change it. Without the seed, the target and `FREE_FIELDS`.

    Args:
      stored: A configuration as `to_json` writes it.
    """
    defaults = _defaults()
    return {
        key: value
        for key, value in flatten(json.loads(stored)).items()
        if key == "data.name"
        or (
            value != defaults.get(key, _ABSENT)
            and not _is_free(key)
            and key not in ("seed", "data.target")
        )
    }


def digest(config: ConfigDict) -> str:
    """Returns a digest of what runs of these settings have in common, see `fields`."""
    return digest_stored(to_json(config))


def digest_stored(stored: str) -> str:
    """Returns the digest of a configuration as `to_json` writes it."""
    found = {"defaults": DEFAULTS_VERSION, **fields(stored)}
    text = json.dumps(found, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _defaults() -> dict:
    return flatten(json.loads(to_json(default_config())))


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(free + ".") for free in FREE_FIELDS)
