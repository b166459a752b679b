"""LARS against a NumPy reference in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import LARS, WarmupCosine
from tests.parity import reference


def problem(config: dict):
    n, d, c, tag = (config[key] for key in ("n", "d", "c", "tag"))
    labels = reference.rng(f"{tag}.labels").standard_normal((n, c)).argmax(1)
    means = reference.rng(f"{tag}.means").standard_normal((c, d))
    features = reference.rng(f"{tag}.features").standard_normal((n, d)) + 0.5 * means[labels]
    kernel = 0.01 * reference.rng(f"{tag}.kernel").standard_normal((d, c))
    return tf.constant(features), tf.constant(labels), kernel


@pytest.fixture(autouse=True)
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("path", reference.fixtures("lars.json"), ids=lambda path: path.stem)
def test_a_softmax_probe_under_lars_equals_the_reference(path):
    for run in reference.load(path):
        config = run["config"]
        features, labels, initial_kernel = problem(config)
        kernel, bias = keras.Variable(initial_kernel), keras.Variable(np.zeros(config["c"]))
        peak = config["base_lr"] * config["batch"] / 256
        optimizer = LARS(
            WarmupCosine(peak, config["steps"]),
            config["momentum"],
            config["wd"],
            trust_coefficient=config["trust"],
            epsilon=config["eps"],
        )
        for step in run["steps"]:
            with tf.GradientTape() as tape:
                logits = features @ kernel.value + bias.value
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            assert float(loss) == pytest.approx(step["loss"], abs=1e-10)
            assert np.linalg.norm(kernel.numpy()) == pytest.approx(step["kernel_l2"], rel=1e-9)
            assert np.linalg.norm(bias.numpy()) == pytest.approx(step["bias_l2"], rel=1e-9)
            optimizer.apply_gradients(zip(tape.gradient(loss, [kernel.value, bias.value]), [kernel, bias], strict=True))
        for name, variable in (("kernel", kernel), ("bias", bias)):
            mean, norm = run["final"][f"{name}_mean_l2"]
            assert variable.numpy().mean() == pytest.approx(mean, abs=1e-9)
            assert np.linalg.norm(variable.numpy()) == pytest.approx(norm, rel=1e-9)
