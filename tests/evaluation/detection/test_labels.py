import numpy as np
from PIL import Image

from simsiam_tf.evaluation.detection.labels import Labels


def test_labels_make_room_for_each_other():
    labels = Labels(Image.new("RGB", (200, 200)), 12)
    for _ in range(4):
        labels.write((20, 100), "dining table", (0, 0, 0))
    tops = [top for _, top, _, _ in labels.rectangles]
    assert tops == [100, 100 + labels.height, 100 - labels.height, 100 + 2 * labels.height]


def test_labels_stay_in_the_picture():
    labels = Labels(Image.new("RGB", (100, 60)), 12)
    for place in ((95, 58), (-9, -9)):
        labels.write(place, "cat", (0, 0, 0))
    (_, _, right, low), (left, top, _, _) = labels.rectangles
    assert (right, low, left, top) == (100, 60, 0, 0)


def test_where_there_is_no_room_a_label_covers_another():
    labels = Labels(Image.new("RGB", (40, 14)), 12)
    for _ in range(2):
        labels.write((0, 0), "cat", (0, 0, 0))
    assert labels.rectangles[0] == labels.rectangles[1]


def test_text_contrasts_with_its_ground():
    for ground, text in (((0, 0, 90), 255), ((250, 250, 90), 0)):
        picture = Image.new("RGB", (60, 20))
        Labels(picture, 12).write((0, 0), "cat", ground)
        x1, y1, x2, y2 = (0, 0, 20, 14)
        assert text in np.asarray(picture)[y1:y2, x1:x2, 1]
