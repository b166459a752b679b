import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.augment import ops
from simsiam_tf.interop.formats import Exported, export

LOAD = """
import sys, numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
images = np.load(sys.argv[2])
np.save(sys.argv[3], serve(image=tf.constant(images))["features"])
"""


@pytest.fixture
def backbone(rng):
    model = resnet18(cifar_stem=True, width=0.0625)
    model(rng.standard_normal((8, 32, 32, 3)).astype(np.float32), training=True)  # moving statistics of its own
    return model


@pytest.mark.slow
def test_the_saved_model_serves_without_this_package(tmp_path, rng, backbone):
    export(Exported(backbone, 32), tmp_path / "export", ["savedmodel", "keras"])
    images = rng.integers(0, 256, (3, 32, 32, 3), np.uint8)
    np.save(tmp_path / "images.npy", images)
    arguments = [str(tmp_path / name) for name in ("export", "images.npy", "features.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *arguments], check=True, cwd=tmp_path, env={"PATH": "/usr/bin"})
    expected = backbone(ops.normalize(tf.cast(images, tf.float32)), training=False)
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), expected, atol=1e-5)


def test_any_number_and_any_size_of_images(tmp_path, rng, backbone):
    export(Exported(backbone, 32), tmp_path / "export", ["savedmodel", "keras"])
    serve = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    for shape in [(1, 32, 32, 3), (5, 17, 17, 3), (5, 20, 30, 3), (2, 100, 64, 3), (1, 9, 300, 3)]:
        features = serve(image=tf.constant(rng.integers(0, 256, shape, np.uint8)))["features"]
        assert features.shape == (shape[0], backbone.feature_dim)
        assert features.dtype == tf.float32
        assert np.isfinite(features).all()


def test_the_keras_file_is_the_backbone(tmp_path, rng, backbone):
    export(Exported(backbone, 32), tmp_path / "export", ["keras"])
    again = keras.models.load_model(tmp_path / "export" / "backbone.keras")
    images = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(images), backbone(images))


def test_weights_that_are_not_finite_are_not_exported(tmp_path, backbone):
    backbone.variables[-1].assign(np.full(backbone.variables[-1].shape, np.inf))
    with pytest.raises(FloatingPointError, match="is not a finite number"):
        export(Exported(backbone, 32), tmp_path / "export", ["savedmodel", "keras"])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_format_that_is_cut_short_is_not_there(tmp_path, backbone, monkeypatch):
    monkeypatch.setattr(backbone, "save", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(Exported(backbone, 32), tmp_path / "export", ["savedmodel", "keras"])
    names = {path.name for path in (tmp_path / "export").iterdir()}
    assert "saved_model.pb" in names
    assert "backbone.keras" not in names
    monkeypatch.undo()
    done = export(Exported(backbone, 32), tmp_path / "export", ["savedmodel", "keras"])
    assert done["savedmodel"] == "is there already"
    assert done["keras"].startswith("checked by Keras")
