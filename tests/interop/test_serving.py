"""What a SavedModel serves: images, files of images, maps and classes; what can be done with it besides."""

import gc
import io
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.eager import context

from simsiam_tf import resnet18
from simsiam_tf.augment import ops, policies, views
from simsiam_tf.host import return_memory
from simsiam_tf.interop.classifier import Classifier
from simsiam_tf.interop.saved_model import write_saved_model
from simsiam_tf.interop.serving import _centre, _decode, serving_functions
from tests.interop.networks import with_statistics

NAMES = ("cat", "dög", "bad\udcff")  # the last as the name of a folder that is not UTF-8


@pytest.fixture(scope="module")
def network():
    return with_statistics(resnet18(cifar_stem=True, width=0.0625), np.random.default_rng(0))


@pytest.fixture(scope="module")
def classifier(network):
    # Small, for the features of some networks are large, and the log of a score that is 0 has no gradient.
    kernel = 0.1 * np.random.default_rng(1).standard_normal((network.feature_dim, 3)).astype(np.float32)
    return Classifier(kernel, np.array([0.5, 0, 0], np.float32), NAMES, 90.0, "")


@pytest.fixture(scope="module")
def folder(network, classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    write_saved_model(network, 32, folder, classifier)
    return folder


@pytest.fixture(scope="module")
def served(folder):
    return tf.saved_model.load(str(folder))


def encoded(image, kind, **options):
    Image.fromarray(image).save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def test_each_weight_is_written_once(network, folder):
    weights = sum(4 * np.prod(variable.shape) for variable in network.variables)
    (data,) = (folder / "variables").glob("*.data-*")
    assert weights < data.stat().st_size < 1.2 * weights


@pytest.mark.parametrize("shape", [(32, 32), (31, 33), (45, 300), (1000, 777), (8, 5)])
def test_the_crop_is_that_of_an_evaluation(rng, shape):
    """In float32 an edge may lie a millionth of a pixel elsewhere."""
    images = rng.integers(0, 256, (2, *shape, 3), np.uint8)
    box = views.boxes(policies.EVALUATION_CROP, tf.zeros([2, 1]), *shape, 32)
    expected = ops.apply_crop(images, box, 32, bounded=False)
    np.testing.assert_allclose(_centre(tf.constant(images), 32), expected, atol=255 * 1e-6)


def test_files_of_images_give_the_features_of_their_images(served, rng):
    images = [rng.integers(0, 256, shape, np.uint8) for shape in ((32, 32, 3), (40, 50, 3), (20, 90, 3))]
    one_by_one = [served.signatures["serving_default"](image=tf.constant(i[None]))["features"][0] for i in images]
    out = served.signatures["serving_bytes"](image_bytes=tf.constant([encoded(image, "PNG") for image in images]))
    assert out["ok"].numpy().all()
    np.testing.assert_allclose(out["features"], one_by_one, rtol=1e-4, atol=1e-6)


def test_jpeg_files_have_the_pixels_that_pillow_decodes(rng):
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((160, 120)))
    for options in ({}, {"subsampling": 0}, {"progressive": True, "quality": 30}):
        data = encoded(smooth, "JPEG", **options)
        image, ok = _decode(tf.constant(data))
        assert ok
        np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(data))))


