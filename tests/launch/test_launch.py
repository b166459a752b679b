"""The files in launch/: good shell, a manifest of the right shape, and two tasks that train as one process."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.test_replicas import FLAGS, lines, state, train

LAUNCH = ROOT / "launch"
# Starts two tasks with the variables that SLURM sets. With STOP_AT, they get SIGTERM once so many epochs are on record.
SRUN = """#!{python}
import os, pathlib, signal, subprocess, sys, time
command = [part for part in sys.argv[1:] if part != "--kill-on-bad-exit=1"]
assert len(command) == len(sys.argv) - 2
step = {{"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_TASKS_PER_NODE": "2"}}
tasks = [subprocess.Popen(command, env={{**os.environ, **step, "SLURM_PROCID": str(i)}}) for i in range(2)]
record, stop = pathlib.Path(os.environ["RECORD"]), int(os.environ.get("STOP_AT", 0))
while stop and any(task.poll() is None for task in tasks):
    if record.exists() and len(record.read_text().splitlines()) > stop:
        for task in tasks:
            task.send_signal(signal.SIGTERM)
        break
    time.sleep(0.05)
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = """#!/bin/sh
echo "$@" >>"$QUEUE"
"""


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize("name", sorted(path.name for path in LAUNCH.glob("*.s*")))
def test_shellcheck_finds_nothing(name):
    checker = pathlib.Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([checker, str(LAUNCH / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_a_job_that_is_queued_again_ends_as_one_process(tmp_path):
    tools, workdir = tmp_path / "bin", tmp_path / "run"
    tools.mkdir()
    executable(tools / "srun", SRUN.format(python=sys.executable))
    executable(tools / "scontrol", SCONTROL)
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "SLURM_JOB_ID": str(os.getpid()),
        "RECORD": str(workdir / "metrics.jsonl"),
        "QUEUE": str(tmp_path / "queue"),
    }
    environment.pop("TF_CONFIG", None)
    job = ["bash", str(LAUNCH / "slurm.sbatch"), *FLAGS, "--precision=float64", f"--workdir={workdir}"]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 600, "check": False}
    stopped = subprocess.run(job, env={**environment, "STOP_AT": "3"}, **options)
    assert stopped.returncode == 143, stopped.stderr
    assert (tmp_path / "queue").read_text() == f"requeue {os.getpid()}\n"
    finished = subprocess.run(job, env=environment, **options)
    assert finished.returncode == 0, finished.stderr
    assert "Continuing at step" in finished.stdout
    assert (tmp_path / "queue").read_text().count("requeue") == 1
    alone = train(tmp_path / "alone", "1", "--precision=float64")
    found, expected = state(workdir), state(alone)
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-9, err_msg=name)
    assert len(lines(workdir)) == len(lines(alone))


# What a JobSet must be, as its own schema says: a type, or the shape of what is below a name.
NAMES = {"name": str}
CONTAINER = {"name": str, "image": str, "env": [{"name": str, "value": str}], "command": [str], "resources": dict,
             "volumeMounts": [{"name": str, "mountPath": str}]}  # fmt: skip
POD = {"restartPolicy": str, "terminationGracePeriodSeconds": int, "containers": [CONTAINER],
       "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}}]}  # fmt: skip
JOB = {"parallelism": int, "completions": int, "completionMode": str, "backoffLimit": int, "template": {"spec": POD}}
JOBSET = {
    "apiVersion": str,
    "kind": str,
    "metadata": NAMES,
    "spec": {
        "network": {"enableDNSHostnames": bool},
        "failurePolicy": {"maxRestarts": int},
        "replicatedJobs": [{"name": str, "replicas": int, "template": {"spec": JOB}}],
    },
}


def problems(found, shape, where=""):
    """Yields where something is missing, or of another type, or not known."""
    if isinstance(shape, type):
        if not isinstance(found, shape):
            yield f"{where}: {found!r}"
    elif isinstance(shape, list):
        for i, each in enumerate(found):
            yield from problems(each, shape[0], f"{where}[{i}]")
    else:
        yield from (f"{where}.{name} is missing" for name in shape.keys() - found.keys())
        yield from (f"{where}.{name} is not known" for name in found.keys() - shape.keys() - {"readOnly"})
        for name in shape.keys() & found.keys():
            yield from problems(found[name], shape[name], f"{where}.{name}")


@pytest.fixture
def manifest():
    return yaml.safe_load((LAUNCH / "jobset.yaml").read_text())


def test_the_manifest_is_a_jobset(manifest):
    assert not list(problems(manifest, JOBSET))
    assert (manifest["apiVersion"], manifest["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (worker,) = manifest["spec"]["replicatedJobs"]
    job = worker["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    container = job["template"]["spec"]["containers"][0]
    assert int(container["env"][0]["value"]) == job["parallelism"] == job["completions"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in job["template"]["spec"]["volumes"]}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_its_pods_find_each_other(manifest, tmp_path, workers):
    container = manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]
    executable(tmp_path / "python", '#!/bin/sh\nprintf "%s\\n" "$TF_CONFIG" "$*"\n')
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "WORKERS": str(workers), "JOB_COMPLETION_INDEX": "0"}
    done = subprocess.run(container["command"], env=environment, capture_output=True, text=True, check=True)
    config, line = done.stdout.splitlines()
    name = manifest["metadata"]["name"]
    addresses = [f"{name}-worker-0-{i}.{name}:2222" for i in range(workers)]
    assert json.loads(config) == {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    assert line.startswith("train.py --flagfile=flags/recipes/imagenet.flags")
