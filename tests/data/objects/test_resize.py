import numpy as np
import pytest

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.canvases import canvases_of
from simsiam_tf.data.objects.masks import Polygons, draw_masks, resize_nearest, runs_of
from simsiam_tf.data.objects.resize import Change, Recipe, change_boxes, drawn_short_sides, fitted, resized

COCO = Recipe.of(DetectionDataConfig(dataset="coco", data_dir="x"))


def test_sizes_are_those_of_the_papers_code():
    # Worked out by hand: the scale, and int(length * scale + 0.5).
    sizes = np.array([[427, 640], [640, 427], [333, 500], [100, 1000], [1, 3000]])
    assert resized(sizes, np.full(5, 800), 1333).tolist() == [
        [800, 1199],
        [1199, 800],
        [800, 1201],
        [133, 1333],
        [1, 1333],
    ]
    assert resized(sizes[:1], np.array([640]), 1333).tolist() == [[640, 959]]
    assert resized(np.array([[320, 413]]), np.array([800]), 1333).tolist() == [[800, 1033]]  # of 1032.5


def test_every_length_is_drawn_as_often():
    draws = np.stack([(np.arange(6000, dtype=np.float32) + 0.5) / 6000, np.zeros(6000, np.float32)], axis=1)
    counts = np.unique(drawn_short_sides(COCO, draws), return_counts=True)
    assert counts[0].tolist() == [640, 672, 704, 736, 768, 800]
    assert counts[1].tolist() == [1000] * 6
    largest = np.array([[np.float32(1 - 2**-24), 0]], np.float32)
    assert drawn_short_sides(COCO, largest).tolist() == [800]


def test_canvases_are_few_and_hold_any_image(rng):
    sizes = rng.integers(200, 1200, (500, 2))
    canvases = canvases_of(COCO, sizes, COCO.short_sides)
    assert 1 < len(canvases.sizes) <= 9
    assert canvases.largest == (1344, 1344)
    assert all(side % 32 == 0 for size in canvases.sizes for side in size)
    for short in COCO.short_sides:
        new = resized(sizes, np.full(500, short), 1333)
        for size in new:
            height, width = canvases.holding(size[np.newaxis])
            assert height >= size[0] and width >= size[1]
            smaller = [c for c in canvases.sizes if c[0] >= size[0] and c[1] >= size[1] and np.prod(c) < height * width]
            assert not smaller
    one = Recipe(COCO.short_sides, canvases="one")
    assert canvases_of(one, sizes, one.short_sides).sizes == ((1344, 1344),)


def test_canvases_of_wide_images_are_no_higher_than_these():
    canvases = canvases_of(COCO, np.array([[480, 640], [375, 500]]), COCO.short_sides)
    assert canvases.sizes == ((800, 800), (800, 1088))


@pytest.mark.parametrize(("size", "canvas"), [((800, 1333), (1344, 800)), ((64, 64), (64, 32)), ((10, 10), (32, 32))])
def test_a_stand_in_is_shrunk_until_it_fits(size, canvas):
    height, width = fitted(size, canvas)
    assert 1 <= height <= canvas[0] and 1 <= width <= canvas[1]
    assert abs(height / width - size[0] / size[1]) < 0.05
    assert (height, width) == size or height == canvas[0] or width == canvas[1]


def test_masks_of_runs_get_the_nearest_pixel(rng):
    pixels = rng.random((20, 30)) < 0.5
    np.testing.assert_array_equal(resize_nearest(pixels, (40, 60)), pixels.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(resize_nearest(pixels, (20, 30)), pixels)
    centres = (np.arange(13) + 0.5) * 30 / 13
    np.testing.assert_array_equal(resize_nearest(pixels, (20, 13)), pixels[:, centres.astype(int)])
    drawn = draw_masks([runs_of(pixels)], (20, 30), (40, 60), flipped=True)
    np.testing.assert_array_equal(drawn[0], pixels.repeat(2, 0).repeat(2, 1)[:, ::-1])


@pytest.mark.parametrize("flipped", [False, True])
def test_outlines_are_drawn_where_their_boxes_are(flipped):
    parts = (np.array([2.0, 2, 8, 2, 8, 6, 2, 6]), np.array([10.0, 1, 12, 1, 12, 9, 10, 9]))
    (drawn,) = draw_masks([Polygons(parts)], (10, 20), (50, 60), flipped)
    expected = np.zeros((50, 60), np.uint8)
    for box in ([[2.0, 2, 8, 6]], [[10.0, 1, 12, 9]]):
        ((left, top, right, bottom),) = change_boxes(np.array(box), Change((10, 20), (50, 60), flipped)).astype(int)
        expected[top:bottom, left:right] = 1
    assert drawn.sum() == expected.sum() == (18 * 20 + 6 * 40)
    np.testing.assert_array_equal(drawn, expected)
