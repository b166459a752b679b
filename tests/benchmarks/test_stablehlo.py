"""What the step is as a program for a TPU, lowered by TensorFlow alone."""

import sys

import pytest
import tensorflow as tf

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.methods import SimSiamConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import Config, RunConfig
from simsiam_tf.networks.normalization import BatchNormalization
from tests.conftest import ROOT, run_script

sys.path.insert(0, str(ROOT / "benchmarks"))
import json

import stablehlo


@pytest.fixture(scope="module")
def trainer():
    heads = SimSiamConfig(projector_layers=2, projector_dim=16, predictor_dim=8)
    model = ModelConfig(arch="resnet18", width=0.0625, of_method=heads)
    rest = OptimizerConfig(), DataConfig(image_size=16), AugmentConfig(), DeviceConfig(), RunConfig(workdir="w")
    return stablehlo.make_trainer(Config(model, *rest), 10)


VIEWS = [tuple(tf.TensorSpec([4, 16, 16, 3]) for _ in range(2))]


@pytest.mark.slow
def test_the_operations_of_a_forward_pass_are_those_of_its_layers(trainer):
    """ResNet-18 with few channels at 16 pixels: by hand, from the shapes of its kernels."""
    model, _ = trainer
    sides = {4: 16, 8: 8, 16: 4, 32: 2}  # the side of the maps of each width
    expected = 0
    for v in [*model.backbone.trainable_variables, *model.projector.variables, *model.predictor.variables]:
        if len(v.shape) == 4:
            expected += 2 * sides[v.shape[-1]] ** 2 * v.numpy().size
        elif len(v.shape) == 2:
            expected += 2 * v.numpy().size
    assert stablehlo.forward_operations(model, 16) == expected


@pytest.mark.slow
def test_a_batch_norm_layer_costs_one_all_reduce_forward_and_one_backward(trainer):
    model, variables = trainer
    text = stablehlo.lower(model.train_step, VIEWS, variables, replicas=4).text
    layers = sum(isinstance(layer, BatchNormalization) for layer in model._flatten_layers())
    # Besides: one for each gradient, one for the logs, and one for the spread of z of each view and of the features.
    assert text.count("stablehlo.all_reduce") == 2 * layers + len(model.trainable_variables) + 4


@pytest.mark.slow
def test_every_variable_goes_in_and_what_changes_comes_out(trainer):
    model, variables = trainer
    program = stablehlo.lower(model.train_step, VIEWS, variables)
    names = [name for name, _ in program.state]
    assert "stablehlo.all_reduce" not in program.text
    assert sorted(n for n in names if not n.startswith("constant")) == sorted(variables)
    frozen = {"model/projector/dense2/bias"}
    assert {names[i] for i in program.updated} == set(variables) - frozen


@pytest.mark.long
def test_the_scaling_benchmark_counts_what_is_exchanged(tmp_path):
    path = tmp_path / "scaling.json"
    flags = ["--image_size=16", "--global_batch_size=8", "--replicas=1,2", f"--json={path}"]
    done = run_script("benchmarks/scaling.py", *flags)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(path.read_text())
    assert (one["all_reduces"], one["bytes"]) == (0, 0)
    assert two["step_seconds"] > 0
    # Gradients and statistics, the moments of the spread of z of two views and of the features, and a few numbers for
    # the logs.
    moments = sum(2 * d + 64 + 64**2 for d in (2048, 2048, 512))
    assert two["least_bytes"] + 4 * moments <= two["bytes"] <= two["least_bytes"] + 4 * (moments + 10)
