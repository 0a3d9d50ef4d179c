"""Four CPU devices for every test, forced before JAX starts."""

import importlib.metadata
import os
import pathlib
import tempfile

import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
# Compiling is what most tests wait for: LLVM need not optimize.
XLA_FLAGS = "--xla_backend_optimization_level=0"
if importlib.metadata.version("jaxlib").startswith("0.10."):  # later ones end at it
    XLA_FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{XLA_FLAGS} --xla_force_host_platform_device_count=4"
# Programs that several tests compile, here and in other processes, are compiled once.
# Set JAX_COMPILATION_CACHE_DIR to keep them from one run of the tests to the next.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    cache = tempfile.mkdtemp(prefix="jigsaw_shape_jit_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def pacs_dir() -> pathlib.Path:
    """The folder of the real PACS; tests that need it skip without."""
    named = os.environ.get("PACS_DIR")
    folder = pathlib.Path(named or REPOSITORY.parent / "shared" / "data" / "pacs")
    if not folder.is_dir():
        pytest.skip(f"no PACS at {folder} (set PACS_DIR)")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """Returns a function that names a folder of published data, or skips without."""

    def folder(name: str) -> pathlib.Path:
        path = REPOSITORY.parent / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"no published data at {path}")
        return path

    return folder
