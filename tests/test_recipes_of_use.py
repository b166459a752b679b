"""What docs/in_other_models.md shows runs."""

import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.interop.formats import Exported, export
from simsiam_tf.networks import resnet18
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "in_other_models.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def block(holding):
    (code,) = (code for code in BLOCKS if holding in code)
    return code


@pytest.mark.slow
def test_a_classifier_is_fine_tuned_in_fifteen_lines(tiny_run, tmp_path, monkeypatch, rng):
    code = block("classifier.fit")
    assert len([line for line in code.splitlines() if line]) <= 15
    shutil.copytree(tiny_run, tmp_path / "runs" / "small")
    monkeypatch.chdir(tmp_path)
    data = rng.integers(0, 256, (64, 32, 32, 3)).astype("uint8"), np.arange(64) % 10
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: (data, data))
    names: dict = {}
    exec(code.replace("epochs=5", "epochs=1"), names)
    assert len(names["classifier"].history.history["val_accuracy"]) == 1
    assert names["classifier"].trainable_variables[0].shape == (3, 3, 3, 4)  # the backbone's are trained too


def test_average_precision_counts_as_voc07():
    pytest.importorskip("sklearn") if "import LinearSVC" not in block("def voc07_map") else None
    names: dict = {"np": np}
    exec(block("def voc07_map").replace("from sklearn.svm import LinearSVC\n", ""), names)
    precision = names["average_precision"]
    assert precision(np.array([3.0, 2.0, 1.0]), np.array([True, True, False])) == 1
    # Recall 1/2 at precision 1, recall 1 at precision 2/3: points 0 to 0.5 count 1, points 0.6 to 1 count 2/3.
    found = precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]))
    assert found == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


@pytest.mark.interop
def test_voc07_classification_tells_classes_apart(rng):
    pytest.importorskip("sklearn")
    names: dict = {}
    exec(block("def voc07_map"), names)
    labels = rng.integers(0, 2, (200, 20))
    labels[:5, 0] = -1
    features = (labels == 1) @ rng.normal(size=(20, 64)) + rng.normal(size=(200, 64)) / 10
    assert names["voc07_map"](features[:100], labels[:100], features[100:], labels[100:]) > 95
    noise = rng.normal(size=(200, 64))
    assert names["voc07_map"](noise[:100], labels[:100], noise[100:], labels[100:]) < 75


@pytest.mark.interop
def test_features_go_to_scikit_learn(tmp_path, monkeypatch, rng):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    for part in ("train", "test"):
        (tmp_path / "features" / part).mkdir(parents=True)
        classes = np.arange(60) % 3
        np.save(tmp_path / "features" / part / "features.npy", np.eye(3)[classes] + rng.normal(size=(60, 3)) / 20)
        lines = "".join(f"{i},{i}.jpg,{label}\n" for i, label in enumerate(classes))
        (tmp_path / "features" / part / "images.csv").write_text("row,path,label\n" + lines)
    names: dict = {}
    exec(block("LogisticRegression"), names)
    assert names["accuracy"] == 1


@pytest.fixture
def large(tmp_path, monkeypatch):
    pytest.importorskip("keras_hub")
    export(Exported(resnet18(), 128), tmp_path / "runs" / "large" / "export", ["timm"])
    monkeypatch.chdir(tmp_path)


@pytest.mark.interop
def test_a_detector_of_kerashub_learns_on_the_backbone(large, rng):
    names: dict = {}
    exec(block("RetinaNetObjectDetector"), names)
    boxes = np.array([[[10, 10, 60, 60]], [[20, 30, 100, 90]]], "float32")
    images = rng.normal(size=(2, 128, 128, 3)).astype("float32")
    batch = images, {"boxes": boxes, "labels": np.array([[3], [5]], "float32")}
    found = names["detector"].fit(tf.data.Dataset.from_tensors(batch), epochs=2, verbose=0)
    assert np.isfinite(found.history["loss"]).all()


@pytest.mark.interop
def test_a_segmenter_of_kerashub_learns_on_the_backbone(large, rng):
    names: dict = {}
    exec(block("DeepLabV3ImageSegmenter"), names)
    images = rng.normal(size=(2, 64, 64, 3)).astype("float32")
    shape = names["segmenter"](images).shape
    assert np.isfinite(names["segmenter"].train_on_batch(images, np.zeros(shape[:3], "int32")))
