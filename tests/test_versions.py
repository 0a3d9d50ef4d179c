"""Records of versions, installed or not."""

import importlib.metadata

import jigsaw_shape
from jigsaw_shape.system import versions


def test_what_is_not_installed_is_left_out(monkeypatch):
    def version(name):
        if name == "numpy":
            return "2.0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = versions.installed("jigsaw_shape", "numpy", "onnxruntime")
    assert found == {"jigsaw_shape": jigsaw_shape.__version__, "numpy": "2.0"}
