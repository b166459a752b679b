"""The input of a TPU slice: made on other hosts by TensorFlow alone, in all bits that of this process."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.preparation.prepare import prepare
from tests.conftest import ROOT
from tests.e2e import on_hosts

pytestmark = pytest.mark.slow

# A proxy would stand between the processes.
PLAIN = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
PLAIN |= {"PYTHONPATH": str(ROOT)}
SCRIPT = [sys.executable, str(ROOT / "tests" / "e2e" / "on_hosts.py")]


def ask(*arguments, **environment):
    done = subprocess.run(
        [*SCRIPT, *arguments], capture_output=True, text=True, timeout=120, env=PLAIN | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cluster():
    """Two hosts: a TensorFlow server each."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    described = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]}
    for s in sockets:
        s.close()
    hosts = [
        subprocess.Popen(
            [*SCRIPT, "serve", json.dumps(described), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=PLAIN,
        )
        for number in range(2)
    ]
    try:
        for host in hosts:
            assert host.stdout.readline() == "serving\n"
        yield described
    finally:
        for host in hosts:
            host.kill()
            host.communicate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shards of a few photographs, and the shares of both hosts as this process makes them."""
    path, rng = tmp_path_factory.mktemp("hosts"), np.random.default_rng(0)
    for i in range(50):
        photo = path / "photos" / "train" / f"class{i % 2}" / f"{i}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(coarse).resize((40 + i, 48), Image.Resampling.BICUBIC).save(photo)
    data = DataSet(DataConfig(dataset="folder", data_dir=str(path / "photos")))
    prepare(data, PrepareConfig(out=str(path / "shards"), shard_images=9))
    on_hosts.save(path)
    return path


def test_the_hosts_make_the_batches_of_one_process_in_all_bits(cluster, folder):
    found = json.loads(ask("compare", json.dumps(cluster), str(folder)))
    assert len(found) == 2 * 2 * 2 * 2  # ways, hosts, steps, replicas of a host
    for number, batch in enumerate(found):
        assert batch["way"] == on_hosts.WAYS[number // 8]
        assert batch["devices"] == [f"/job:worker/replica:0/task:{number // 4 % 2}/device:CPU:0"]
        assert len(batch["equal"]) > 5
        assert all(batch["equal"]), (number, batch)


def test_addresses_of_hosts_without_a_tpu_are_refused_in_a_sentence(cluster):
    """TensorFlow asks both hosts, past a proxy that is not there, and finds no TPU."""
    addresses = ",".join(f"grpc://{address}" for address in cluster["worker"])
    said = ask("connect", addresses, http_proxy="http://127.0.0.1:1", https_proxy="http://127.0.0.1:1")
    assert said.startswith("--tpu must name a TPU that can be reached (TPUs not found in the cluster.")
    assert said.endswith(f"Received: '{addresses}'.\n")
    assert said.count("\n") == 1
