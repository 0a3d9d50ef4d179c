"""Imports point one way, read from the source itself."""

import ast
import subprocess
import sys

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "jigsaw_shape"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Room -> the rooms of the project that it may import. A module of the top level that is
# not named here is a command and may import anything.
ROOMS = {
    "config": set(),
    "checks": {"checks", "config", "data"},
    "presets": {"presets"},
    "system": {"system"},
    "pixels": {"pixels"},
    "measures": {"measures"},
    "models": {"models", "system"},
    "data": {"data", "system"},
    "diversify": {"diversify", "data", "models", "pixels", "system"},
    "runs": {"runs", "config", "system"},
    "stylizing": {"stylizing", "diversify", "data", "pixels", "system"},
    "training": {
        *("training", "measures", "models", "data", "diversify"),
        *("pixels", "runs", "config", "system"),
    },
    "classifiers": {
        *("classifiers", "exporting", "runs", "models", "data", "measures", "pixels"),
        *("system",),
    },
    "suites": {
        *("suites", "classifiers", "measures", "data", "pixels", "training"),
        *("embedding", "reports", "system"),
    },
    "reports": {"reports", "runs", "data", "presets"},
    "benchmarking": {
        *("benchmarking", "runs", "data", "config", "checks", "presets", "system"),
    },
    "exporting": {"exporting", "data", "runs", "models", "pixels", "system"},
    "embedding": {"embedding", "classifiers", "data", "measures", "system"},
}
WITHOUT_JAX = (
    "config",
    "checks",
    "presets",
    "report",
    "benchmark",
    "runs.records",
    "runs.rows",
    "runs.fingerprint",
    "reports.figures",
    "reports.benchmark_report",
    "reports.evaluation_folder",
    "classifiers.of_answers",
)


def _imported(path):
    """Returns the full names that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _room(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    allowed = ROOMS.get(_room(path))
    if allowed is None:
        return
    used = {
        name.split(".")[1]
        for name in _imported(path)
        if name.startswith("jigsaw_shape.")
    }
    assert used <= allowed, f"{path.name} may import {allowed}, not {used - allowed}"


def test_only_one_module_names_pmap():
    naming = [path.name for path in MODULES if "pmap(" in path.read_text()]
    assert naming == ["devices.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_imports_tensorflow(path):
    banned = ("tensorflow.", "torch")
    assert not [n for n in _imported(path) if n.startswith(banned) or n == "tensorflow"]


def test_what_reads_rows_runs_without_jax():
    modules = ", ".join(f"jigsaw_shape.{name}" for name in WITHOUT_JAX)
    code = f"import sys, {modules}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_opening_a_network_loads_nothing_of_training():
    code = (
        "import sys, jigsaw_shape.predict, jigsaw_shape.embed, jigsaw_shape.export; "
        "sys.exit(any('jigsaw_shape.training' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_training_and_evaluating_load_no_tensorflow():
    code = (
        "import sys, jigsaw_shape.train, jigsaw_shape.preview, jigsaw_shape.prepare, "
        "jigsaw_shape.export, jigsaw_shape.embed, jigsaw_shape.predict; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
