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
_KNOWN_SINCE, _KNOWN_UNTIL = (0, 10, 0), (0, 12, 0)  # versions of jaxlib; others abort

# glibc's `mallopt`. By default a large block is a mapping of its own, which is given
# back when it is freed: the system then clears every page of it again in every step.
_MALLOC = {
    -4: 0,  # M_MMAP_MAX: blocks come from the heap, of any size
    -1: -1,  # M_TRIM_THRESHOLD: which never shrinks
    -2: 2**26,  # M_TOP_PAD: and grows by at least 64 MiB
    -8: 1,  # M_ARENA_MAX: all threads have one heap
}


def tune() -> None:
    """Makes this process faster, before JAX looks for devices.

    By how much: docs/performance.md.

    XLA computes convolutions by itself, unless `XLA_FLAGS` says what YNNPACK gets, or
    jaxlib may not know the flag, which would end the process. Sums then depend on the
    number of threads: another number of cores rounds differently.

    Memory that is freed stays with the process, where the C library is glibc and the
    environment sets none of its `MALLOC_` variables. The process then holds its peak
    until it ends.

    Where JAX is not loaded, or has a plugin for other devices, nothing is changed.
    """
    if "jaxlib" not in sys.modules or _has_accelerators():
        return
    _take_convolutions()
    _keep_memory()


def _take_convolutions() -> None:
    flags = os.environ.get(_FLAGS, "")
    version = sys.modules["jaxlib"].version.__version_info__[:3]
    if _TO_YNNPACK not in flags and _KNOWN_SINCE <= version <= _KNOWN_UNTIL:
        os.environ[_FLAGS] = f"{flags} --{_TO_YNNPACK}={_LESS_CONVOLUTIONS}".strip()


def _keep_memory() -> None:
    if sys.platform != "linux" or any(
        name.startswith("MALLOC_") for name in os.environ
    ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        for parameter, value in _MALLOC.items():
            mallopt(parameter, value)


def _has_accelerators() -> bool:
    """Returns whether JAX has a plugin for other devices than CPUs."""
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return bool(plugins) or importlib.util.find_spec("libtpu") is not None
