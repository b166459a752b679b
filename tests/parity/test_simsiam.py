"""Training steps against an independent PyTorch implementation that equals the authors' release."""

import itertools
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import SGD, SimSiam, WarmupCosine
from simsiam_tf.methods.collapse import scaled_std
from simsiam_tf.networks import BACKBONES
from tests.conftest import ROOT
from tests.parity import reference

FIXTURES = reference.fixtures("simsiam_*.json")


def test_the_parity_folder_is_not_empty():
    assert list(reference.PARITY_DIR.glob("*.json")) + list(reference.PARITY_DIR.glob("*.npz")), (
        f"no fixture in {reference.PARITY_DIR}"
    )


def make_model(config: dict) -> SimSiam:
    backbone = BACKBONES[config["arch"]](cifar_stem=config["cifar_stem"])
    model = SimSiam(
        backbone,
        projector_dim=config["dim"],
        projector_layers=config["projector_layers"],
        predictor_dim=config["pred_dim"],
    )
    peak = config["base_lr"] * config["batch"] / 256
    fixed = [(model.predictor.trainable_variables, peak)] if config["fix_pred_lr"] else []
    schedule = WarmupCosine(peak, config["total_steps"])
    model.compile(SGD(schedule, config["momentum"], config["wd"], overrides=fixed), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def assign_initial_values(model: SimSiam, tensors: list) -> dict:
    named = reference.variables_by_name(model)
    expected = [name for name, _ in tensors if not name.endswith("num_batches_tracked")]
    assert list(named) == expected, "our variables are not the reference's, in its order"
    for name, shape in tensors:
        if name in named:
            named[name].assign(reference.to_keras_layout(reference.initial_value(name, shape)))
    return named


def run_reference_steps(fixture: dict, steps: int | None = None) -> dict:
    """What the fixture holds, computed by our model in the current floatx; after fewer steps no final weights."""
    config = fixture["config"]
    model = make_model(config)
    named = assign_initial_values(model, fixture["tensors"])
    x1, x2 = (tf.constant(x, keras.config.floatx()) for x in reference.views(config["batch"], config["size"]))
    features = model(x1, training=False).numpy()

    # Moving statistics move here too; they are put back before the real steps.
    with tf.GradientTape() as tape:
        loss, _ = model.compute_ssl_loss({"views": (x1, x2)}, training=True)
    gradients, z1_std = tape.gradient(loss, model.trainable_variables), scaled_std(model.encode((x1,), True)[0])
    trainable = {id(v): name for name, v in named.items()}
    grad_l2 = {trainable[id(v)]: float(tf.norm(g)) for v, g in zip(model.trainable_variables, gradients, strict=True)}
    assign_initial_values(model, fixture["tensors"])
    step, losses = tf.function(model.train_step, autograph=False), []
    for _ in fixture["steps"][:steps]:
        model.reset_metrics()
        losses.append(float(step((x1, x2))["loss"]))
    final = {name: v.numpy().astype(np.float64) for name, v in named.items()}
    return {
        "features": features,
        "z1_std": float(z1_std) / config["dim"] ** 0.5,
        "grad_l2": grad_l2,
        "losses": losses,
        "final": {name: (w.mean(), np.linalg.norm(w)) for name, w in final.items()} if steps is None else {},
    }


IN_FLOAT32 = """
import json, pathlib, sys
from tests.parity import reference
from tests.parity.test_simsiam import run_reference_steps
got = run_reference_steps(reference.load(pathlib.Path(sys.argv[1])))
print(json.dumps({**got, "features": got["features"].tolist()}, default=float))
"""


def run_in_float32(path) -> dict:
    """`run_reference_steps` with oneDNN, in a process of its own.

    How far float32 may stray was measured with PyTorch, whose kernels are oneDNN's. TensorFlow has others where a CPU
    has no AVX-512, unless oneDNN is asked for when it loads (docs/results/parity.md).
    """
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}
    command = [sys.executable, "-c", IN_FLOAT32, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    return {**got, "features": np.array(got["features"])}


CASES = [
    # `make test` has three steps, the fewest whose losses show the momentum too; `make test-slow` has all.
    *(pytest.param(path, "float64", 3, id=f"{path.stem}-float64-3-steps") for path in FIXTURES[:1]),
    *(
        pytest.param(path, floatx, None, id=f"{path.stem}-{floatx}", marks=pytest.mark.slow)
        for path, floatx in itertools.product(FIXTURES, ("float64", "float32"))
    ),
]


@pytest.mark.parametrize(("path", "floatx", "steps"), CASES)
def test_training_steps_equal_the_reference(path, floatx, steps, request):
    fixture = reference.load(path)
    exact, spread = floatx == "float64", fixture["float32_spread"]
    if exact:
        request.getfixturevalue("float64")
    got = run_reference_steps(fixture, steps) if exact else run_in_float32(path)

    feature_tolerance = 1e-10 if exact else 1e-4
    assert np.linalg.norm(got["features"]) == pytest.approx(fixture["eval_features_l2"], rel=feature_tolerance)
    first = np.array(fixture["eval_features_first_image_first_8"])
    assert np.linalg.norm(got["features"][0, :8] - first) <= feature_tolerance * np.linalg.norm(first)

    assert got["z1_std"] == pytest.approx(fixture["steps"][0]["z1_std"], abs=1e-10 if exact else 1e-3)

    for s, (ours, step) in enumerate(zip(got["losses"], fixture["steps"][:steps], strict=True)):
        tolerance = 1e-10 if exact else 10 * max(spread["loss"][: s + 1]) + 1e-5
        assert ours == pytest.approx(step["loss"], abs=tolerance), f"loss at step {s}"

    expected = fixture["steps"][0]["grad_l2"]
    assert set(got["grad_l2"]) == set(expected), "trained variables"
    tolerance = 1e-8 if exact else 10 * spread["grad_l2_relative"] + 1e-5
    for name, norm in expected.items():
        assert abs(got["grad_l2"][name] - norm) <= tolerance * (1e-3 + norm), f"gradient of {name}"

    tolerance = 1e-8 if exact else 10 * spread["final_l2_relative_to_1e-3_plus_l2"] + 1e-5
    for name, (mean, norm) in got["final"].items():
        expected_mean, expected_norm = fixture["final_mean_and_l2"][name]
        assert abs(norm - expected_norm) <= tolerance * (1e-3 + expected_norm), f"final norm of {name}"
        if exact:
            assert abs(mean - expected_mean) <= tolerance * (1e-3 + expected_norm), f"final mean of {name}"
