"""Small training runs for the tests: the embedded data set in a few steps."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import jax
import numpy as np
from conftest import REPOSITORY, XLA_FLAGS
from orbax.checkpoint import v1 as ocp
from small_pair import tiny_pair

from jigsaw_shape.diversify import stylizer_files

_STYLIZER = pathlib.Path(tempfile.mkdtemp(prefix="jigsaw_shape_")) / "tiny.npz"
stylizer_files.save_pair(_STYLIZER, tiny_pair(), {})

TINY = {
    "data.n_per_class": 6,
    "data.n_cue_conflict_per_class": 4,
    "data.stored_px": 32,
    "data.image_size": 24,
    "data.batch_size": 16,
    "eval.batch_size": 64,
    "epochs": 4,
    "jigsaw.bias_whole_image": 0.5,
    "diversify.p_shuffled": "(0.9, 0.5)",
    "diversify.n_styles": 8,
    "diversify.stylizer": str(_STYLIZER),
    "log.tensorboard": False,
    "log.every_steps": 1,
}
# YNNPACK's convolutions do not depend on the number of threads, those that `system.cpu`
# chooses do: so runs on several devices can be compared closely.
_SAME_SUMS = (
    "--xla_cpu_experimental_ynn_fusion_type=+LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
)


def arguments(workdir: pathlib.Path, preset: str = "ddec", **changes) -> list[str]:
    """Returns the arguments of `train`; `data__target="photo"` sets a field."""
    fields = TINY | {name.replace("__", "."): v for name, v in changes.items()}
    return [
        f"--config={REPOSITORY / 'configs' / 'shapes.py'}:{preset}",
        f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in fields.items()),
    ]


def start(*arguments: str, n_devices: int = 1, module: str = "train", **variables):
    """Starts the command in a process of its own; `variables` are the environment's."""
    environment = os.environ | variables
    flags = f"{XLA_FLAGS} --xla_force_host_platform_device_count={n_devices}"
    environment["XLA_FLAGS"] = flags if n_devices == 1 else f"{flags} {_SAME_SUMS}"
    return subprocess.Popen(
        [sys.executable, "-m", f"jigsaw_shape.{module}", *arguments],
        env=environment,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(*arguments: str) -> list[subprocess.Popen]:
    """Starts two processes of two devices each that find each other as under Slurm."""
    # JAX takes the coordinator's port from the job's number, in the last 4096 ports.
    for port in range(61_440, 65_536):
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) != 0:
                break
    return [
        start(
            "--multihost",
            *arguments,
            n_devices=2,
            SLURM_JOB_ID=str(port - 61_440),
            SLURM_STEP_NODELIST="localhost",
            SLURM_NTASKS="2",
            SLURM_PROCID=str(rank),
            SLURM_LOCALID=str(rank),
            SLURM_STEP_NUM_TASKS="2",
            SLURM_JOB_NUM_NODES="1",
        )
        for rank in range(2)
    ]


def finish(process: subprocess.Popen, code: int = 0) -> str:
    """Waits for the process and its exit code; returns what it printed."""
    out, err = process.communicate()
    assert process.returncode == code, out + err
    return out + err


def saved_state(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns every array of a run's latest checkpoint by its path."""
    directory = (workdir / "checkpoints").absolute()
    with ocp.training.Checkpointer(directory) as checkpointer:
        tree = checkpointer.load_checkpointables()["state"]
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
