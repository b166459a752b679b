"""A detector that is small enough for tests, a run of transfer.py for it, and batches of drawn rectangles for it."""

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.transfer import BackboneConfig, FineTuningConfig, TransferConfig, TransferRunConfig
from simsiam_tf.detection import Detector
from simsiam_tf.detection.c4 import normalised
from simsiam_tf.optim import SGD, WarmupSteps

SETTINGS = {
    "anchor_sizes": (16.0, 32.0),
    "proposals_before_nms": (60, 40),
    "proposals_after_nms": (30, 20),
    "anchors_per_image": 32,
    "rois_per_image": 16,
    "roi_size": 6,
    "mask_channels": 8,
    "detections_per_image": 10,
}
CLASSES = 3


def make_detector(masks=True, learning_rate=0.02, **settings):
    """A detector with its optimizer; the same weights each time."""
    keras.utils.set_random_seed(1)
    config = DetectorConfig.from_values({**SETTINGS, "masks": masks, **settings})
    model = Detector(resnet18(width=0.125), CLASSES, config)
    model.compile(SGD(WarmupSteps(learning_rate), 0.9, 1e-4))
    model.optimizer.build(model.trainable_variables)
    return model


def make_batch(count=2, height=64, width=80, masks=True, seed=0):
    """Images with a bright rectangle for each object, the second image smaller than its canvas."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, height, width, 3)).astype(np.uint8)
    boxes, classes = np.zeros((count, 4, 4), np.float32), np.full((count, 4), -1, np.int32)
    drawn = np.zeros((count, 4, height, width), bool)
    sizes = np.array([(height, width - 9 * (i % 2)) for i in range(count)], np.int32)
    for i in range(count):
        for j in range(1 + (i + seed) % 3):
            y, x = rng.integers(0, height - 30), rng.integers(0, width - 40)
            h, w = rng.integers(12, 30, 2)
            boxes[i, j], classes[i, j] = (x, y, x + w, y + h), rng.integers(CLASSES)
            drawn[i, j, y : y + h, x : x + w] = True
            images[i, y : y + h, x : x + w, classes[i, j]] = 230
    batch = {"images": images, "sizes": sizes, "boxes": boxes, "classes": classes}
    batch |= {"masks": np.packbits(drawn, axis=-1)} if masks else {}
    batch["keys"] = rng.integers(0, 2**32, (count, 2), np.uint32)
    return normalised({name: tf.constant(value) for name, value in batch.items()})


def tiny_transfer_config(workdir, data=None, **run):
    """The settings of a run of transfer.py of two steps, on a few built-in images unless others are given."""
    made = {"dataset": "made", "max_examples": 16, "global_batch_size": 2, "canvases": "one"}
    settings = {"steps": 2, "log_every_steps": 1, "eval_batch_size": 2, "eval_examples": 4, "precise_bn_batches": 1}
    return TransferConfig(
        BackboneConfig(backbone="none", arch="resnet18", width=0.0625),
        DetectorConfig(**SETTINGS),
        FineTuningConfig(milestones=(1,), warmup_steps=1),
        DetectionDataConfig(**{**made, "short_sides": (64,), "eval_short_side": 64, "long_side": 96, **(data or {})}),
        DeviceConfig(strategy="one"),
        TransferRunConfig(workdir=str(workdir), **{**settings, **run}),
        recipe="tiny",
    )
