"""The workers that a SLURM job step makes of its tasks."""

import json

import pytest

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.distribute import strategy as module
from simsiam_tf.distribute.slurm import is_step_of_several_tasks, tf_config_of_step
from simsiam_tf.distribute.strategy import ONE_DEVICE, make_strategy
from simsiam_tf.errors import UsageError

STEP = {
    "SLURM_JOB_ID": "40017",
    "SLURM_PROCID": "1",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NODELIST": "n[9-10]",
    "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
}


@pytest.fixture
def step(monkeypatch):
    """Sets the variables of a step, and takes away those that are given as `None`."""
    monkeypatch.setenv("TF_CONFIG", "{}")
    monkeypatch.delenv("TF_CONFIG")  # restored at the end, whatever the test sets

    def set_variables(**values):
        for name, value in {**STEP, **values}.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    return set_variables


def test_task_0_is_on_the_first_node(step):
    step()
    found = json.loads(tf_config_of_step())
    assert found == {"cluster": {"worker": ["n9:20017", "n10:20017"]}, "task": {"type": "worker", "index": 1}}


def test_tasks_of_a_node_have_ports_of_their_own(step):
    step(
        SLURM_PROCID="0",
        SLURM_STEP_NUM_TASKS="5",
        SLURM_STEP_NODELIST="a,b[1-2]",
        SLURM_STEP_TASKS_PER_NODE="2(x2),1",
    )
    workers = json.loads(tf_config_of_step())["cluster"]["worker"]
    assert workers == ["a:20017", "a:20018", "b1:20017", "b1:20018", "b2:20017"]


@pytest.mark.parametrize(
    "values",
    [
        {"SLURM_PROCID": None},
        {"SLURM_JOB_ID": None},
        {"SLURM_PROCID": "x"},
        {"SLURM_STEP_NODELIST": "n[9-"},
        {"SLURM_STEP_TASKS_PER_NODE": "two"},
        {"SLURM_STEP_NUM_TASKS": "3"},
    ],
)
def test_what_is_no_step_is_refused(step, values):
    step(**values)
    with pytest.raises(UsageError, match="must be started by srun"):
        make_strategy(DeviceConfig(strategy="slurm"))


def test_auto_takes_the_tasks_of_a_step_unless_tf_config_says_otherwise(step, monkeypatch, caplog):
    made = []
    monkeypatch.setattr(module, "_multi_worker_strategy", lambda devices: made.append(devices) or ONE_DEVICE)
    step()
    assert is_step_of_several_tasks()
    with caplog.at_level("INFO"):
        make_strategy(DeviceConfig())
    assert "train one run; --strategy=mirrored makes each task a run of its own" in caplog.text
    assert len(made) == 1
    monkeypatch.setenv("TF_CONFIG", "{}")
    make_strategy(DeviceConfig())
    monkeypatch.delenv("TF_CONFIG")
    step(SLURM_STEP_NUM_TASKS="1", SLURM_STEP_NODELIST="n9", SLURM_STEP_TASKS_PER_NODE="1", SLURM_PROCID="0")
    assert not is_step_of_several_tasks()
    assert make_strategy(DeviceConfig(strategy="slurm")) is ONE_DEVICE
    assert len(made) == 1
