"""Photographs that are turned upright in a graph, beside Pillow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from simsiam_tf.interop.orientation import orientation_of, upright
from simsiam_tf.interop.serving import serving_functions
from simsiam_tf.networks import resnet18

_ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def read():
    """The function in a graph, which is traced once."""
    return tf.function(orientation_of, input_signature=[tf.TensorSpec((), tf.string)])


def photograph(kind, orientation, pixels):
    notes = Image.Exif()
    notes[0x010F] = "a camera's maker"
    notes[_ORIENTATION] = orientation
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, exif=notes)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_photograph_is_turned_as_pillow_turns_it(read, rng, kind, orientation):
    content = photograph(kind, orientation, rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    found = read(tf.constant(content))
    assert int(found) == (orientation if 1 <= orientation <= 8 else 1)
    stored = Image.open(io.BytesIO(content)).convert("RGB")
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    np.testing.assert_array_equal(upright(tf.constant(np.asarray(stored)), found).numpy(), np.asarray(expected))


def test_both_orders_of_bytes_are_read(read):
    for order, number in (("little", b"II*\0"), ("big", b"MM\0*")):
        entry = b"".join(
            value.to_bytes(length, order) for value, length in ((_ORIENTATION, 2), (3, 2), (1, 4), (6, 2), (0, 2))
        )
        notes = number + (8).to_bytes(4, order) + (1).to_bytes(2, order) + entry
        assert int(read(b"\xff\xd8\xff\xe1\0\x22Exif\0\0" + notes)) == 6


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"E", b"Exif\0\0", b"Exif\0\0MM", bytes(99)),
        *(b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
    ],
)
def test_damaged_notes_turn_nothing(read, content):
    assert int(read(content)) == 1


def test_features_of_a_turned_photograph_are_those_of_the_upright_one(rng):
    backbone = resnet18(width=0.0625)
    # PNG, so that both files have the same pixels.
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    turned = photograph("PNG", 6, np.rot90(pixels))
    files = tf.constant([photograph("PNG", 1, pixels), turned, b"no photograph"])
    found = serving_functions(backbone, 32)["serving_bytes"](files)
    assert found["ok"].numpy().tolist() == [True, True, False]
    np.testing.assert_allclose(found["features"][0], found["features"][1], rtol=1e-5, atol=1e-6)
    as_stored = serving_functions(backbone, 32, turns=False)["serving_bytes"](files)
    assert np.abs(as_stored["features"][0] - as_stored["features"][1]).max() > 1e-3


def test_files_that_mean_more_than_an_export_can_do_are_not_served():
    assert list(serving_functions(resnet18(width=0.0625), 32, turns=None)) == ["serve", "feature_maps"]
