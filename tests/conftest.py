"""Four CPU devices for every test, forced before JAX starts."""

import os
import pathlib

import pytest

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def pacs_dir() -> pathlib.Path:
    """The folder of the real PACS; tests that need it skip without."""
    named = os.environ.get("PACS_DIR")
    folder = pathlib.Path(named or REPOSITORY.parent / "shared" / "data" / "pacs")
    if not folder.is_dir():
        pytest.skip(f"no PACS at {folder} (set PACS_DIR)")
    return folder
