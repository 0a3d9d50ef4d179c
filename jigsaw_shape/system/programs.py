"""Compiled programs: kept on disk from one process to the next, made side by side."""

import hashlib
import os
import pathlib
import platform
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jigsaw_shape.system.cache import cache_dir
from jigsaw_shape.system.lock import lock

VARIABLE = "JAX_COMPILATION_CACHE_DIR"  # JAX's own: a folder, or empty for none
_MOST_BYTES = 2 * 2**30  # the least recently used programs are deleted beyond it
_LEAST_S = 1.0  # of compiling: what takes less is not kept
_ENOUGH_CORES = 4  # to compile side by side


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
    folder = cache_dir() / f"programs-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _drop_unfinished(folder)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_S)


def _drop_unfinished(folder: pathlib.Path) -> None:
    """Deletes what a process was writing when it was killed.

    JAX writes a program and then the time of its last use. It would neither replace
    one of which it has half, nor keep any other where such a time is missing.
    """
    try:
        with lock(folder / ".lockfile", wait=False):  # JAX's own
            for program in folder.glob("*-cache"):
                time = program.with_name(program.name.removesuffix("cache") + "atime")
                if not time.exists():
                    program.unlink()
    except BlockingIOError:
        pass  # another process reads or writes; the next start will do


def compile_beside(meanwhile: Callable[[], None], *calls: tuple[Any, ...]) -> None:
    """Compiles programs side by side where there are cores for it.

    XLA keeps one to two cores busy with a program. On two, side by side takes as long
    as one after the other (docs/performance.md), so there each is left to its first
    call.

    Args:
      meanwhile: Is called in this thread.
      *calls: `(function, *arguments)`, of a compiled function with its `lower`. Nothing
        is computed; a later call with such arguments finds the program.
    """
    if (os.cpu_count() or 1) < _ENOUGH_CORES:
        meanwhile()
        return
    with ThreadPoolExecutor(len(calls)) as pool:
        programs = [
            pool.submit(lambda f, *given: f.lower(*given).compile(), *call)
            for call in calls
        ]
        meanwhile()
    for program in programs:
        program.result()


def _processor() -> str:
    """Returns a digest of what the processor can do, as far as the system tells."""
    about = " ".join((platform.machine(), platform.processor()))
    info = pathlib.Path("/proc/cpuinfo")  # Linux only
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        about += next((line for line in lines if line.startswith("flags")), "")
    return hashlib.sha256(about.encode()).hexdigest()[:8]
