"""Disks that are full, or can only be read from a moment on: each writer of a run's files meets one.

A disk is a file system of 4 MB in memory. Where this process may not mount one, the tests are skipped, and say so.
"""

import os
import subprocess

import numpy as np
import pytest

from simsiam_tf import files, resnet18
from simsiam_tf.cli.failures import sentence
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.dataset import DataConfig, DataSet
from simsiam_tf.data.sources import memory_source
from simsiam_tf.evaluation.embeddings import _write_features
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.evaluation.probes.state import ProbeState
from simsiam_tf.features.embed import Features
from simsiam_tf.features.store import FeatureStore
from simsiam_tf.interop.formats import Exported, export
from simsiam_tf.preparation.prepare import prepare
from simsiam_tf.training.workdir import Workdir, record
from tests.methods.test_methods import make
from tests.training.test_checkpoints import open_checkpoints

pytestmark = pytest.mark.slow
MEGABYTES = 4


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("This process may not mount a file system.")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk):
    """Leaves no room for a single page."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def config_json(folder, photos):
    return lambda: files.write_json(folder / "config.json", {"words": "x" * 9000})


def metrics_jsonl(folder, photos):
    line = {"epoch": 1, "step": 4, "loss": 0.5, **{f"value_{i}": i / 3 for i in range(400)}}
    return lambda: Workdir(folder).append_metrics(line)


def summary_json(folder, photos):
    return lambda: Workdir(folder).add_to_summary({"knn_top1": record(1.0, protocol="x" * 9000)})


def checkpoint(folder, photos):
    checkpoints = open_checkpoints(make("simsiam"), folder / "checkpoints")
    return lambda: (setattr(checkpoints, "_saved_step", -1), checkpoints.save())


def features(folder, photos):
    backbone = resnet18(cifar_stem=True, width=0.0625)
    store = FeatureStore(folder / "features", backbone, {"recipe": "r"}, 16, batch_size=32)
    source = memory_source("made/train", np.zeros((64, 16, 16, 3), np.uint8), np.arange(64) % 2, 2)
    return lambda: store.features_of(source)


def embedding(folder, photos):
    rows = np.ones((400, 64), np.float32)

    def write():
        with files.replacing_folder(folder / "embeddings") as draft:
            _write_features(Features((rows,), np.arange(400), None), draft / "features.npy")

    return write


def probe(folder, photos):
    classifier = LinearProbe(64, 20, optimizer="sgd", learning_rates=[0.1], total_steps=3)
    return lambda: ProbeState(folder / "probes" / "linear.npz", classifier.variables).save(1, 0.5)


def keras_export(folder, photos):
    backbone = resnet18(cifar_stem=True, width=0.0625)
    backbone(np.zeros((1, 32, 32, 3), np.float32))
    return lambda: export(Exported(backbone, 32), folder / "export", ["keras"])


def saved_model(folder, photos):
    backbone = resnet18(cifar_stem=True, width=0.0625)
    backbone(np.zeros((1, 32, 32, 3), np.float32))
    return lambda: export(Exported(backbone, 32), folder / "export", ["savedmodel"])


def shards(folder, photos):
    data = DataSet(DataConfig(dataset="folder", data_dir=str(photos)))
    return lambda: prepare(data, PrepareConfig(out=str(folder / "shards"), shard_images=9))


def report(folder, photos):
    return lambda: files.write_text(folder / "report.html", "<html>" + "x" * 9000)


WRITERS = [
    *(config_json, metrics_jsonl, summary_json, checkpoint, features, embedding, probe, keras_export, saved_model),
    *(shards, report),
]


def tree(disk):
    """What is on the disk, without the filler and without folders that are empty."""
    return {
        path.relative_to(disk): path.read_bytes()
        for path in disk.rglob("*")
        if path.is_file() and "filler" not in path.name
    }


def meets(disk, photos, writer, break_it, mend_it, words):
    """A writer fails in a sentence, leaves everything as it was or whole, and succeeds once the disk is mended."""
    run = disk / "run"
    run.mkdir()
    files.write_json(run / "earlier.json", {"a": 1})
    write = writer(run, photos)
    break_it()
    try:
        before = tree(disk)
        with pytest.raises(Exception) as failed:
            write()
        said = sentence(failed.value)
        assert said is not None, repr(failed.value)
        assert words in said
        # Shards have a plan, which is whole; what else is there is what was there before.
        after = {path: data for path, data in tree(disk).items() if path.name != "plan.json"}
        assert {path: data for path, data in after.items() if data} == before
    finally:
        mend_it()
    write()
    assert len(tree(disk)) > len(before)
    assert not [path for path in disk.rglob("*") if "draft" in path.name or ".tmp" in path.name]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_a_full_disk(disk, photos, writer):
    meets(disk, photos, writer, lambda: fill(disk), (disk / "filler").unlink, "No space left on device")


def remount(disk, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_a_disk_that_can_only_be_read_from_a_moment_on(disk, photos, writer):
    meets(disk, photos, writer, lambda: remount(disk, "ro"), lambda: remount(disk, "rw"), os.strerror(30))
