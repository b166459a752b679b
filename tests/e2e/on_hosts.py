"""What a TPU slice does with the input, on CPUs: TensorFlow servers in processes of their own, and one that asks them.

on_hosts.py serve CLUSTER NUMBER     is a host: a TensorFlow server, and no Python of ours
on_hosts.py compare CLUSTER FOLDER   makes each host's share there, and compares it with the arrays in the folder
on_hosts.py connect ADDRESSES        connects as --tpu=ADDRESSES does
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.block_order import BlockOrder
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import pretraining_dataset
from simsiam_tf.data.shards import shards_of
from simsiam_tf.data.sources import open_source
from simsiam_tf.distribute.input import Share
from simsiam_tf.distribute.strategy import make_strategy
from simsiam_tf.errors import UsageError

BATCH, SEED, STEPS = 16, 3, (2, 4)
# Two hosts, each with two of the four replicas.
SHARES = [Share(BATCH // 4, replicas=2, first_replica=first, all_replicas=4) for first in (0, 2)]
WAYS = ("memory", "shards")


def share_of_input(way, shards, share):
    """The batches of a host in two steps: images in memory, or shards as the training step of a TPU takes them."""
    if way == "memory":
        source = open_source(DataConfig(dataset="shapes"), "test").first(64)
        order = ShuffledOrder(source.num_examples, BATCH, SEED)
    else:
        source = open_source(DataConfig(dataset="shards", input="tensorflow", data_dir=str(shards)), "train")
        order = BlockOrder(source.num_examples, BATCH, SEED, shards=shards_of(source.images))
    options = {"labelled": True, "crops_later": way == "shards"}
    return pretraining_dataset(source, order, POLICIES["simsiam"], 32, share, *STEPS, **options)


def save(folder):
    """Saves the shares that this process makes, a file for each batch."""
    for way in WAYS:
        for host, share in enumerate(SHARES):
            for i, batch in enumerate(share_of_input(way, folder / "shards", share)):
                np.savez(folder / f"{way}-{host}-{i}.npz", *(part.numpy() for part in tf.nest.flatten(batch)))


def compare(cluster, folder):
    """Yields where each batch was made, and whether it has the type, shape and bits of the saved one."""
    tf.config.experimental_connect_to_cluster(tf.train.ClusterSpec(cluster), job_name="coordinator")
    for way in WAYS:
        for host, share in enumerate(SHARES):
            with tf.device(f"/job:worker/replica:0/task:{host}/device:CPU:0"):
                for i, batch in enumerate(share_of_input(way, folder / "shards", share)):
                    parts = tf.nest.flatten(batch)
                    saved = np.load(folder / f"{way}-{host}-{i}.npz")
                    pairs = [(part.numpy(), saved[name]) for part, name in zip(parts, saved.files, strict=True)]
                    alike = [(a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()) for a, b in pairs]
                    yield {"way": way, "devices": sorted({part.device for part in parts}), "equal": alike}


def main(action, *arguments):
    if action == "serve":
        cluster = tf.train.ClusterSpec(json.loads(arguments[0]))
        server = tf.distribute.Server(cluster, job_name="worker", task_index=int(arguments[1]), protocol="grpc")
        print("serving", flush=True)
        sys.stdin.read()  # until the test ends, or is killed
        del server
    elif action == "compare":
        print(json.dumps(list(compare(json.loads(arguments[0]), pathlib.Path(arguments[1])))))
    else:
        try:
            make_strategy(DeviceConfig(tpu=arguments[0]))
        except UsageError as error:
            print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
