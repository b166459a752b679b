import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf import LARS, resnet18
from simsiam_tf.data.bad_images import BadImages
from simsiam_tf.data.sources import Files, memory_source
from simsiam_tf.evaluation import linear
from simsiam_tf.evaluation.config import EvaluationConfig
from simsiam_tf.evaluation.features import LabelledFeatures
from simsiam_tf.evaluation.linear import LinearProbe, LinearProtocol, _rebatch


@pytest.fixture
def protocol(rng):
    """Two classes that differ in brightness: any features separate them."""

    def source(n):
        labels = np.arange(n) % 2
        images = rng.integers(0, 100, (n, 16, 16, 3)) + 120 * labels[:, None, None, None]
        return memory_source("made", images.astype(np.uint8), labels, 2)

    def make(**options):
        return LinearProtocol(source(64), source(32), 16, EvaluationConfig(protocol="linear", **options))

    return make


@pytest.mark.parametrize("augmentation", ["linear_eval", "linear_train"])
def test_learns_and_leaves_the_backbone_alone(protocol, augmentation):
    backbone = resnet18(cifar_stem=True, width=0.0625)
    before = [v.numpy() for v in backbone.variables]
    top1, top5, seconds = protocol(
        linear_optimizer="sgd",
        linear_augmentation=augmentation,
        linear_epochs=10,
        linear_batch_size=16,
        linear_base_learning_rate=1.0,
    ).accuracy(backbone)
    assert top1 > 90
    assert top5 == 100
    assert seconds > 0
    for ours, variable in zip(before, backbone.variables, strict=True):
        np.testing.assert_array_equal(ours, variable.numpy(), err_msg=variable.path)


def test_lars_learns_by_shares_of_the_kernel_s_norm(rng):
    labels = rng.integers(0, 3, 300)
    features = (rng.standard_normal((300, 8)) + 4 * np.eye(8)[labels]).astype(np.float32)
    probe = LinearProbe(8, 3, LARS(5.0, weight_decay=0.0))
    for _ in range(200):
        probe.step(tf.constant(features), tf.constant(labels))
    assert probe.accuracy(LabelledFeatures(features, labels))[0] > 95


def test_defaults_are_the_paper_s(protocol):
    lars, sgd = protocol().describe(), protocol(linear_optimizer="sgd").describe()
    assert (lars["optimizer"], lars["base_learning_rate"], lars["epochs"]) == ("lars", 0.02, 90)
    assert (sgd["base_learning_rate"], sgd["batch_size"]) == (30.0, 64)  # 256, but there are 64 images
    assert lars["augmentation"] == "linear_train"


def test_rebatch_keeps_the_order_and_drops_the_rest():
    parts = [(np.arange(i, i + 3), np.arange(i, i + 3)) for i in range(0, 12, 3)]
    batches = [features.tolist() for features, _ in _rebatch(iter(parts), 5)]
    assert batches == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_an_unreadable_image_costs_a_row_not_a_step(protocol, monkeypatch):
    made = protocol(linear_epochs=3)
    images = made.train.images.numpy()

    def load(i):
        file = io.BytesIO()
        Image.fromarray(images[i]).save(file, "PNG")
        return b"no image" if i == 5 else file.getvalue()

    files = Files(load, str, BadImages("made", 64, 0.1))
    probes = []
    monkeypatch.setattr(linear, "LinearProbe", lambda *args: probes.append(LinearProbe(*args)) or probes[0])
    protocol = dataclasses.replace(made, train=dataclasses.replace(made.train, images=files))
    top1, _, _ = protocol.accuracy(resnet18(cifar_stem=True, width=0.0625))
    assert protocol.batch_size == 64
    assert int(probes[0]._optimizer.iterations) == 3
    assert protocol.describe()["train_size"] == 63
    assert 0 <= top1 <= 100
