"""The user's cache directory: what can be fetched or compiled again."""

import os
import pathlib


def cache_dir() -> pathlib.Path:
    """Returns `$XDG_CACHE_HOME/jigsaw_shape`, or `~/.cache/jigsaw_shape`."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "jigsaw_shape"
