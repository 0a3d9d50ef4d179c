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
import time
import jax
from jigsaw_shape.system import command_line, peers

jax.config.update("jax_platforms", "cpu")
def main(argv):
    coordinator, process, timeout_s, *error = argv[1:]
    with peers.leaving_together("train"):
        with command_line.refusals("train"):
            peers.join(
                "train",
                coordinator=coordinator,
                process=process,
                join_timeout_s=int(timeout_s),
            )
            print("joined", flush=True)
            if "refused" in error:
                sys.stdin.readline()
                raise ValueError(*error)
        if error:
            raise ValueError(*error)
        time.sleep(10_000)  # until the other process goes
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
        stdin=subprocess.PIPE,
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


def test_a_failed_collective_is_one_line(coordinator):
    failed = _start(coordinator, "0/1", "300", "Gloo AllGather failed:\nreset by peer")
    _, error = failed.communicate()
    assert failed.returncode == command_line.LOST_PEER
    assert "gone or hangs (Gloo AllGather failed: reset by peer). Run the" in error
    assert error.count("\n") == 1


def test_other_errors_stay_what_they_are(coordinator):
    failed = _start(coordinator, "0/1", "300", "a fault of ours")
    _, error = failed.communicate()
    assert failed.returncode == 1
    assert "ValueError: a fault of ours" in error


def test_a_refusal_waits_for_nobody(coordinator):
    refused = _start(coordinator, "0/2", "300", "refused")
    other = _start(coordinator, "1/2", "300")
    # Gloo writes to the same line from a thread of its own.
    assert any("joined" in line for line in iter(other.stdout.readline, ""))
    assert "train: refused" in refused.communicate("now\n")[1]
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
