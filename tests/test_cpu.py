"""A process whose only devices are CPUs is tuned, and what the user says stays."""

import os
import platform
import resource
import subprocess
import sys

import pytest


def _flags_after_tuning(before="", version="", plugin=None):
    """Returns `XLA_FLAGS` of a new process that has tuned itself, and compiled."""
    code = f"""
import importlib.metadata, os
import jax, jax.numpy as jnp, jaxlib
from jigsaw_shape.system import cpu
if {version!r}:
    jaxlib.version.__version_info__ = {version!r}
found = importlib.metadata.entry_points
if {plugin!r}:
    importlib.metadata.entry_points = lambda group: [{plugin!r}]
cpu.tune()
cpu.tune()
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


_N_BYTES = 2**27  # more than glibc keeps by itself
_FAULTS = """
import ctypes, resource
import jax
from jigsaw_shape.system import cpu
{first}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc({n_bytes})
    ctypes.memset(block, 1, {n_bytes})
    libc.free(block)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


def _faults(first, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    return int(
        subprocess.run(
            [sys.executable, "-c", _FAULTS.format(first=first, n_bytes=_N_BYTES)],
            env=environment | variables,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's memory is tuned"
)
def test_memory_that_was_freed_is_not_cleared_again():
    pages = _N_BYTES // resource.getpagesize()
    assert _faults("") > pages / 2
    assert _faults("cpu.tune()") < pages / 100
    assert _faults("cpu.tune()", MALLOC_ARENA_MAX="4") > pages / 2
