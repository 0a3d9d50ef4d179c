"""Several processes: one never comes, goes, is refused, fails, or differs."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from conftest import REPOSITORY

from jigsaw_shape.system import command_line, peers
from jigsaw_shape.training import loop

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
            try:
                peers.agree({"seed": 1, "images": process})
            except ValueError as difference:
                print(difference, flush=True)
            if error:
                sys.stdin.readline()
            if "refused" in error:
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


def test_processes_are_compared_and_wait_for_none_that_fails(coordinator):
    failed = _start(coordinator, "0/2", "300", "a fault of ours")
    other = _start(coordinator, "1/2", "300")
    differing = "process 1 differs from process 0: images is 1/2, not 0/2: "
    assert any(differing in line for line in iter(other.stdout.readline, ""))
    printed, error = failed.communicate("now\n")
    assert differing in printed
    assert error.startswith("Traceback (most recent call last):")
    assert error.endswith("ValueError: a fault of ours\n")
    assert failed.returncode == 1
    other.communicate()
    assert other.returncode in (command_line.LOST_PEER, -signal.SIGABRT)


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


@pytest.fixture
def two_processes(monkeypatch):
    monkeypatch.setattr(peers.jax, "process_count", lambda: 2)
    monkeypatch.setattr(peers.jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(peers, "_exit", sys.exit)


def test_ctrl_c_ends_a_process_that_has_peers(two_processes, capsys):
    with pytest.raises(SystemExit) as raised, peers.leaving_together("train"):
        raise KeyboardInterrupt
    assert raised.value.code == command_line.KILLED
    assert capsys.readouterr().err == "interrupted\n"


def test_the_first_ctrl_c_becomes_the_sigterm_that_jax_handles(two_processes):
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append("SIGTERM"))
    try:
        with loop._StopSignal():
            signal.raise_signal(signal.SIGINT)
            assert came == ["SIGTERM"]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_first_process_that_differs_is_named(monkeypatch):
    same, other = {"seed": 0}, {"seed": 3, "styles": "x"}
    monkeypatch.setattr(peers, "gather", lambda mine: [mine, same, other])
    differing = "process 2 differs from process 0: seed is 3, not 0; styles is x, not"
    with pytest.raises(ValueError, match=differing):
        peers.agree(same)


def test_a_peer_lost_in_an_exchange_is_no_refusal(two_processes, monkeypatch):
    def fail(_):
        raise ValueError("UNKNOWN: Gloo AllGather failed")

    monkeypatch.setattr(peers.multihost_utils, "process_allgather", fail)
    with pytest.raises(RuntimeError, match="Gloo"), command_line.refusals("train"):
        peers.agree({"images": "abc"})


def test_one_process_agrees_with_itself():
    assert peers.gather((1, "a")) == [(1, "a")]
    peers.agree({"images": "abc"})
