"""Finds the workers of a run among the tasks of a SLURM job step."""

import json
import os

import tensorflow as tf

from simsiam_tf.errors import UsageError

# The port of a node's first task, before a part of the job's number is added, so that two jobs on a node can differ.
_FIRST_PORT, _PORTS = 20_000, 20_000


def is_step_of_several_tasks() -> bool:
    """Returns whether this process is one of several tasks that `srun` started."""
    return "SLURM_PROCID" in os.environ and os.environ.get("SLURM_STEP_NUM_TASKS", "1") != "1"


def tf_config_of_step() -> str:
    """Returns the value of TF_CONFIG that makes each task of the SLURM job step a worker.

    Task 0 is the chief. It runs on the first node of the step.

    Raises:
        UsageError: if this process is no task of a SLURM job step, or its variables are malformed.
    """
    try:
        job, rank = int(os.environ["SLURM_JOB_ID"]), int(os.environ["SLURM_PROCID"])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=0, gpus_per_task=0, auto_set_gpu=False
        )
        # Its own `cluster_spec` sorts the names of the nodes: n10 comes before n9, and task 0 gets another's address.
        tasks = resolver._resolve_task_configuration()
    except (KeyError, ValueError, RuntimeError, AssertionError) as error:
        raise UsageError(
            "--strategy=slurm must be started by srun, which sets SLURM_JOB_ID, SLURM_PROCID, SLURM_STEP_NUM_TASKS, "
            f"SLURM_STEP_NODELIST and SLURM_STEP_TASKS_PER_NODE. Received: {error}."
        ) from error
    port = _FIRST_PORT + job % _PORTS
    workers = [f"{node}:{port + number}" for node, count in tasks.items() for number in range(count)]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}})
