import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.data.sources import memory_source
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.methods import SSLModel
from simsiam_tf.training.workdir import Workdir
from tests.config.test_run import make_config


@pytest.fixture
def subject(rng, tmp_path):
    """Two classes that differ in brightness: any features separate them."""

    def source(n):
        labels = np.arange(n) % 2
        images = rng.integers(0, 100, (n, 16, 16, 3)) + 120 * labels[:, None, None, None]
        return memory_source("made", images.astype(np.uint8), labels, 2)

    config = make_config()
    run = dataclasses.replace(config, data=dataclasses.replace(config.data, image_size=16))
    model = SSLModel(resnet18(cifar_stem=True, width=0.0625))
    made = Subject(Workdir(tmp_path), run, run.data, "", model, "step-1", tf.distribute.get_strategy(), 32)
    made.__dict__.update(train_source=source(64), test_source=source(32))
    return made


def summary(subject):
    return json.loads(subject.workdir.summary_path.read_text())
