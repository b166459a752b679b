import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf import resnet18
from simsiam_tf.data.shapes import make_shapes
from simsiam_tf.data.sources import memory_source
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.methods import SSLModel
from simsiam_tf.training.workdir import Workdir
from tests.config.test_run import make_config


@pytest.fixture
def run(rng, tmp_path):
    """Two classes that differ in brightness: any features separate them."""

    def source(n):
        labels = np.arange(n) % 2
        images = rng.integers(0, 100, (n, 16, 16, 3)) + 120 * labels[:, None, None, None]
        return memory_source("made", images.astype(np.uint8), labels, 2)

    config = make_config()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, image_size=16))
    made = LoadedRun(
        workdir=Workdir(tmp_path),
        config=config,
        data=config.data,
        suffix="",
        model=SSLModel(resnet18(cifar_stem=True, width=0.0625)),
        checkpoint="step-1",
        strategy=tf.distribute.get_strategy(),
        batch_size=32,
    )
    train = source(64)
    made.__dict__.update(train_source=train, labelled_source=train, test_source=source(32))
    return made


@pytest.fixture
def photographs(tmp_path):
    images, labels = make_shapes("test")
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(30):
        Image.fromarray(images[i]).resize((50, 40)).save(folder / f"{labels[i]}_{i}.png")
    return folder
