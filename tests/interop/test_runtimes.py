"""ONNX and LiteRT: what is written, what checks it, and what is said if something is missing."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.augment import ops
from simsiam_tf.errors import UsageError
from simsiam_tf.interop import litert
from simsiam_tf.interop.formats import Exported, export
from simsiam_tf.interop.serving import embed_images
from tests.interop.networks import with_statistics


@pytest.fixture
def backbone(rng):
    return with_statistics(resnet18(cifar_stem=True, width=0.125), rng)


def test_a_missing_package_is_named_before_anything_is_written(backbone, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name))
    words = (
        r"^--format=onnx needs packages that are not installed; run pip install -r requirements-interop.txt. "
        r"Received: an environment without tf2onnx and onnx and onnxruntime.$"
    )
    with pytest.raises(UsageError, match=words):
        export(Exported(backbone, 32), tmp_path / "export", ["keras", "onnx"])
    assert not list(tmp_path.iterdir())


@pytest.mark.interop
def test_onnx_takes_images_of_any_number_and_size(backbone, tmp_path, rng):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    folder = tmp_path / "export"
    assert export(Exported(backbone, 32), folder, ["onnx"])["onnx"].startswith("checked by onnxruntime, features to ")
    assert {path.name for path in (folder / "onnx").iterdir()} == {"model.onnx", "README.md"}
    assert {opset.version for opset in onnx.load(folder / "onnx" / "model.onnx").opset_import} & {17, 18}
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    for shape in ((1, 32, 32), (5, 17, 17), (2, 40, 50), (3, 200, 90), (1, 9, 300)):
        images = rng.integers(0, 256, (*shape, 3), np.uint8)
        (features,) = session.run(["features"], {"image": images})
        expected = embed_images(backbone, tf.constant(images), 32)
        np.testing.assert_allclose(features, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_litert_in_three_precisions(backbone, tmp_path, rng):
    folder = tmp_path / "export"
    said = export(Exported(backbone, 32), folder, ["litert"])["litert"]
    assert said.startswith(f"checked by {litert.RUNTIME}, features to ")
    assert "float16 to a cosine of 0.99" in said or "float16 to a cosine of 1.0" in said
    names = [f"model_{precision}.tflite" for precision in ("float32", "float16", "int8")]
    assert {path.name for path in (folder / "litert").iterdir()} == {*names, "README.md"}
    assert "[N, 32, 32, 3]" in (folder / "litert" / "README.md").read_text()
    assert "shorter side resized to 37" in (folder / "litert" / "README.md").read_text()
    sizes = [(folder / "litert" / name).stat().st_size for name in names]
    assert sizes[0] > 1.8 * sizes[1] > 3 * sizes[2]
    images = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
    expected = backbone(ops.normalize(tf.cast(images, tf.float32))).numpy()
    for name, tolerance in zip(names, (1e-5, 1e-2, 0.1), strict=True):
        found = litert.run_litert(folder / "litert" / name, images)
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.interop
def test_litert_s_own_package_is_preferred():
    pytest.importorskip("ai_edge_litert")
    assert litert.RUNTIME == "ai_edge_litert"


def test_a_file_without_weights_is_not_written(backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(litert, "save_functions", lambda *_: None)
    monkeypatch.setattr(litert, "_convert", lambda saved_model, precision: bytes(70_000))
    with pytest.raises(RuntimeError, match=r"without all weights; nothing was kept. Received: 70000 bytes for 17"):
        export(Exported(backbone, 32), tmp_path / "export", ["litert"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("precision", "noise"), [("float16", 0.05), ("int8", 0.5)])
def test_a_small_file_with_other_features_is_not_kept(backbone, tmp_path, monkeypatch, rng, precision, noise):
    def run(file, images):
        features = backbone(ops.normalize(tf.cast(images, tf.float32))).numpy()
        return features * rng.uniform(1 - noise, 1 + noise, features.shape) if precision in file.name else features

    monkeypatch.setattr(litert, "save_functions", lambda *_: None)
    monkeypatch.setattr(litert, "_convert", lambda saved_model, precision: bytes(4_000_000))
    monkeypatch.setattr(litert, "run_litert", run)
    with pytest.raises(FloatingPointError, match=f"in {precision} gives features of cosine .* nothing was kept"):
        export(Exported(backbone, 32), tmp_path / "export", ["litert"])
    assert not list(tmp_path.iterdir())
