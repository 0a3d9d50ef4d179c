"""Versions of packages, for records of what was run."""

import importlib.metadata

import jigsaw_shape


def installed(*names: str) -> dict[str, str]:
    """Returns the version of each package `names` that is installed, by name.

    This program's own is among them in a checkout on PYTHONPATH too.
    """
    versions = {}
    for name in names:
        if name == "jigsaw_shape":
            versions[name] = jigsaw_shape.__version__
            continue
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # an extra, say
            continue
    return versions
