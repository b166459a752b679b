import io

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data import decoding
from simsiam_tf.data.decoding import open_image
from simsiam_tf.data.pixels import to_rgb
from simsiam_tf.data.walk import walk


@pytest.fixture
def photograph(rng):
    """A smooth image of 600 x 800, as RGB."""
    coarse = Image.fromarray(rng.integers(40, 216, (6, 8, 3), np.uint8))
    return coarse.resize((800, 600), Image.Resampling.BICUBIC)


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def rgb(data):
    return np.asarray(to_rgb(decoding.open_image(data), Pixels()), np.int32)


def test_every_kind_of_image_becomes_rgb(photograph):
    expected = np.asarray(photograph, np.int32)
    gray = np.asarray(photograph.convert("L"), np.int32)[..., None].repeat(3, axis=-1)
    translucent = photograph.copy()
    translucent.putalpha(77)
    deep = Image.fromarray(gray[..., 0].astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    palette = photograph.quantize(256)
    cases = [
        (encoded(photograph), expected, 0),
        (encoded(photograph.convert("L")), gray, 0),
        (encoded(photograph.convert("LA")), gray, 0),
        (encoded(translucent), expected, 0),
        (encoded(deep), gray, 0),
        (encoded(deep, "TIFF"), gray, 0),
        (encoded(photograph.convert("CMYK"), "TIFF"), expected, 1),
        (encoded(photograph.convert("CMYK"), "JPEG", quality=98), expected, 8),
        (encoded(palette), np.asarray(palette.convert("RGB"), np.int32), 0),
        (encoded(photograph.convert("1")), None, 0),
    ]
    for number, (data, wanted, tolerance) in enumerate(cases):
        image = rgb(data)
        assert image.shape == (600, 800, 3), number
        if wanted is not None:
            assert np.abs(image - wanted).max() <= tolerance, number


def test_a_crop_is_pillow_s_crop_and_resize(photograph):
    boxes = [(10, 20, 300, 400), (100, 0, 60, 50)]
    views = decoding.crop_views(decoding.open_image(encoded(photograph)), boxes, [64, 64], [True, True])
    for view, (top, left, height, width) in zip(views, boxes, strict=True):
        part = photograph.crop((left, top, left + width, top + height))
        np.testing.assert_array_equal(view, part.resize((64, 64), Image.Resampling.BILINEAR))


def test_an_image_smaller_than_the_crop_is_enlarged(photograph):
    small = photograph.resize((9, 7))
    views = decoding.crop_views(decoding.open_image(encoded(small)), [(0, 0, 7, 9)], [32], [True])
    np.testing.assert_array_equal(views[0], small.resize((32, 32), Image.Resampling.BILINEAR))


def test_a_large_jpeg_loses_only_detail_that_its_views_do_not_show(photograph, rng):
    grain = rng.normal(0, 10, (600, 800, 1))
    photograph = Image.fromarray(np.clip(np.asarray(photograph) + grain, 0, 255).astype(np.uint8))
    data = encoded(photograph, "JPEG", quality=90)
    boxes = [(0, 0, 600, 800), (31, 65, 401, 533)]
    image = decoding.open_image(data)
    views = decoding.crop_views(image, boxes, [32, 32], [True, True])
    assert image.size[0] < 800, "nothing was left out"
    whole = decoding.open_image(data)
    whole.load()
    exact = decoding.crop_views(whole, boxes, [32, 32], [True, True])
    assert np.abs(np.stack(views).astype(float) - np.stack(exact)).mean() < 0.75


def test_the_decoded_image_is_let_go_of_once_it_is_converted():
    content = io.BytesIO()
    Image.new("RGBA", (8, 8), (10, 20, 30, 255)).save(content, "PNG")
    image = open_image(content.getvalue())
    (view,) = decoding.crop_views(image, [(0, 0, 8, 8)], [4], [True])
    assert view.getpixel((0, 0)) == (10, 20, 30)
    with pytest.raises(ValueError, match="closed"):
        image.load()


def test_memory_is_returned_after_an_image_that_is_decoded_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(decoding, "return_memory", lambda: calls.append("returned"))
    room = decoding.Room(100)
    with room.for_pixels(100):
        pass
    assert not calls
    with room.for_pixels(101):
        pass
    assert calls == ["returned"]


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0 cut", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_raises(data):
    with pytest.raises(OSError, match=r"no image of a kind|Truncated"):
        decoding.open_image(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_truncated_image_raises(photograph, form):
    data = encoded(photograph, form)
    image = decoding.open_image(data[: len(data) // 2])
    with pytest.raises(OSError, match="truncated"):
        decoding.crop_views(image, [(0, 0, 600, 800)], [32], [True])


def test_the_file_of_a_phone_with_two_pictures_is_read(tmp_path):
    first = Image.new("RGB", (9, 7), (200, 0, 0))
    first.save(tmp_path / "a.mpo", save_all=True, append_images=[Image.new("RGB", (9, 7))])
    assert walk(str(tmp_path)).names == ["a.mpo"]
    image = open_image((tmp_path / "a.mpo").read_bytes())
    assert image.format == "MPO"
    assert np.asarray(to_rgb(image, Pixels()))[3, 3, 0] > 150  # the first one
