"""A run begun by an earlier version goes on with this one as if nothing had changed.

`data/run_of_1d57208` was made by commit 1d57208: `train` on the embedded set with the
settings of its config.json and the encoder below, stopped by SIGTERM after step 13 of
24 and left with its latest checkpoint alone; `end.npz` is the state at the end of a run
of the same version that nothing stopped. On the machine that made it the two versions
agree bit for bit; other processors round otherwise.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
from conftest import REPOSITORY, XLA_FLAGS
from small_runs import finish, saved_state

from jigsaw_shape.config import flatten
from jigsaw_shape.runs import rows

OLD_RUN = REPOSITORY / "tests" / "data" / "run_of_1d57208"
TRAIN = """
import functools, sys
from jigsaw_shape import train
from jigsaw_shape.models import ENCODERS, EncoderSpec, convnet
build = functools.partial(convnet.ConvNet, widths=(4, 8, 8))
stages = ("stage1", "stage2", "stage3")
ENCODERS["tiny"] = EncoderSpec(build, stages, stages)
sys.exit(train.main(["train", *sys.argv[1:]]))
"""


def test_a_run_of_an_earlier_version_is_continued(tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(OLD_RUN, workdir, ignore=shutil.ignore_patterns("end.npz"))
    starts = json.loads((workdir / "run.json").read_text())["starts"]
    arguments = [*starts[0]["command"][1:], f"--workdir={workdir}"]
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, *arguments],
        env=os.environ | {"XLA_FLAGS": XLA_FLAGS},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed = finish(process)
    assert "continuing at step 13 of 24" in printed
    steps = [row["step"] for row in rows.read(workdir) if row["kind"] == "train"]
    assert steps == list(range(1, 25))
    state = saved_state(workdir)
    with np.load(OLD_RUN / "end.npz") as end:
        assert set(end.files) == set(state)
        for name in end.files:
            np.testing.assert_allclose(
                state[name], end[name], rtol=1e-3, atol=1e-4, err_msg=name
            )
    before, after = (
        flatten(json.loads((run / "config.json").read_text()))
        for run in (OLD_RUN, workdir)
    )
    assert before == {key: after[key] for key in before} | {"workdir": ""}
