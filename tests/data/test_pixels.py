"""What a value means: known from the type of a file, or asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.decoding import Room, crop_views, open_image
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.pixels import UnknownValuesError, choose_channels, to_levels, to_rgb, upright_size
from simsiam_tf.data.sight import has_unused_channels, look_at
from simsiam_tf.data.sources import listing_bad_images, open_source
from simsiam_tf.errors import UsageError

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def stored(image, form="TIFF", **options):
    content = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(content, form, **options)
    return content.getvalue()


def grey(data, **pixels):
    return np.asarray(to_rgb(open_image(data), Pixels(**pixels)))[..., 0]


@pytest.mark.parametrize(
    ("values", "value_range"),
    [
        (RAMP.astype(np.float32), (0, 1)),
        ((RAMP * 2 - 1).astype(np.float32), (-1, 1)),
        ((RAMP * 1000).astype(np.float32), (0, 1000)),
        ((RAMP * 2000 - 1000).astype(np.int32), (-1000, 1000)),
        (np.rint(RAMP * 200).astype(np.int32), (0, 200)),
    ],
)
def test_values_without_a_known_range_are_asked_for(values, value_range):
    with pytest.raises(UnknownValuesError, match=r"--value_range=.* Received: (float|int)32 values of"):
        grey(stored(values))
    assert np.abs(grey(stored(values), value_range=value_range) - RAMP * 255).max() <= 1.2


def test_values_of_a_known_range_are_used_as_they_are():
    deep = np.rint(RAMP * 65535).astype(np.uint16)
    for form in ("TIFF", "PNG", "PPM"):
        np.testing.assert_array_equal(grey(stored(deep, form)), np.rint(deep / 257))
    np.testing.assert_array_equal(grey(stored(Image.fromarray(RAMP > 0.5), "PNG")), np.where(RAMP > 0.5, 255, 0))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_is_not_made_black(wrong):
    values = RAMP.astype(np.float32)
    values[3, 3] = wrong
    with pytest.raises(UnknownValuesError, match="and 1 that are not finite"):
        grey(stored(values))
    with pytest.raises(ValueError, match="not a finite number"):
        grey(stored(values), value_range=(0, 1))


def folder_of(tmp_path, *files, **settings):
    for i, content in enumerate(files):
        (tmp_path / f"{i}.tif").write_bytes(content)
    return open_source(DataConfig(dataset="folder", data_dir=str(tmp_path), **settings), "train")


def test_twelve_bits_in_sixteen_are_asked_for_at_the_start(tmp_path):
    dark = stored(np.rint(RAMP * 4095).astype(np.uint16))
    with pytest.raises(UnknownValuesError, match=r"--value_range=0,4095.* Received: values of 0 to 4095"):
        look_at(folder_of(tmp_path, dark, dark))
    look_at(folder_of(tmp_path, dark, dark, value_range=(0.0, 4095.0)))
    look_at(folder_of(tmp_path, dark, stored(np.rint(RAMP * 65535).astype(np.uint16))))


def test_the_question_ends_a_run_whatever_may_be_unreadable(tmp_path):
    good = stored(np.rint(RAMP * 255).astype(np.uint8))
    source = folder_of(tmp_path, good, good, stored(RAMP.astype(np.float32)), max_bad_fraction=0.9)
    with pytest.raises(UsageError, match=r"--value_range=0,1.*2\.tif"), listing_bad_images([source], None):
        for _ in evaluation_dataset(source, 8, 2):
            pass


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_photographs_stand_upright(orientation, form):
    corner = np.zeros((24, 16, 3), np.uint8)
    corner[:8, :8, 0] = 255  # red at the top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(corner)
    as_stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    turned = upright if as_stored is None else upright.transpose(as_stored)
    data = stored(turned, form, exif=exif, **({"lossless": True} if form == "WEBP" else {}))
    image = open_image(data)
    assert upright_size(image, Pixels()) == (16, 24)
    (view,) = crop_views(image, [(0, 0, 8, 8)], [8], [True])
    assert np.asarray(view)[..., 0].mean() > 200
    assert to_rgb(open_image(data), Pixels(exif="ignore")).size == turned.size


def test_drawings_in_transparency_are_shown_on_a_colour():
    icon = np.zeros((8, 8, 4), np.uint8)
    icon[2:6, 2:6, 3] = 255  # a black square on nothing
    data = stored(icon, "PNG")
    assert grey(data).max() == 0
    white = grey(data, alpha="white")
    assert (white[0, 0], white[4, 4]) == (255, 0)
    assert np.asarray(to_rgb(open_image(data), Pixels(alpha="#102030")))[0, 0].tolist() == [16, 32, 48]
    palette = Image.fromarray(icon).quantize(4)
    assert grey(stored(palette, "PNG"), alpha="white")[0, 0] == 255


def test_channels_are_chosen(rng):
    bands = rng.integers(0, 256, (8, 8, 4), np.uint8)
    data = stored(Image.fromarray(bands, "CMYK"))
    np.testing.assert_array_equal(
        np.asarray(to_rgb(open_image(data), Pixels(channels=(3, 1, 0)))), bands[..., [3, 1, 0]]
    )
    np.testing.assert_array_equal(choose_channels(bands, (2,)), bands[..., [2, 2, 2]])
    with pytest.raises(UsageError, match="channels of 0 to 3"):
        to_rgb(open_image(data), Pixels(channels=(0, 1, 4)))


def test_only_listed_formats_of_bearable_size_are_opened():
    with pytest.raises(OSError, match="no image of a kind that is read here"):
        open_image(stored(Image.new("RGB", (8, 8)), "EPS"))
    with pytest.raises(OSError, match=r"64 x 64 pixels are more than --max_pixels=100"):
        open_image(stored(Image.new("RGB", (64, 64)), "PNG"), Pixels(max_pixels=100))


def test_large_images_are_decoded_one_at_a_time():
    room = Room(100)
    with room.for_pixels(1000):  # alone, though larger than the room
        assert room._used == 1000
    with room.for_pixels(60), room.for_pixels(40):
        assert room._used == 100
    assert room._used == 0


def test_levels_of_every_type():
    for kind in (np.float16, np.float64, np.int8, np.int16, np.uint32, np.int64):
        with pytest.raises(UnknownValuesError):
            to_levels(np.zeros(3, kind), Pixels())
    np.testing.assert_array_equal(to_levels(np.array([0, 65535], np.uint16), Pixels()), [0, 255])
    np.testing.assert_array_equal(to_levels(np.array([-5, 0, 5, 9]), Pixels(value_range=(0, 5))), [0, 0, 255, 255])


def test_a_deep_tiff_whose_zero_is_white_is_no_negative():
    deep = np.rint(RAMP * 65535).astype(np.uint16)
    for photometric in (0, 1):
        content = stored(deep if photometric else 65535 - deep, tiffinfo={262: photometric})
        image = Image.open(io.BytesIO(content))
        assert image.tag_v2[262] == photometric
        np.testing.assert_allclose(grey(content), RAMP * 255, atol=0.51)


@pytest.mark.parametrize(("mode", "unused"), [("RGBX", True), ("RGBA", False), ("RGB", False), ("L", False)])
def test_a_fourth_band_that_pillow_does_not_give_is_said(mode, unused):
    content = io.BytesIO()
    Image.frombytes(mode, (8, 8), bytes(range(64)) * len(mode)).save(content, "TIFF")
    image = open_image(content.getvalue())
    image.load()
    assert has_unused_channels(image) == unused
