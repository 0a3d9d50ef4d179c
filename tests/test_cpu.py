"""A process whose only devices are CPUs is tuned, and what the user says stays."""

import os
import platform
import subprocess
import sys

import pytest


def _run(code, **variables):
    """Returns what a new process prints, without settings of ours or the user's."""
    theirs = ("XLA_FLAGS", "GLIBC_TUNABLES", "JAX_PLATFORMS")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in theirs and not name.startswith("MALLOC_")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"JAX_PLATFORMS": "cpu"} | variables,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def _flags(before="", version=(0, 10, 2), plugins=(), platforms="cpu"):
    """Returns `XLA_FLAGS` of a new process that has tuned itself twice."""
    code = f"""
import importlib.metadata, importlib.util, os
import jaxlib
from jigsaw_shape.system import cpu
jaxlib.version.__version_info__ = {version}
importlib.metadata.entry_points = lambda group: {plugins}
importlib.util.find_spec = lambda name: None
cpu.tune()
cpu.tune()
print(os.environ.get("XLA_FLAGS", ""))
"""
    return _run(code, XLA_FLAGS=before, JAX_PLATFORMS=platforms)


def test_convolutions_are_not_the_library_s():
    code = """
import jax, jax.numpy as jnp
from jigsaw_shape.system import cpu
cpu.tune()
x, kernel = jnp.ones((8, 16, 16, 32)), jnp.ones((3, 3, 32, 32))
conv = jax.jit(lambda x, kernel: jax.lax.conv_general_dilated(
    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))
print("ynn" in conv.lower(x, kernel).compile().as_text())
"""
    assert _run(code) == "False"
    flags = _flags("--xla_cpu_enable_fast_math=false")
    assert flags.startswith("--xla_cpu_enable_fast_math=false --xla_cpu_experimental_")
    assert flags.count("--") == 2  # said once


def test_what_the_user_says_of_the_library_stays():
    mine = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
    assert _flags(mine) == mine
    assert _flags("/etc/xla.flags") == "/etc/xla.flags"


def test_a_flag_that_may_be_unknown_is_not_set():
    assert _flags(version=(0, 9, 2)) == ""
    assert _flags(version=(0, 13, 0)) == ""
    assert _flags(plugins=("cuda",), platforms="") == ""
    assert _flags(plugins=("cuda",)) != ""  # it is not used


_KEPT = """
import ctypes
import jax
from jigsaw_shape.system import cpu
{first}
def resident():
    return int(open("/proc/self/statm").read().split()[1])
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
before = resident()
block = libc.malloc({n_bytes})
ctypes.memset(block, 1, {n_bytes})
filled = resident() - before
libc.free(block)
{last}
print((resident() - before) / filled)
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's memory is tuned"
)
def test_memory_that_is_freed_stays():
    def share_kept(first, last="", **variables):
        n_bytes = 2**27  # more than glibc keeps by itself
        code = _KEPT.format(first=first, last=last, n_bytes=n_bytes)
        return float(_run(code, **variables))

    assert share_kept("") < 0.1
    assert share_kept("cpu.tune()") > 0.9
    assert share_kept("cpu.tune()", "cpu.release_memory()") < 0.1
    assert share_kept("cpu.tune()", MALLOC_ARENA_MAX="4") < 0.1
    tunables = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}
    assert share_kept("cpu.tune()", **tunables) < 0.1
