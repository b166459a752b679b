"""The linear probe under LARS, against a NumPy reference in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
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
        peak = config["base_lr"] * config["batch"] / 256
        options = {"trust_coefficient": config["trust"], "epsilon": config["eps"]}
        # Three heads, of which the second is the reference's: its neighbours must not matter.
        peaks, decays = [3 * peak, peak, peak / 2], [0.0, config["wd"], 2 * config["wd"]]
        probe = LinearProbe(
            config["d"], config["c"], "lars", peaks, config["steps"], decays, sgd_momentum=config["momentum"], **options
        )
        probe.kernel.assign(np.repeat(initial_kernel[:, np.newaxis], 3, axis=1))
        for step in run["steps"]:
            kernel, bias = probe.kernel.numpy()[:, 1], probe.bias.numpy()[1]
            assert np.linalg.norm(kernel) == pytest.approx(step["kernel_l2"], rel=1e-9)
            assert np.linalg.norm(bias) == pytest.approx(step["bias_l2"], rel=1e-9)
            assert float(probe.step(features, labels)[1]) == pytest.approx(step["loss"], abs=1e-10)
        final = {"kernel": probe.kernel.numpy()[:, 1], "bias": probe.bias.numpy()[1]}
        for name, value in final.items():
            mean, norm = run["final"][f"{name}_mean_l2"]
            assert value.mean() == pytest.approx(mean, abs=1e-9)
            assert np.linalg.norm(value) == pytest.approx(norm, rel=1e-9)
