"""Two workers, each a process of its own, as on two machines."""

import json
import os
import socket
import subprocess
import sys

import pytest

from simsiam_tf.distribute import workers
from simsiam_tf.distribute.strategy import ONE_DEVICE
from tests.conftest import ROOT

WORKER = """
import json, sys
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.strategy import make_strategy
from simsiam_tf.errors import UsageError

number = int(sys.argv[1])
strategy = make_strategy(DeviceConfig(strategy="multiworker"))


def same_run(settings):
    try:
        workers.check_same_run(strategy, settings)
    except UsageError as error:
        return str(error)


def failing():
    raise ValueError("the chief's own words")


def failed():
    try:
        workers.on_chief(strategy, failing, None)
    except (ValueError, UsageError) as error:
        return str(error)


print(json.dumps({
    "on_chief": workers.on_chief(strategy, lambda: number + 10, -1),
    "failed": failed(),
    "is_chief": workers.is_chief(strategy),
    "number": workers.broadcast_from_chief(strategy, 7 + number),
    "of_one": workers.agreed(strategy, (number == 1, False)),
    "of_both": workers.agreed(strategy, (True, number == 0)),
    "of_none": workers.agreed(strategy, (False, False)),
    "same": same_run("alike"),
    "other": same_run(f"seed={number}"),
}))
"""


@pytest.mark.parametrize("several", [False, True])
def test_one_worker_is_the_chief_and_agrees_with_itself(two_replicas, several):
    strategy = two_replicas if several else ONE_DEVICE
    assert workers.is_chief(strategy)
    assert workers.agreed(strategy, (True, False)) == (True, False)
    assert workers.agreed(strategy, [False, True]) == (False, True)
    assert workers.broadcast_from_chief(strategy, -3) == -3
    workers.check_same_run(strategy, "any")
    assert workers.on_chief(strategy, lambda: 5, -1) == 5
    with pytest.raises(ZeroDivisionError):
        workers.on_chief(strategy, lambda: 1 // 0, -1)


@pytest.mark.slow
def test_two_workers_do_what_either_requests_and_what_the_chief_has(tmp_path):
    first, second = run_two_workers(tmp_path)
    assert (first["is_chief"], second["is_chief"]) == (True, False)
    assert (first["on_chief"], second["on_chief"]) == (10, -1)
    assert first["failed"] == "the chief's own words"
    assert second["failed"] == "The chief refused the run; its output says why."
    for found in (first, second):
        assert found["number"] == 7
        assert found["of_one"] == [True, False]
        assert found["of_both"] == [True, True]
        assert found["of_none"] == [False, False]
        assert found["same"] is None
    assert first["other"] is None
    assert second["other"].startswith(
        "Every worker must have the same flags and number of images as the chief; this worker differs."
    )


def run_two_workers(folder):
    """Returns what each of them prints."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    processes = []
    for number in range(2):
        task = {"type": "worker", "index": number}
        cluster = json.dumps({"cluster": {"worker": addresses}, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(number)],
                env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": cluster},
                stdout=subprocess.PIPE,
                stderr=(folder / f"{number}.txt").open("w"),
                text=True,
            )
        )
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], (folder / "1.txt").read_text()[-2000:]
    return [json.loads(output.splitlines()[-1]) for output in outputs]
