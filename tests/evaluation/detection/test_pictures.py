import base64
import io

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.detection.scores.masks import masks_to_rle
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.detection.pictures import class_colour, contact_sheet, data_uri, draw_detections
from tests.detection.scores.made import found, true

BOX = [16.0, 32.0, 48.0, 56.0]  # x1, y1, x2, y2 on an image of 64 pixels
NAMES = ["cat", "dog"]


def grey(height=64, width=64):
    return np.full((height, width, 3), 128, np.uint8)


def changed(picture):
    """The columns and rows from the first to behind the last pixel that is not grey, x1, y1, x2, y2."""
    rows, columns = np.nonzero((np.asarray(picture) != 128).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    "size, longest, expected",
    [
        ((64, 32), None, (256, 512)),
        ((200, 300), None, (300, 200)),
        ((600, 800), None, (800, 600)),
        ((600, 800), 400, (400, 300)),
        ((64, 64), 200, (192, 192)),
        ((1, 2000), 100, (100, 1)),
    ],
)
def test_the_size_of_the_picture(size, longest, expected):
    assert draw_detections(grey(*size), found(), NAMES, longest=longest).size == expected


def test_a_box_lies_where_it_was_detected():
    picture = draw_detections(grey(), found(BOX, classes=[1]), NAMES)
    x1, y1, x2, y2 = changed(picture)
    assert (x1, x2, y2) == (16 * 8, 48 * 8, 56 * 8)
    assert 32 * 8 - 24 < y1 < 32 * 8  # the name is above
    pixels = np.asarray(picture)
    assert tuple(pixels[32 * 8, 47 * 8]) == tuple(pixels[56 * 8 - 1, 30 * 8]) == class_colour(1)
    assert tuple(pixels[44 * 8, 32 * 8]) == (128, 128, 128)


def test_boxes_of_other_axes_are_scaled_apart():
    """Of a wide image, so that a swap of height and width shows."""
    x1, _, x2, y2 = changed(draw_detections(grey(500, 1000), found([100, 300, 900, 400]), NAMES, longest=500))
    assert (x1, x2, y2) == (50, 450, 200)


def test_only_scores_from_the_least_one_on_are_drawn():
    detections = found(BOX, [0.0, 0.0, 8.0, 8.0], scores=[0.5, 0.49])
    assert changed(draw_detections(grey(), detections, NAMES))[:1] == (128,)
    assert changed(draw_detections(grey(), detections, NAMES, min_score=0.4))[:2] == (0, 0)


def test_masks_tint_the_image():
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 40, 20:30] = True
    pixels = np.asarray(draw_detections(grey(), found(BOX, masks=masks_to_rle(mask)), NAMES)).astype(int)
    tinted = (pixels[40 * 8 + 4, 20 * 8 + 4] - 128) / (np.array(class_colour(0)) - 128)
    np.testing.assert_allclose(tinted, 0.45, atol=0.05)
    assert (pixels[40 * 8 + 4, 31 * 8] == 128).all() and (pixels[42 * 8, 20 * 8 + 4] == 128).all()


def test_true_objects_have_dashes():
    edge = np.asarray(draw_detections(grey(), found(), NAMES, true(BOX)))[32 * 8, 16 * 8 : 48 * 8]
    assert {tuple(map(int, pixel)) for pixel in edge} == {(0, 0, 0), (255, 255, 255)}


def test_crowds_and_difficult_objects_have_longer_names():
    plain, crowd = (draw_detections(grey(), found(), NAMES, true(BOX, crowd=crowd)) for crowd in ([], [0]))
    below = [np.asarray(picture)[56 * 8 + 3, :, 0] == 0 for picture in (plain, crowd)]
    assert 0 < below[0].sum() < below[1].sum()


def test_the_box_of_a_better_detection_lies_above():
    corner = np.asarray(draw_detections(grey(), found(BOX, BOX, classes=[0, 1]), NAMES))[56 * 8 - 1, 16 * 8]
    assert tuple(corner) == class_colour(0)


def test_boxes_beyond_the_image_end_at_its_edge():
    pixels = np.asarray(draw_detections(grey(), found([-5.0, 10.0, 90.0, 70.0]), NAMES))
    assert tuple(pixels[300, 0]) == tuple(pixels[300, -1]) == tuple(pixels[-1, 300]) == class_colour(0)


def test_classes_have_different_colours():
    assert len({class_colour(number) for number in range(80)}) == 80


@pytest.mark.parametrize(
    "image, detections, rule",
    [
        (grey().astype(np.float32), found(), "uint8"),
        (grey()[..., 0], found(), "uint8"),
        (grey(), found(BOX, classes=[2]), "a name for each class"),
        (grey(32, 32), found(BOX, masks=masks_to_rle(np.ones((1, 64, 64), bool))), "the image's size"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, detections, rule):
    with pytest.raises(UsageError, match=rule):
        draw_detections(image, detections, NAMES)


def test_a_sheet_has_rows_and_opens_from_its_uri():
    pictures = [Image.new("RGB", size, colour) for size, colour in (((20, 10), "red"), ((16, 30), "blue"))]
    pictures.append(Image.new("RGB", (12, 12), "lime"))
    head, _, text = data_uri(contact_sheet(pictures, 2)).partition(",")
    assert head == "data:image/png;base64"
    sheet = Image.open(io.BytesIO(base64.b64decode(text)))
    assert sheet.size == (48, 50)
    places = [(0, 0), (19, 9), (28, 29), (11, 49), (20, 0), (0, 12)]
    colours = [(255, 0, 0), (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 255), (255, 255, 255)]
    assert [sheet.getpixel(place) for place in places] == colours


def test_an_empty_sheet_is_refused():
    with pytest.raises(UsageError, match="at least one picture"):
        contact_sheet([], 2)
