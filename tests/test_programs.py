"""Programs that are kept from one process to the next, and compiled side by side."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jigsaw_shape.system import devices, programs

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


def test_what_a_killed_process_left_is_made_anew(tmp_path):
    kept = _run(tmp_path)
    programs = list(tmp_path.rglob("*-cache"))
    for program in programs:
        program.write_bytes(b"half")
        program.with_name(program.name.replace("-cache", "-atime")).unlink()
    assert _run(tmp_path) == kept
    assert all(program.read_bytes() != b"half" for program in programs)


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


@pytest.mark.parametrize("mapped_by", ["pmap", "shard_map"])
@pytest.mark.parametrize("n_cores", [2, 16])
def test_a_program_made_side_by_side_is_not_made_again(monkeypatch, mapped_by, n_cores):
    monkeypatch.setattr(devices, "MAPPED_BY", mapped_by)
    monkeypatch.setattr(programs.os, "cpu_count", lambda: n_cores)
    add = devices.map_devices(
        lambda a, b: jax.lax.psum(a + b.sum(), devices.AXIS), (None, 0), donate=(0,)
    )
    zero = devices.replicate(jnp.zeros(3))
    part = devices.shard({"b": np.ones((jax.device_count(), 5), np.float32)})["b"]
    compiled, drawn = [], []

    def note(event, *_, **__):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        programs.compile_beside(lambda: drawn.append(1), (add, zero, part))
        assert drawn == [1]
        assert len(compiled) == (n_cores > 2)
        total = np.asarray(add(zero, part))
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    np.testing.assert_array_equal(total, 5 * jax.device_count())
    assert len(compiled) == 1
