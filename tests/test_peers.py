"""Several processes: one that never comes, one that goes, and one that is refused."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from jigsaw_shape.system import command_line, peers

_JOIN = """
import sys
import jax
from jax.experimental import multihost_utils
from jigsaw_shape.system import command_line, peers

jax.config.update("jax_platforms", "cpu")
def main(argv):
    coordinator, process, timeout_s, *refused = argv[1:]
    with peers.leaving_together("train"), command_line.refusals("train"):
        peers.join(
            "train",
            coordinator=coordinator,
            process=process,
            join_timeout_s=int(timeout_s),
        )
        if refused:
            raise ValueError(*refused)
    with peers.leaving_together("train"):
        while True:
            multihost_utils.process_allgather(jax.numpy.ones(3))
            print("connected", flush=True)
command_line.run(main, sys.argv)
"""


@pytest.fixture
def coordinator():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return f"localhost:{probe.getsockname()[1]}"


def _start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", _JOIN, *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "GLOG_minloglevel": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("process", ["0/2", "1/2"])
def test_a_process_that_never_comes_ends_the_other(coordinator, process):
    waiting = _start(coordinator, process, "1")
    _, error = waiting.communicate()
    assert waiting.returncode == command_line.LOST_PEER
    assert error.startswith("train: not every process has joined within 1 s: ")
    assert error.count("\n") == 1


def test_a_process_that_goes_ends_the_other_with_one_line(coordinator):
    """Here its connections break at once; JAX notices a silent host later."""
    first, second = (_start(coordinator, f"{i}/2", "300") for i in range(2))
    for process in (first, second):  # Gloo prints lines of its own
        assert "connected\n" in iter(process.stdout.readline, "")
    second.kill()
    second.communicate()
    _, error = first.communicate()
    assert first.returncode == command_line.LOST_PEER
    assert "train: another process is gone or hangs (" in error
    assert "Traceback" not in error


def test_a_refusal_waits_for_nobody(coordinator):
    refused, other = (
        _start(coordinator, f"{i}/2", "300", *why)
        for i, why in enumerate((["no such field"], []))
    )
    assert "train: no such field" in refused.communicate()[1]
    assert refused.returncode == command_line.REFUSED
    other.communicate()
    assert other.returncode in (command_line.LOST_PEER, -signal.SIGABRT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coordinator": "a:1"}, "--process is missing: write I/N"),
        ({"coordinator": "a:1", "process": "2/2"}, "--process 2/2: write I/N"),
        ({"process": "0/2"}, "--coordinator is missing: write HOST:PORT"),
        ({"coordinator": "a", "process": "0/2"}, "--coordinator a: write HOST:PORT"),
        ({"join_timeout_s": 0}, "--join-timeout 0, --peer-timeout 100: give seconds"),
    ],
)
def test_what_cannot_be_joined_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        peers.join("train", **arguments)


def test_without_peers_errors_and_exits_stay_what_they_are():
    for error in (SystemExit(2), ValueError("Gloo AllReduce failed"), OSError("disk")):
        with pytest.raises(type(error)) as raised, peers.leaving_together("train"):
            raise error
        assert raised.value is error
    peers.leave(command_line.IO_FAILED)  # returns
