"""Shards in a bucket: the same bytes and batches as those of this machine."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.shards import shards_of
from simsiam_tf.preparation.prepare import prepare
from tests.data.test_shards import COUNT, batches, made  # noqa: F401 (a fixture)
from tests.fake_gcs import Fault

pytestmark = pytest.mark.slow


def contents(gcs):
    """How many requests asked for what is in a file."""
    return sum(r.method == "GET" and not r.path.startswith("/storage/") for r in gcs.requests())


def test_shards_in_a_bucket_are_those_of_this_machine(made, gcs):  # noqa: F811
    config = DataConfig(dataset="shards", data_dir=str(made / "shards"))
    data = DataSet(DataConfig(dataset="folder", data_dir=str(made / "photos")))
    prepare(data, PrepareConfig(out=f"{gcs.address}/shards", shard_images=11))
    for path in (made / "shards").iterdir():
        if path.suffix == ".tfrecord":
            assert gcs.read(f"shards/{path.name}") == path.read_bytes()
    assert set(gcs.names("shards/")) == {path.name for path in (made / "shards").iterdir()}
    here, there = DataSet(config), DataSet(dataclasses.replace(config, data_dir=f"{gcs.address}/shards"))
    assert there.training.fingerprint == here.training.fingerprint
    before = contents(gcs)
    for i in range(COUNT):
        assert there.training.files.load(i) == here.training.files.load(i)
    assert contents(gcs) - before == len(shards_of(here.training.images).files)  # each is asked for once
    for ours, theirs in zip(batches(here.training).take(2), batches(there.training).take(2), strict=True):
        for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def uploads(gcs):
    """How often the object of each shard was written, by the beginning of its name."""
    return collections.Counter(r.key.rpartition("/")[2][:11] for r in gcs.requests() if r.method in ("POST", "PUT"))


def test_shards_in_a_bucket_that_are_interrupted_go_on(made, gcs):  # noqa: F811
    data = DataSet(DataConfig(dataset="folder", data_dir=str(made / "photos")))
    gcs.fail(Fault(403, writing=True, once=r"train-00003-of"))
    config = PrepareConfig(out=f"{gcs.address}/shards", shard_images=11)
    with pytest.raises(tf.errors.PermissionDeniedError):
        prepare(data, config)
    gcs.fail()
    assert "index.json" not in gcs.names("shards/")
    before = uploads(gcs)
    assert before["train-00000"] > 0
    assert prepare(data, config).startswith("Wrote 100 of train")
    assert uploads(gcs)["train-00000"] == before["train-00000"]  # not once more
    last = "train-00008-of-00010.tfrecord"
    assert gcs.read(f"shards/{last}") == (made / "shards" / last).read_bytes()
