"""What makes a process fast whose only devices are CPUs: XLA's flags, and malloc's."""

import ctypes
import importlib.metadata
import importlib.util
import os
import sys

_FLAGS = "XLA_FLAGS"  # XLA's own
# What XLA gives to YNNPACK, a library: by default convolutions too, whose weight
# gradients are slow there.
_TO_YNNPACK = "xla_cpu_experimental_ynn_fusion_type"
_LESS_CONVOLUTIONS = "-LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
_KNOWN_SINCE, _KNOWN_UNTIL = (0, 10, 0), (0, 12, 0)  # versions of jaxlib that know it

# For glibc's `mallopt`. By default a large block is a mapping of its own, given back
# when it is freed, and a thread's heap holds at most 64 MiB: the system clears every
# page anew in every step.
_MALLOC = {
    -4: 0,  # M_MMAP_MAX: blocks of any size come from the heap
    -1: -1,  # M_TRIM_THRESHOLD: the heap never shrinks
    -2: 2**26,  # M_TOP_PAD: the heap grows by at least 64 MiB
    -8: 1,  # M_ARENA_MAX: no thread gets a heap of its own any more
}


def tune() -> None:
    """Makes this process faster, before JAX looks for devices.

    XLA computes convolutions itself. It does not where `XLA_FLAGS` says what YNNPACK
    gets or names a file, or where jaxlib may not know the flag: an unknown flag ends
    the process. Sums then depend on the number of threads: another number of cores
    rounds differently.

    Memory that is freed stays with the process, where the C library is glibc. It does
    not where the environment has settings of glibc's own, `MALLOC_...` or
    `GLIBC_TUNABLES`. The process then holds at least its peak until it ends, or until
    `release_memory`.

    Where jaxlib is not loaded nothing is changed, nor where JAX has a plugin for other
    devices, which may not know the flag, unless `JAX_PLATFORMS` is `cpu`. By how much
    it is faster: docs/performance.md.
    """
    if "jaxlib" not in sys.modules or _has_accelerators():
        return
    _take_convolutions()
    _keep_memory()


def _take_convolutions() -> None:
    flags = os.environ.get(_FLAGS, "").strip()
    version = sys.modules["jaxlib"].version.__version_info__[:3]
    is_file = flags and not flags.startswith("-")
    if is_file or _TO_YNNPACK in flags or not _KNOWN_SINCE <= version <= _KNOWN_UNTIL:
        return
    os.environ[_FLAGS] = f"{flags} --{_TO_YNNPACK}={_LESS_CONVOLUTIONS}".strip()


def _keep_memory() -> None:
    is_set = any(name.startswith("MALLOC_") for name in os.environ)
    if is_set or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        for parameter, value in _MALLOC.items() if mallopt else ():
            mallopt(parameter, value)


def release_memory() -> None:
    """Gives the system back what this process has freed and kept.

    For whoever asks how much memory there is. Without glibc nothing is kept.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)


def _has_accelerators() -> bool:
    """Returns whether JAX may find other devices than CPUs."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return False
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return bool(plugins) or importlib.util.find_spec("libtpu") is not None
