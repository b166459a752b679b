import numpy as np
import pytest
from pycocotools import mask as coco_mask

from simsiam_tf.data.objects.masks import Runs, draw_masks, read_mask, runs_of
from tests.data.objects.coco_files import content, open_coco_files


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[1, 2, 3]], "no list of pairs of numbers"),
        ([[1, 2, 3, float("inf"), 4, 5]], "that is not finite"),
        ([[1, 2, 3, float("nan"), 4, 5]], "that is not finite"),
        ([["a", "b"]], "no list of outlines"),
        ([[1, 1, 9, 9]], "its mask is empty"),
        ([[1, 1, 9, 9, 1, 1]], "its mask is empty"),
        ([[1, 1, 9e6, 9, 1, 9]], "far beyond the image"),
        ({"counts": [2400]}, "no size"),
        ({"size": [60, 40], "counts": [0, 2400]}, "of 40 x 60 pixels, and the image of 60 x 40"),
        ({"size": [40, 60], "counts": [2400]}, "its mask is empty"),
        ({"size": [40, 60], "counts": [0, 2401]}, "do not fill the image"),
        ({"size": [40, 60], "counts": [3000, -600]}, "do not fill the image"),
        ({"size": [40, 60], "counts": ""}, "do not fill the image"),
        ({"size": [40, 60], "counts": "0" * 50}, "do not fill the image"),
        ({"size": [40, 60], "counts": "oo"}, "cannot be read"),
        ({"size": [40, 60], "counts": "\x01é"}, "cannot be read"),
        ({"size": [40, 60], "counts": None}, "cannot be read"),
    ],
)
def test_broken_masks_are_never_drawn(segmentation, reason, tmp_path):
    broken = content()
    broken["annotations"][0]["segmentation"] = segmentation
    annotated = open_coco_files(tmp_path, broken)
    assert annotated.objects[0].ids.tolist() == [101]
    assert reason in annotated.broken[0]


def test_the_text_of_runs_is_that_of_pycocotools(rng):
    for density in (0.01, 0.5, 0.9):
        pixels = rng.random((37, 53)) < density
        encoded = coco_mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
        for counts in (encoded["counts"], encoded["counts"].decode()):
            mask = read_mask({"size": [37, 53], "counts": counts}, (37, 53))
            assert isinstance(mask, Runs)
            np.testing.assert_array_equal(mask.lengths, runs_of(pixels).lengths)
            np.testing.assert_array_equal(draw_masks([mask], (37, 53), (37, 53))[0], pixels)
