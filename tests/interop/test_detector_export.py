"""Detectors as SavedModel and ONNX: they find what the detector finds, and nothing is written over."""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf import resnet18
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.detection import Detector
from simsiam_tf.detection.canvas import on_canvas
from simsiam_tf.errors import UsageError
from simsiam_tf.interop import detector_export
from simsiam_tf.interop.detector_export import ExportedDetector, export_detector, found_again
from tests.interop.detectors import NAMES, assert_same, by_python, made

LOAD = """
import json, sys, numpy as np, tensorflow as tf
detect = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
for number in range(int(sys.argv[2])):
    images = np.load(f"{number}.npy")
    np.savez(f"{number}.npz", **detect(image=tf.constant(images)))
assert "simsiam_tf" not in sys.modules
"""


@pytest.fixture(scope="module")
def detector():
    return made()


@pytest.fixture(scope="module")
def folder(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector") / "export"
    said = export_detector(ExportedDetector(detector, NAMES, 64, 96), folder)
    assert said == {"savedmodel": "checked by TensorFlow, which finds 10 of 10 objects"}
    return folder


def test_nothing_is_written_over(detector, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"theirs")
    (tmp_path / "classes.json").write_text(json.dumps(NAMES))
    assert export_detector(ExportedDetector(detector, NAMES), tmp_path) == {"savedmodel": "is there already"}
    for other in (json.dumps(NAMES[::-1]), "no JSON"):
        (tmp_path / "classes.json").write_text(other)
        with pytest.raises(UsageError, match=r"classes.json must hold the detector's names; move it away. Received: /"):
            export_detector(ExportedDetector(detector, NAMES), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"saved_model.pb", "classes.json"}
    assert (tmp_path / "saved_model.pb").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("formats", "names", "sides", "words"),
    [
        (
            ["savedmodel", "keras"],
            NAMES,
            (64, 96),
            "^A detector is exported with --format=savedmodel or onnx. .*keras.$",
        ),
        (["onnx"], NAMES, (64, 96), "^--format=onnx needs packages .* Received: an environment without onnxruntime.$"),
        (["savedmodel"], NAMES[:2], (64, 96), "^A detector of 3 classes needs as many names. Received: 2 names.$"),
        (["savedmodel"], NAMES, (64, 63), "^short_side must be positive, and at most long_side. "),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(
    formats, names, sides, words, detector, tmp_path, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(UsageError, match=words):
        export_detector(ExportedDetector(detector, names, *sides), tmp_path / "export", formats)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_refused(tmp_path):
    broken = Detector(resnet18(width=0.0625), 1, DetectorConfig())
    broken.mask_head.variables[-1].assign([np.inf])
    with pytest.raises(FloatingPointError, match="is not a finite number"):
        export_detector(ExportedDetector(broken, ["x"], 64, 96), tmp_path / "export")
    assert not list(tmp_path.iterdir())


def test_a_file_that_finds_other_objects_is_not_kept(detector, tmp_path, monkeypatch):
    found = {"boxes": np.zeros([1, 1, 4]), "scores": np.ones([1, 1]), "classes": np.zeros([1, 1], int)}
    found["masks"] = np.zeros([1, 1, 64, 64], bool)
    wrong = detector_export.DETECTOR_FORMATS["savedmodel"]
    wrong = type(wrong)(**{**vars(wrong), "write": lambda *_: None, "find": lambda *_: found})
    monkeypatch.setitem(detector_export.DETECTOR_FORMATS, "savedmodel", wrong)
    expected = {**{name: value.repeat(10, axis=1) for name, value in found.items()}, "boxes": np.ones([1, 10, 4])}
    monkeypatch.setattr(ExportedDetector, "find", lambda *_: expected)
    with pytest.raises(
        FloatingPointError, match=r"^The export finds 0 of the detector's 10 objects; nothing was kept.$"
    ):
        export_detector(ExportedDetector(detector, NAMES, 64, 96), tmp_path / "export")
    assert not list(tmp_path.iterdir())


def test_objects_that_are_found_again_are_counted():
    boxes = np.array([[[0.0, 0, 9, 9], [5, 5, 20, 20], [0, 0, 0, 0]]])
    masks = np.zeros([1, 3, 50, 50], bool)
    ours = {"boxes": boxes, "scores": np.array([[0.9, 0.8, 0]]), "classes": np.array([[1, 0, -1]]), "masks": masks}
    assert found_again(ours, ours, 0.1) == (2, 2)
    other = {
        "boxes": boxes + np.array([[[0.2], [0], [0]]]),
        "scores": np.array([[0.9, 0.7, 0]]),
        "classes": np.array([[0, 0, -1]]),
        "masks": masks | (np.arange(3) == 0)[:, np.newaxis, np.newaxis],
    }
    for name, expected in {"boxes": 1, "scores": 1, "classes": 1, "masks": 1}.items():
        assert found_again(ours, {**ours, name: other[name]}, 0.1) == (expected, 2), name
    assert found_again(ours, {**ours, "classes": np.full([1, 3], -1)}, 0.1) == (0, 2)


@pytest.mark.slow
def test_it_finds_what_the_detector_finds_without_this_package(folder, detector, tmp_path, rng):
    photos = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in ((1, 64, 80), (2, 90, 64))]
    for number, images in enumerate(photos):
        np.save(tmp_path / f"{number}.npy", images)
    arguments = [str(folder), str(len(photos))]
    subprocess.run([sys.executable, "-c", LOAD, *arguments], check=True, cwd=tmp_path, env={"PATH": "/usr/bin"})
    for number, images in enumerate(photos):
        assert_same(np.load(tmp_path / f"{number}.npz"), by_python(detector, images))


@pytest.mark.slow
def test_names_and_an_example_are_beside_it(folder):
    assert json.loads((folder / "classes.json").read_text()) == NAMES
    assert {path.name for path in folder.iterdir()} == {
        *("saved_model.pb", "fingerprint.pb", "variables", "classes.json", "README.md")
    }
    assert "count, masks" in (folder / "README.md").read_text()


@pytest.mark.slow
def test_the_example_of_the_documentation(folder, tmp_path, monkeypatch, capsys, rng):
    shutil.copytree(folder, tmp_path / "W" / "export")
    (tmp_path / "W" / "export" / "classes.json").write_text('["cat", "dog", "cow"]')  # which any terminal can print
    Image.fromarray(rng.integers(0, 256, (90, 70, 3), np.uint8)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    page = (pathlib.Path(__file__).parents[2] / "docs" / "exports.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page.partition("## Detectors")[2], re.DOTALL)
    exec(compile(example, "exports.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(("cat 0.", "dog 0.", "cow 0.")) for line in lines) == 10


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
def test_detectors_in_other_precisions_are_exported_in_float32(dtype, tmp_path, rng):
    images = rng.integers(0, 256, (1, 64, 70, 3), np.uint8)
    sizes = tf.constant([[64, 70]])
    keras.config.set_floatx("float64" if dtype == "float64" else "float32")
    keras.config.set_dtype_policy(dtype)
    try:
        other = made(masks=False)
        export_detector(ExportedDetector(other, NAMES, 64, 96, turns=None), tmp_path / "export")
        expected = other.detect(on_canvas(tf.constant(images), sizes), sizes)[0]
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    assert {variable.dtype for variable in loaded.variables} == {tf.float32}
    assert set(loaded.signatures) == {"serve", "serving_default"}
    out = loaded.signatures["serving_default"](image=tf.constant(images))
    assert set(out) == {"boxes", "scores", "classes", "count"}
    tolerance = 1e-3 if dtype == "float64" else 5  # of which not every box is the same in bfloat16
    near = np.abs(out["boxes"].numpy() - expected.boxes.numpy()[0][:, np.newaxis]).max(axis=-1).min(axis=1) < tolerance
    assert near.mean() >= (1 if dtype == "float64" else 0.5)


@pytest.mark.interop
def test_onnx_finds_the_same(tmp_path, rng):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    exported = ExportedDetector(made(), NAMES, 64, 96)
    said = export_detector(exported, tmp_path, ["onnx", "savedmodel"])
    assert said["onnx"] == "checked by onnxruntime, which finds 10 of 10 objects"
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {"model.onnx", "classes.json", "README.md"}
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    for shape in ((1, 64, 80), (2, 64, 64), (1, 150, 90)):
        images = rng.integers(0, 256, (*shape, 3), np.uint8)
        expected = served(image=tf.constant(images))
        out = dict(zip(names, session.run(names, {"image": images}), strict=True))
        assert set(out) == set(expected)
        for name in expected:
            np.testing.assert_allclose(out[name], expected[name], atol=1e-3)
