"""Images that the device crops show what the host would have cropped."""

import io
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.augment.ops import CROP_DRAWS, apply_crop
from simsiam_tf.augment.policies import POLICIES, resolve
from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.crops import Canvases, Crops
from simsiam_tf.data.decoding import open_image

TWO = POLICIES["simsiam"]
SEVERAL = resolve(AugmentConfig(small_views=6, small_view_size=0.43))
CENTRE = POLICIES["linear_eval"]
UPRIGHT = Pixels()


def encoded(rng, width, height, form="PNG", **options):
    noise = rng.integers(0, 256, (-(-height // 4), -(-width // 4), 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).save(content, form, **options)
    return content.getvalue()


def filled(cutter, data, draws, pixels=UPRIGHT):
    arrays = cutter.empty(1)
    cutter.fill([array[0] for array in arrays], open_image(data, pixels), draws, pixels)
    return arrays


def shown(cutter, arrays):
    """Returns the crops that the device makes of a canvas, in levels."""
    batch = cutter.batch(arrays, tuple({} for _ in cutter.views))
    (canvas,) = batch["images"]
    sides = [policy.side(cutter.image_size) for policy in cutter.views]
    bounded = [policy.crops_at_random for policy in cutter.views]
    for values, side, is_bounded in zip(batch["parameters"], sides, bounded, strict=True):
        yield np.rint(apply_crop(canvas, values["box"], side, bounded=is_bounded)[0]).astype(int)


@pytest.mark.parametrize("views", [TWO, SEVERAL, CENTRE], ids=["two", "several", "centre"])
@pytest.mark.parametrize("size", [(100, 75), (75, 100), (128, 128), (129, 60), (300, 200), (7, 5), (1, 90)])
def test_crops_of_the_device_are_those_of_the_host(rng, views, size):
    data = encoded(rng, *size)
    host, device = Crops(views, 48), Canvases(views, 48)
    assert device.canvas == 128
    for _ in range(3):
        draws = rng.random((len(views), CROP_DRAWS), np.float32).tolist()
        wanted = [crop[0].astype(int) for crop in filled(host, data, draws)]
        found = list(shown(device, filled(device, data, draws)))
        exact = max(size) > 128 or views is CENTRE
        for one, other in zip(wanted, found, strict=True):
            assert np.abs(one - other).max() <= (0 if exact else 1)


@pytest.mark.parametrize("views", [TWO, SEVERAL, CENTRE], ids=["two", "several", "centre"])
@pytest.mark.parametrize("size", [(100, 75), (128, 128), (129, 60), (300, 200), (7, 5), (1, 90)])
def test_tensorflow_cuts_jpegs_as_pillow_does(rng, views, size):
    data = encoded(rng, *size, form="JPEG", quality=90)
    for cutter in (Crops(views, 48), Canvases(views, 48)):
        for _ in range(3):
            draws = rng.random((len(views), CROP_DRAWS), np.float32)
            boxes = cutter.boxes_by_ops([tf.constant([of_view]) for of_view in draws], [size[1]], [size[0]])
            ours = cutter.by_ops(tf.constant(data), boxes[0])
            theirs = cutter.empty(1)
            for array in theirs:
                array[:] = 0
            cutter.fill([array[0] for array in theirs], open_image(data), draws.tolist(), UPRIGHT)
            for one, other in zip(ours, theirs, strict=True):
                assert one.shape == other.shape[1:]
                assert np.abs(one.numpy().astype(float) - other[0]).max() <= 1
            if isinstance(cutter, Canvases):
                np.testing.assert_array_equal(ours[1], theirs[1][0])
                if max(size) <= 128 and views is not CENTRE:
                    np.testing.assert_array_equal(ours[0], theirs[0][0])


def test_turned_photographs_are_upright_on_the_canvas(rng):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(rng, 60, 40, exif=exif)
    draws = rng.random((2, CROP_DRAWS)).tolist()
    for pixels in (Pixels(), Pixels(exif="ignore")):
        host, device = Crops(TWO, 48), Canvases(TWO, 48)
        pairs = zip(filled(host, data, draws, pixels), shown(device, filled(device, data, draws, pixels)), strict=True)
        for one, other in pairs:
            assert np.abs(one[0].astype(int) - other).max() <= 1


@pytest.mark.parametrize(("image_size", "least"), [(224, 512), (32, 128), (96, 256)])
def test_canvases_hold_photographs_of_usual_size_and_all_finished_crops(image_size, least):
    for views in (TWO, SEVERAL, SEVERAL * 3):
        device = Canvases(views, image_size)
        assert device.canvas == least or (len(views) > 8 and device.canvas >= least)
        squares = [(top, left, side) for (top, left), side in zip(device._tiles, device.sides, strict=True)]
        for (top, left, side), (top_2, left_2, side_2) in itertools.combinations(squares, 2):
            assert top + side <= top_2 or top_2 + side_2 <= top or left + side <= left_2 or left_2 + side_2 <= left
        assert all(top + side <= device.canvas and left + side <= device.canvas for top, left, side in squares)
