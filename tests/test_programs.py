"""Programs that are kept from one process to the next."""

import os
import subprocess
import sys

CODE = """
import jax
from jigsaw_shape.system import programs
programs.keep()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.jit(lambda x: x * 2 + 1)(3.0).block_until_ready()
"""


def _run(home, code=CODE, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMP")}
    environment |= {"XDG_CACHE_HOME": str(home), **variables}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return sorted(p.name for p in home.rglob("*-cache"))


def test_programs_are_kept_in_the_user_s_cache_and_found_again(tmp_path):
    kept = _run(tmp_path)
    assert kept
    assert _run(tmp_path) == kept
    assert len(list((tmp_path / "jigsaw_shape").iterdir())) == 1  # of one processor


def test_the_environment_decides_where_programs_are_kept(tmp_path):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    assert _run(home, JAX_COMPILATION_CACHE_DIR="") == []
    assert _run(home, JAX_COMPILATION_CACHE_DIR=str(elsewhere)) == []
    assert list(elsewhere.rglob("*-cache"))


def test_a_command_without_jax_keeps_nothing_and_loads_nothing(tmp_path):
    code = """
import sys
from jigsaw_shape.system import programs
programs.keep()
assert "jax" not in sys.modules
"""
    assert _run(tmp_path, code) == []
    assert not (tmp_path / "jigsaw_shape").exists()


def _flags_after_tuning(before="", version="", plugin=None):
    """Returns `XLA_FLAGS` of a new process that has tuned itself, and compiled."""
    code = f"""
import importlib.metadata, os
import jax, jax.numpy as jnp, jaxlib
from jigsaw_shape.system import programs
if {version!r}:
    jaxlib.version.__version_info__ = {version!r}
found = importlib.metadata.entry_points
if {plugin!r}:
    importlib.metadata.entry_points = lambda group: [{plugin!r}]
programs.tune()
programs.tune()
importlib.metadata.entry_points = found
x, kernel = jnp.ones((8, 16, 16, 32)), jnp.ones((3, 3, 32, 32))
conv = jax.jit(lambda x, kernel: jax.lax.conv_general_dilated(
    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))
program = conv.lower(x, kernel).compile().as_text()
print("ynn" in program, os.environ.get("XLA_FLAGS", ""))
"""
    environment = os.environ | {"XLA_FLAGS": before}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    by_library, _, flags = answer.strip().partition(" ")
    return by_library == "True", flags


def test_convolutions_on_cpus_are_not_the_library_s():
    by_library, flags = _flags_after_tuning("--xla_cpu_enable_fast_math=false")
    assert not by_library
    assert flags.startswith("--xla_cpu_enable_fast_math=false --xla_cpu_experimental_")
    assert flags.count("--") == 2  # said once


def test_what_the_user_says_of_the_library_stays():
    mine = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
    assert _flags_after_tuning(mine)[1] == mine


def test_a_flag_that_may_be_unknown_is_not_set():
    assert _flags_after_tuning(version=(0, 9, 2)) == (True, "")
    assert _flags_after_tuning(version=(0, 13, 0)) == (True, "")
    assert _flags_after_tuning(plugin="cuda") == (True, "")
