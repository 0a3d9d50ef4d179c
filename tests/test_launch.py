"""Launch scripts, as far as they go without a cloud or a cluster."""

import os
import re
import shlex
import subprocess

import pytest
import yaml
from conftest import REPOSITORY

LAUNCH = REPOSITORY / "launch"
ARGUMENTS = ["--config", "configs/pacs.py:jigen", "--workdir=a b", "it's $HOME"]
OUT = ["--out", "gs://mine/runs"]
DATA = {"DATA": "gs://mine/PACS"}


def _dry(script, *arguments, **variables):
    done = subprocess.run(
        [LAUNCH / script, *arguments],
        env=os.environ | {"DRY_RUN": "1"} | variables,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout


def _words(script, *arguments, **variables):
    """Returns the words of the one command that a dry run prints."""
    code, printed = _dry(script, *arguments, **variables)
    assert code == 0
    assert printed.count("\n") == 1
    return shlex.split(printed)


def _passed_on(text):
    """Returns the arguments of `python -m jigsaw_shape.train` that bash would see."""
    arguments = re.search(r"jigsaw_shape\.train (?:--multihost )?(.*?)(\|\||$)", text)
    command = f'printf "%s\\0" {arguments[1]}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    return done.stdout.split("\0")[:-1]


def test_tpu_create_names_machine_zone_and_type():
    mine = {"TPU_NAME": "mine", "ZONE": "here", "ACCELERATOR_TYPE": "v9"}
    words = _words("tpu_vm.sh", "create", **mine)
    assert words[:4] == ["gcloud", "compute", "tpus", "queued-resources"]
    assert words[4:6] == ["create", "mine"]
    assert words[words.index("--zone") + 1] == "here"
    assert words[words.index("--accelerator-type") + 1] == "v9"
    assert "--spot" not in words
    assert "--spot" in _words("tpu_vm.sh", "create", SPOT="1")


def test_tpu_train_passes_its_arguments_on():
    words = _words("tpu_vm.sh", "train", *ARGUMENTS)
    remote = words[words.index("--command") + 1]
    assert _passed_on(remote) == ARGUMENTS


def test_tpu_setup_mounts_what_all_hosts_share():
    assert "nfs" not in _dry("tpu_vm.sh", "setup")[1]
    lines = _dry("tpu_vm.sh", "setup", NFS="10.0.0.2:/share")[1].splitlines()
    mounting = shlex.split(lines[-1])
    remote = mounting[mounting.index("--command") + 1]
    assert "mount -t nfs 10.0.0.2:/share jigsaw_shape/runs" in remote


def test_tpu_data_is_named_from_where_the_user_is(tmp_path):
    done = subprocess.run(
        [LAUNCH / "tpu_vm.sh", "data", "pacs", "here/PACS"],
        env=os.environ | {"DRY_RUN": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert f" scp {tmp_path}/here/PACS " in done.stdout


def _input_of(printed, command):
    """Returns what a dry run says the command would read."""
    first, rest = printed.split("\n", 1)
    assert first == f"{command} <<'END'"
    assert rest.endswith("\nEND\n")
    return rest.removesuffix("END\n")


def test_slurm_starts_a_process_for_each_gpu_of_each_node():
    code, printed = _dry(
        "slurm.sh", "train", *ARGUMENTS, NODES="2", GPUS="4", SBATCH="--time=8:00:00"
    )
    assert code == 0
    script = _input_of(printed, "sbatch --time=8:00:00")
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    options = re.findall(r"^#SBATCH (\S+)$", script, re.M)
    assert {"--nodes=2", "--ntasks-per-node=4", "--gpus-per-node=4"} < set(options)
    assert "--multihost" in script
    assert _passed_on(script) == ARGUMENTS


@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [
        *((code, 0, False) for code in (0, 1, 2)),
        *((code, 3, True) for code in (69, 75, 134, 137)),
        (75, 20, False),
    ],
)
def test_slurm_queues_a_stopped_run_again(tmp_path, code, restarts, requeued):
    script = _input_of(_dry("slurm.sh", "train", *ARGUMENTS)[1], "sbatch")
    for name, body in (("srun", f"exit {code}"), ("scontrol", 'echo "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    fakes = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "SLURM_RESTART_COUNT": str(restarts),
    }
    done = subprocess.run(
        ["bash"], input=script, env=os.environ | fakes, capture_output=True, text=True
    )
    assert done.returncode == code
    assert done.stdout == ("requeue 7\n" if requeued else "")


def test_slurm_makes_an_array_of_a_benchmark():
    words = _words("slurm.sh", "benchmark", "--out", "a|b", SBATCH="--qos=low")
    made = ["python", "-m", "jigsaw_shape.benchmark", "--out", "a|b", "--slurm"]
    assert words == [*made, "|", "sbatch", "--qos=low"]


def _manifest(verb, *arguments, **variables):
    code, printed = _dry("kubernetes.sh", verb, *arguments, **variables)
    assert code == 0
    return yaml.safe_load(_input_of(printed, "kubectl apply -f -"))


def _argv(job, tmp_path, **variables):
    """Returns how a pod of the job would call Python."""
    fake = tmp_path / "python"
    fake.write_text("#!/usr/bin/env bash\nprintf '%s\\0' \"$@\"\n")
    fake.chmod(0o755)
    [container] = job["spec"]["template"]["spec"]["containers"]
    done = subprocess.run(
        container["command"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"} | variables,
        capture_output=True,
        text=True,
    )
    return done.stdout.split("\0")[:-1]


def test_kubernetes_shards_a_benchmark(tmp_path):
    job = _manifest("benchmark", *ARGUMENTS, SHARDS="8", IMAGE="r/me:1", GPUS="2")
    assert (job["kind"], job["spec"]["completionMode"]) == ("Job", "Indexed")
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 8
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "r/me:1"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 2}
    argv = _argv(job, tmp_path, JOB_COMPLETION_INDEX="3")
    assert argv == ["-m", "jigsaw_shape.benchmark", *ARGUMENTS, "--shard", "3/8"]


def test_kubernetes_trains_on_several_pods(tmp_path):
    jobset = _manifest("train", *ARGUMENTS, NODES="2", NAME="x")
    [replicated] = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 2
    assert job["spec"]["backoffLimit"] == 0  # one lost pod restarts all
    argv = _argv(job, tmp_path, JOB_COMPLETION_INDEX="1")
    joins = ["--coordinator", "x-train-0-0.x:8476", "--process", "1/2"]
    assert argv == ["-m", "jigsaw_shape.train", *ARGUMENTS, *joins]


def test_kubernetes_prepares_without_a_gpu(tmp_path):
    job = _manifest("prepare", "pacs", "--from", "/shared/PACS")
    argv = _argv(job, tmp_path)
    assert argv == ["-m", "jigsaw_shape.prepare", "pacs", "--from", "/shared/PACS"]


def test_kubernetes_builds_with_the_extras_of_the_dockerfile():
    printed = _dry("kubernetes.sh", "build")[1]
    dockerfile = (LAUNCH / "Dockerfile").read_text()
    [extras] = re.findall(r"^ARG (EXTRAS=\S+)$", dockerfile, re.M)
    assert f"--build-arg {extras} " in printed


def test_dockerfile_copies_what_is_committed():
    copied = re.findall(r"^COPY (.+) \S+$", (LAUNCH / "Dockerfile").read_text(), re.M)
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True
    ).stdout.splitlines()
    for name in " ".join(copied).split():
        assert any(f"{path}/".startswith(f"{name}/") for path in tracked), name


def test_sky_hands_its_arguments_to_the_job():
    words = _words("sky.sh", "benchmark", *ARGUMENTS, *OUT, NODES="4", **DATA)
    task = yaml.safe_load((LAUNCH / "sky.yaml").read_text())
    given = dict(w.split("=", 1) for w in words if w.partition("=")[0] in task["envs"])
    assert given.keys() == task["envs"].keys()
    assert "--use-spot" in words
    assert "python3.11 -m venv ~/venv\n" in task["setup"]  # clouds have older ones
    variables = given | {"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "4"}
    script = task["run"].replace('eval "~/venv/bin/python', "eval \"printf '%s\\0'")
    done = subprocess.run(
        ["bash", "-c", script], env=variables, capture_output=True, text=True
    )
    named = ["-m", "jigsaw_shape.benchmark", *ARGUMENTS, *OUT, "--shard", "1/4"]
    assert done.stdout.split("\0")[:-1] == named


@pytest.mark.parametrize(
    ("script", "arguments", "variables"),
    [
        *((f"{name}.sh", (), DATA) for name in ("tpu_vm", "slurm", "kubernetes")),
        *((f"{name}.sh", ("x", *OUT), DATA) for name in ("tpu_vm", "slurm", "sky")),
        ("kubernetes.sh", ("x",), {}),
        ("tpu_vm.sh", ("data",), {}),
        ("sky.sh", ("train", *OUT), {}),
        ("sky.sh", ("train", "--workdir", "runs/one"), DATA),
        ("sky.sh", ("train", *OUT), DATA | {"NODES": "2"}),
    ],
)
def test_anything_else_prints_the_usage(script, arguments, variables):
    code, printed = _dry(script, *arguments, **variables)
    assert (code, printed) == (2, "")
