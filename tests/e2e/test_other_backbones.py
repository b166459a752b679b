"""A network of Keras as the backbone, from the command line: trained, stopped, gone on with, judged, and exported."""

import json

import numpy as np
import pytest
import tensorflow as tf

import simsiam_tf
from tests.conftest import run_script

FLAGS = (
    *(
        "--dataset=shapes",
        "--max_examples=32",
        "--image_size=32",
        "--arch=keras:MobileNetV3Small",
        "--knn_every_epochs=0",
    ),
    *("--projector_layers=2", "--projector_dim=16", "--predictor_dim=8", "--global_batch_size=16", "--deterministic"),
)


@pytest.mark.long
def test_a_network_of_keras_is_trained_resumed_judged_and_exported(tmp_path):
    run = tmp_path / "run"
    done = run_script("train.py", *FLAGS, f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    before = json.loads((run / "summary.json").read_text())
    (run / "summary.json").unlink()  # as if it had been stopped before its end was written
    assert run_script("train.py", *FLAGS, f"--workdir={run}").returncode == 0
    assert json.loads((run / "summary.json").read_text())["weights_sha256"] == before["weights_sha256"]
    done = run_script("evaluate.py", "--protocol=knn,export", f"--workdir={run}")
    assert done.returncode == 0, done.stderr
    served = tf.saved_model.load(str(run / "export")).signatures["serving_default"]
    image = np.full((1, 32, 32, 3), 128, np.uint8)
    features = served(image=tf.constant(image))["features"].numpy()
    backbone = simsiam_tf.load(run)
    assert features.shape == (1, 576) == backbone(tf.zeros([1, 32, 32, 3])).shape
