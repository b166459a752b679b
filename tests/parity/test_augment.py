"""Augmentations against torchvision's PIL path, op by op and as a chain."""

import json

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment import ops
from tests.parity import reference

FIXTURES = reference.fixtures("augment*.npz")
# Mean absolute difference in levels of 255. PIL keeps hue in 8 bits, and its blur is three box blurs.
TOLERANCE = {"resized_crop": 0.75, "brightness": 0.75, "contrast": 0.75, "saturation": 0.75, "grayscale": 0.75}
TOLERANCE |= {"hue": 1.5, "blur": 1.0, "flip": 1e-3}
CHAIN_TOLERANCE = 3.0
JITTER = ("brightness", "contrast", "saturation", "hue")


def steps_of(case: dict) -> list:
    """The case's ops in order, each with its name and our function of a batch of one."""

    def one(value):
        return tf.constant([value], tf.float32)

    steps = [("resized_crop", lambda x: ops.apply_crop(x, one(case["crop"]), case["size"]))]
    for name in case["order"]:
        apply = getattr(ops, f"apply_{name}")
        steps.append((name, lambda x, apply=apply, name=name: apply(x, one(case[name]))))
    if case["grayscale"]:
        steps.append(("grayscale", lambda x: ops.apply_grayscale(x, tf.constant([True]))))
    if case["blur_sigma"]:
        steps.append(("blur", lambda x: ops.apply_blur(x, one(case["blur_sigma"]))))
    if case["flip"]:
        steps.append(("flip", lambda x: ops.apply_flip(x, tf.constant([True]))))
    return steps


def as_batch(image: np.ndarray) -> tf.Tensor:
    return tf.constant(image[np.newaxis], tf.float32)


def difference(ours: tf.Tensor, theirs: np.ndarray) -> float:
    return float(np.abs(np.clip(np.rint(ours[0].numpy()), 0, 255) - theirs.astype(np.float64)).mean())


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_each_op_equals_torchvision_s(path):
    data = np.load(path)
    for case in json.loads(str(data["cases"])):
        before = data[f"image{case['image']}"]
        for op, apply in steps_of(case):
            after = data.get(f"{case['name']}.{op}", data[f"{case['name']}.final"])
            assert difference(apply(as_batch(before)), after) < TOLERANCE[op], f"{case['name']}: {op}"
            before = after


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_chain_equals_torchvision_s(path):
    data = np.load(path)
    for case in json.loads(str(data["cases"])):
        x = as_batch(data[f"image{case['image']}"])
        for _, apply in steps_of(case):
            x = apply(x)
        assert difference(x, data[f"{case['name']}.final"]) < CHAIN_TOLERANCE, case["name"]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_jitter_in_one_call_equals_its_ops_in_the_case_s_order(path):
    data = np.load(path)
    for case in json.loads(str(data["cases"])):
        x = as_batch(data[f"{case['name']}.resized_crop"])
        factors = tf.constant([[case[name] for name in JITTER]], tf.float32)
        order = tf.constant([[JITTER.index(name) for name in case["order"]]])
        jittered = ops.apply_jitter(x, factors, order)
        after = data[f"{case['name']}.{case['order'][-1]}"]
        assert difference(jittered, after) < CHAIN_TOLERANCE, case["name"]
