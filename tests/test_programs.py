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