def damaged(rng):
    image = rng.integers(0, 256, (50, 60, 3), np.uint8)
    jpeg, png = encoded(image, "JPEG"), encoded(image, "PNG")
    progressive = encoded(image, "JPEG", progressive=True)
    return {
        "empty": b"",
        "text": b"no image at all" * 9,
        "a header": jpeg[:20],
        "half a JPEG": jpeg[: len(jpeg) // 2],
        "a JPEG without its end": jpeg[:-2],
        "half a progressive JPEG": progressive[: len(progressive) // 2],
        "half a PNG": png[: len(png) // 2],
        "a PNG without its end": png[:-14],
        "a PNG with a wrong byte": png[:300] + bytes([png[300] ^ 1]) + png[301:],
        "a TIFF": encoded(image, "TIFF"),
    }


def test_what_is_no_image_has_no_features_and_spoils_no_others(served, rng):
    image = rng.integers(0, 256, (50, 60, 3), np.uint8)
    good = {
        "PNG": encoded(image, "PNG"),
        "JPEG": encoded(image, "JPEG"),
        "a progressive JPEG": encoded(image, "JPEG", progressive=True),
        "grey": encoded(image[..., 0], "PNG"),
        "16 bits": encoded((image[..., 0].astype(np.uint16) * 257), "PNG"),
        "transparent": encoded(np.dstack([image, image[..., :1]]), "PNG"),
        "GIF": encoded(image, "GIF"),
    }
    bad = damaged(rng)
    files = [file for pair in zip(bad.values(), list(good.values()) * 2, strict=False) for file in pair]
    files += list(good.values())
    out = served.signatures["serving_bytes"](image_bytes=tf.constant(files))
    is_good = [file in good.values() for file in files]
    assert out["ok"].numpy().tolist() == is_good
    assert np.isfinite(out["features"]).all(axis=1).tolist() == is_good
    assert np.isnan(out["features"]).all(axis=1).tolist() == [not good for good in is_good]
    classes = served.signatures["classify_bytes"](image_bytes=tf.constant([good["PNG"], b"", good["JPEG"]]))
    assert classes["ok"].numpy().tolist() == [True, False, True]
    assert np.isnan(classes["scores"]).all(axis=1).tolist() == [False, True, False]


def test_no_images_at_all(served):
    out = served.signatures["serving_bytes"](image_bytes=tf.constant([], tf.string))
    assert out["features"].shape == (0, 32)
    assert served.signatures["serving_default"](image=tf.zeros([0, 9, 9, 3], tf.uint8))["features"].shape == (0, 32)


def test_maps_are_of_the_whole_image(served, network, rng):
    image = rng.integers(0, 256, (1, 40, 72, 3), np.uint8)
    maps = served.signatures["feature_maps"](image=tf.constant(image))
    expected = network.feature_maps(ops.normalize(tf.cast(image, tf.float32)))
    assert {name: tuple(x.shape[1:3]) for name, x in maps.items()}["C3"] == (20, 36)
    for name, x in expected.items():
        np.testing.assert_allclose(maps[name], x, rtol=1e-4, atol=1e-5)


def test_classes(served, classifier, rng):
    image = tf.constant(rng.integers(0, 256, (4, 40, 50, 3), np.uint8))
    out = served.signatures["classify"](image=image)
    logits = out["features"].numpy() @ classifier.kernel + classifier.bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(out["scores"], expected, rtol=1e-4, atol=1e-6)
    assert out["names"].numpy().tolist() == [[b"cat", "dög".encode(), b"bad\xff"]] * 4


def test_what_a_network_does_not_give_is_not_served(network, served):
    plain = ["serve", "serving_bytes"]
    assert set(served.signatures) == {*plain, "serving_default", "feature_maps", "classify", "classify_bytes"}
    assert list(serving_functions(network, 32)) == [*plain, "feature_maps"]
    other = keras.Sequential([keras.layers.Input([None, None, 3]), keras.layers.GlobalAveragePooling2D()])
    assert list(serving_functions(other, 32)) == plain


@pytest.mark.slow
def test_it_can_be_trained_further(network, folder, rng):
    served = tf.saved_model.load(str(folder))
    image = tf.constant(rng.integers(0, 256, (4, 40, 40, 3), np.uint8))
    before = served.signatures["classify"](image=image)
    assert len(served.trainable_variables) == len(network.trainable_variables) + 2
    assert len(served.variables) == len(network.variables) + 2
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(tf.math.log(served.classify(image)["scores"][:, 0]))
    gradients = tape.gradient(loss, served.trainable_variables)
    for variable, gradient in zip(served.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0
        variable.assign_sub(0.01 * gradient)
    after = served.signatures["classify"](image=image)
    assert np.abs(after["features"] - before["features"]).max() > 1e-4
    assert tf.reduce_sum(tf.math.log(after["scores"][:, 0])) > tf.reduce_sum(tf.math.log(before["scores"][:, 0]))


@pytest.mark.slow
def test_it_converts_to_lite(folder, served, rng):
    content = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["serving_default"]).convert()
    run = tf.lite.Interpreter(model_content=content).get_signature_runner("serving_default")
    for shape in ((2, 32, 32, 3), (1, 50, 70, 3), (3, 31, 90, 3)):
        image = rng.integers(0, 256, shape, np.uint8)
        expected = served.signatures["serving_default"](image=tf.constant(image))["features"]
        np.testing.assert_allclose(run(image=image)["features"], expected, rtol=1e-4, atol=1e-6)


def resident_mib():
    gc.collect()
    return_memory()
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.slow
def test_requests_of_any_size_make_no_traces_and_take_no_memory(served, rng):
    """benchmarks/interop.py counts 1,000 requests."""

    def answer(count):
        for number in range(count):
            shape = (int(rng.integers(1, 9)), *rng.integers(10, 300, 2), 3)
            image = rng.integers(0, 256, shape, np.uint8)
            served.signatures["serving_default"](image=tf.constant(image))
            if number % 10 == 0:
                files = [encoded(one, "JPEG") for one in image] + [b""]
                served.signatures["serving_bytes"](image_bytes=tf.constant(files))

    answer(60)
    functions, before = context.context().list_function_names(), resident_mib()
    answer(200)  # 60 MB of images
    assert context.context().list_function_names() <= functions  # a trace would be another
    assert resident_mib() - before < 20
