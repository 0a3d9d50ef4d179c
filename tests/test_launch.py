"""Launch scripts, as far as they go without a cloud."""

import os
import subprocess

import pytest
from conftest import REPOSITORY

SCRIPT = REPOSITORY / "launch" / "tpu_vm.sh"


def _dry(*arguments, **variables):
    done = subprocess.run(
        [SCRIPT, *arguments],
        env=os.environ | {"DRY_RUN": "1"} | variables,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


def test_create_names_machine_zone_and_type():
    code, printed = _dry("create", TPU_NAME="mine", ZONE="here", ACCELERATOR_TYPE="v9")
    assert code == 0
    words = printed.split()
    assert words[:6] == ["gcloud", "compute", "tpus", "tpu-vm", "create", "mine"]
    assert words[words.index("--zone") + 1] == "here"
    assert words[words.index("--accelerator-type") + 1] == "v9"
    assert "--spot" not in words
    assert "--spot" in _dry("create", SPOT="1")[1].split()


def test_train_passes_its_arguments_on_whatever_is_in_them():
    code, printed = _dry("train", "--config", "configs/pacs.py:jigen", "--workdir=a b")
    assert code == 0
    # What bash would hand to gcloud, and then what the remote shell would run.
    words = subprocess.run(
        ["bash", "-c", f'printf "%s\\0" {printed}'], capture_output=True, text=True
    ).stdout.split("\0")
    remote = words[words.index("--command") + 1]
    assert "-m jigsaw_shape.train --multihost" in remote
    arguments = remote.split("--multihost ")[1]
    parsed = subprocess.run(
        ["bash", "-c", f'printf "%s\\0" {arguments}'], capture_output=True, text=True
    ).stdout.split("\0")[:-1]
    assert parsed == ["--config", "configs/pacs.py:jigen", "--workdir=a b"]


@pytest.mark.parametrize("arguments", [(), ("destroy",), ("data",)])
def test_anything_else_prints_the_usage(arguments):
    code, _ = _dry(*arguments)
    assert code == 2


def test_data_is_named_from_where_the_user_is(tmp_path):
    done = subprocess.run(
        [SCRIPT, "data", "pacs", "here/PACS"],
        env=os.environ | {"DRY_RUN": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert f" scp {tmp_path}/here/PACS " in done.stdout
