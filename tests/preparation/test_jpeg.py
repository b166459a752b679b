"""Images of any kind become JPEGs that TensorFlow and Pillow decode alike."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.pixels import UnknownValuesError
from simsiam_tf.preparation import jpeg
from simsiam_tf.preparation.jpeg import plain_jpeg as convert


def plain_jpeg(*arguments, **options):
    made = convert(*arguments, **options)
    assert Image.open(io.BytesIO(made.data)).size == (made.width, made.height)
    return made.data


@pytest.fixture
def levels(rng):
    """A smooth picture, whose four corners differ."""
    coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((50, 40), Image.Resampling.BICUBIC))


def encoded(image, form="JPEG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def decoded(data):
    """Decodes a JPEG by TensorFlow; Pillow must agree, and find it plain."""
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, dict(image.getexif())) == ("JPEG", "RGB", {})
    pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    np.testing.assert_array_equal(pixels, np.asarray(image))
    return pixels.astype(int)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30, "optimize": True}])
def test_plain_jpegs_are_copied(levels, options):
    data = encoded(Image.fromarray(levels), **options)
    assert plain_jpeg(data, Pixels()) is data
    with_exif = encoded(Image.fromarray(levels), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", **options)
    assert plain_jpeg(with_exif, Pixels()) is with_exif


def turned(levels, orientation=6):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(levels).transpose(Image.Transpose.ROTATE_90), exif=exif)


def same(levels):
    return levels


def grey(levels):
    return np.asarray(Image.fromarray(levels).convert("L"))[..., None]


def red(levels):
    return levels[..., :1]


# For each kind how an image of it is made, the settings that it needs, and what it shows.
KINDS = {
    "turned": (turned, {}, same),
    "grey": (lambda x: encoded(Image.fromarray(x).convert("L")), {}, grey),
    "CMYK": (lambda x: encoded(Image.fromarray(x).convert("CMYK"), quality=98), {}, same),
    "PNG": (lambda x: encoded(Image.fromarray(x), "PNG"), {}, same),
    "WebP": (lambda x: encoded(Image.fromarray(x), "WEBP", lossless=True), {}, same),
    "16 bits": (lambda x: encoded(Image.fromarray(x[..., 0].astype(np.uint16) * 257), "TIFF"), {}, red),
    "float": (lambda x: encoded(Image.fromarray(x[..., 0] / np.float32(255)), "TIFF"), {"value_range": (0, 1)}, red),
    "channels": (lambda x: encoded(Image.fromarray(x[..., ::-1]), "PNG"), {"channels": (2, 1, 0)}, same),
    "channels of a JPEG": (lambda x: encoded(Image.fromarray(x[..., ::-1])), {"channels": (2, 1, 0)}, same),
}


@pytest.mark.parametrize(("make", "settings", "shown"), KINDS.values(), ids=KINDS)
def test_other_images_are_converted(levels, make, settings, shown):
    found = decoded(plain_jpeg(make(levels), Pixels(**settings)))
    assert found.shape == (40, 50, 3)
    assert np.abs(found - shown(levels).astype(int)).mean() < 4


def test_a_turned_image_that_looks_the_same_upright_is_converted_too():
    """A record with an orientation would be turned by the next program that reads it."""
    decoded(plain_jpeg(turned(np.full((16, 16, 3), 90, np.uint8)), Pixels()))


def test_transparent_images_get_their_colour(levels):
    image = Image.fromarray(levels).convert("RGBA")
    image.putalpha(0)
    data = encoded(image, "PNG")
    assert decoded(plain_jpeg(data, Pixels(alpha="white"))).min() > 250
    assert np.abs(decoded(plain_jpeg(data, Pixels())) - levels.astype(int)).mean() < 2


def test_long_sides_are_shrunk_and_short_ones_stay(levels):
    data = encoded(Image.fromarray(levels))
    assert decoded(plain_jpeg(data, Pixels(), max_side=25)).shape == (20, 25, 3)
    assert plain_jpeg(data, Pixels(), max_side=50) is data


def test_quality_is_that_of_converted_images(levels):
    data = encoded(Image.fromarray(levels), "PNG")
    sizes = [len(plain_jpeg(data, Pixels(), quality=quality)) for quality in (10, 60, 95)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_what_tensorflow_does_not_decode_alike_is_converted(levels, monkeypatch):
    data = encoded(Image.fromarray(levels))
    for other in (b"not a JPEG", encoded(Image.fromarray(levels // 2))):

        def decode(content, _other=other, **options):
            return real(_other if content == data else content, **options)

        monkeypatch.setattr(jpeg.tf.io, "decode_jpeg", decode)
        made = plain_jpeg(data, Pixels())
        monkeypatch.undo()
        assert made != data
        assert np.abs(decoded(made) - levels.astype(int)).mean() < 3


real = tf.io.decode_jpeg


def test_what_tensorflow_cannot_decode_at_all_is_an_error(levels, monkeypatch):
    monkeypatch.setattr(jpeg.tf.io, "decode_jpeg", lambda content, **options: real(b"no", **options))
    for form in ("JPEG", "PNG"):
        with pytest.raises(OSError, match="--max_side shrinks it"):
            plain_jpeg(encoded(Image.fromarray(levels), form), Pixels())


def test_broken_and_unknown_images_are_errors(levels):
    with pytest.raises(OSError, match="no image of a kind"):
        plain_jpeg(b"text", Pixels())
    with pytest.raises(OSError, match="truncated"):
        plain_jpeg(encoded(Image.fromarray(levels))[:-300], Pixels())
    with pytest.raises(UnknownValuesError, match="--value_range"):
        plain_jpeg(KINDS["float"][0](levels), Pixels())
