"""How programs are compiled, and where they are kept from one process to the next."""

import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import sys

VARIABLE = "JAX_COMPILATION_CACHE_DIR"  # JAX's own: a folder, or empty for none
_MOST_BYTES = 2 * 2**30  # the least recently used programs are deleted beyond it
_LEAST_S = 1.0  # of compiling: what takes less is not kept

_FLAGS = "XLA_FLAGS"  # XLA's own
# What XLA gives to YNNPACK, a library, on CPUs: by default convolutions too, whose
# weight gradients are slow there.
_TO_YNNPACK = "xla_cpu_experimental_ynn_fusion_type"
_LESS_CONVOLUTIONS = "-LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
_KNOWN_SINCE, _KNOWN_UNTIL = (0, 10, 0), (0, 12, 0)  # versions of jaxlib; others abort


def tune() -> None:
    """Has XLA compute convolutions on CPUs by itself, which trains a ResNet faster.

    For processes whose only devices are CPUs, before JAX looks for them. Where
    `XLA_FLAGS` says what YNNPACK gets, that stays; where jaxlib may not know the flag,
    which would end the process, it is not set. Sums then depend on the number of
    threads: another number of cores rounds differently. Figures: docs/performance.md.
    """
    flags = os.environ.get(_FLAGS, "")
    jaxlib = sys.modules.get("jaxlib")
    if jaxlib is None or _TO_YNNPACK in flags or _has_accelerators():
        return
    if _KNOWN_SINCE <= jaxlib.version.__version_info__[:3] <= _KNOWN_UNTIL:
        os.environ[_FLAGS] = f"{flags} --{_TO_YNNPACK}={_LESS_CONVOLUTIONS}".strip()


def keep() -> None:
    """Keeps what takes long to compile in the user's cache directory.

    `$XDG_CACHE_HOME/jigsaw_shape` or `~/.cache/jigsaw_shape`, a folder for each kind of
    processor, since programs for one may not run on another. Several processes may
    share it. Where `JAX_COMPILATION_CACHE_DIR` is set JAX follows that instead; empty,
    nothing is kept. Without a place to write to, or in a command that does not use JAX,
    nothing is kept either.
    """
    jax = sys.modules.get("jax")
    if jax is None or VARIABLE in os.environ:
        return
    folder = _cache_home() / "jigsaw_shape" / f"programs-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_S)


def _has_accelerators() -> bool:
    """Returns whether JAX has a plugin for other devices than CPUs."""
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return bool(plugins) or importlib.util.find_spec("libtpu") is not None


def _cache_home() -> pathlib.Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache"


def _processor() -> str:
    """Returns a digest of what the processor can do, as far as the system tells."""
    about = " ".join((platform.machine(), platform.processor()))
    info = pathlib.Path("/proc/cpuinfo")  # Linux only
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        about += next((line for line in lines if line.startswith("flags")), "")
    return hashlib.sha256(about.encode()).hexdigest()[:8]
