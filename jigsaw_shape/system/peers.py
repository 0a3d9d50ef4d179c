"""Several processes that train together: how they find, lose and leave each other."""

import contextlib
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jigsaw_shape.system import command_line

JOIN_TIMEOUT_S = 300
PEER_TIMEOUT_S = 100

# What JAX's collectives and its coordination service say where a process is gone.
_GONE = re.compile(
    r"gloo|nccl|coordination service|heartbeat|UNAVAILABLE|DEADLINE_EXCEEDED", re.I
)


def join(
    command: str,
    *,
    coordinator: str = "",
    process: str = "",
    join_timeout_s: int = JOIN_TIMEOUT_S,
    peer_timeout_s: int = PEER_TIMEOUT_S,
) -> None:
    """Waits until every process has joined, and connects their devices.

    It comes before JAX computes anything.

    Without `coordinator` JAX asks the TPU pod, Slurm or Open MPI who takes part.
    Where a process is missing after `join_timeout_s`, this one ends with one line and
    `command_line.LOST_PEER`. Where one later sends no sign of life for
    `peer_timeout_s`, JAX aborts the others (SIGABRT, exit code 134).

    Args:
      command: For messages.
      coordinator: `host:port` of process 0, on which it listens.
      process: `i/n`: this is process i of n, counted from 0.
      join_timeout_s: How long to wait for all.
      peer_timeout_s: How long a process may be silent.

    Raises:
      ValueError: The arguments do not fit together, or nothing says who takes part.
    """
    if min(join_timeout_s, peer_timeout_s) < 1:
        raise ValueError(
            f"--join-timeout {join_timeout_s}, --peer-timeout {peer_timeout_s}: give "
            "seconds, 1 or more"
        )
    addressed = _addressed(coordinator, process)
    # JAX would end a process that waits in vain by SIGABRT and a stack of C++ frames.
    waiting = threading.Timer(join_timeout_s, _give_up, (command, join_timeout_s))
    waiting.daemon = True
    waiting.start()
    try:
        jax.distributed.initialize(
            **addressed,
            initialization_timeout=join_timeout_s + 60,
            heartbeat_timeout_seconds=peer_timeout_s,
        )
    except ValueError as error:
        raise ValueError(
            f"--multihost finds no TPU pod, Slurm or Open MPI job around it ({error}): "
            "give --coordinator HOST:PORT and --process I/N"
        ) from error
    finally:
        waiting.cancel()
    _connect_devices()


@contextlib.contextmanager
def leaving_together(command: str) -> Iterator[None]:
    """Ends this process at once where it fails alone, so that no peer waits for it.

    Where the failure is that a peer is gone, says so in one line, and the exit code is
    `command_line.LOST_PEER`. Any other error and Ctrl-C are shown and end the process
    as they would alone. Without peers nothing changes.
    """
    try:
        yield
    except SystemExit as error:
        if error.code:
            leave(error.code)
        raise
    except KeyboardInterrupt:
        if jax.distributed.is_initialized():
            print("interrupted", file=sys.stderr)
        leave(command_line.KILLED)
        raise
    except Exception as error:
        if not jax.distributed.is_initialized():
            raise
        if not _GONE.search(str(error)):
            sys.excepthook(*sys.exc_info())
            _exit(1)
        reason = " ".join(str(error).split())
        print(
            f"{command}: another process is gone or hangs ({reason[:200]}). Run the "
            "same command again on every host to continue from the last checkpoint",
            file=sys.stderr,
        )
        _exit(command_line.LOST_PEER)


def leave(code: int) -> None:
    """Ends this process at once if it has peers; otherwise does nothing.

    JAX's own way out waits minutes for the others, which wait for this process.
    """
    if jax.distributed.is_initialized():
        _exit(code)


@contextlib.contextmanager
def _exchanging() -> Iterator[None]:
    """Raises a peer's loss as a `RuntimeError`, which `refusals` leaves alone.

    JAX has it as a `ValueError`, on CPUs.
    """
    try:
        yield
    except ValueError as error:
        raise RuntimeError(str(error)) from error


@_exchanging()
def gather(value: Any) -> list:
    """Returns what JSON makes of `value` in every process, in their order.

    All of them call this together.
    """
    if jax.process_count() == 1:
        return [value]
    text = json.dumps(value).encode()
    sizes = multihost_utils.process_allgather(np.uint32(len(text)))
    padded = np.frombuffer(text.ljust(sizes.max()), np.uint8)
    texts = multihost_utils.process_allgather(padded)
    return [json.loads(text.tobytes()) for text in texts]


def agree(what: Mapping[str, Any]) -> None:
    """Refuses processes that differ, in all of them: they would train different things.

    All of them call this together.

    Args:
      what: Values for JSON that must be the same in every process, by name.

    Raises:
      ValueError: They are not; names the first process that differs and in what.
    """
    first, *others = gather(dict(what))
    for rank, other in enumerate(others, start=1):
        differing = [
            f"{name} is {other.get(name)}, not {first.get(name)}"
            for name in first | other
            if first.get(name) != other.get(name)
        ]
        if differing:
            raise ValueError(
                f"process {rank} differs from process 0: {'; '.join(differing)}: give "
                "every process the same command and prepared data, and one --workdir "
                "that all of them mount"
            )


@_exchanging()
def _connect_devices() -> None:
    """Lets every group of devices that a run uses sum something, while all are here.

    JAX connects a group at its first sum, where Gloo, on CPUs, waits only 30 s for the
    others. On a busy machine one process may compile 30 s longer than another. Later
    sums wait.
    """
    everywhere = NamedSharding(
        Mesh(jax.devices(), ("devices",)), PartitionSpec("devices")
    )
    ones = jax.make_array_from_callback(
        (jax.device_count(),), everywhere, lambda _: np.ones(1, np.float32)
    )
    jax.block_until_ready(jax.jit(jnp.sum)(ones))
    multihost_utils.sync_global_devices("joined")  # as checkpoints do


def _addressed(coordinator: str, process: str) -> dict:
    """Returns who takes part as JAX's arguments; {} where JAX finds it out."""
    if not coordinator and not process:
        return {}
    rank, slash, count = process.partition("/")
    is_process = slash and rank.isdecimal() and count.isdecimal()
    if not (is_process and int(rank) < int(count)):
        raise ValueError(
            f"--process {process or 'is missing'}: write I/N with I from 0 to N-1, "
            "such as 0/2"
        )
    if not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(
            f"--coordinator {coordinator or 'is missing'}: write HOST:PORT, where "
            "process 0 listens"
        )
    return {
        "coordinator_address": coordinator,
        "num_processes": int(count),
        "process_id": int(rank),
        "cluster_detection_method": "deactivate",
    }


def _give_up(command: str, timeout_s: int) -> NoReturn:
    print(
        f"{command}: not every process has joined within {timeout_s} s: start the same "
        "command on every host, see that they reach the first one's port, or raise "
        "--join-timeout",
        file=sys.stderr,
    )
    _exit(command_line.LOST_PEER)


def _exit(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
