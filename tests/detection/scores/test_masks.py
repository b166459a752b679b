import json

import numpy as np
import pytest

from simsiam_tf.detection.scores.masks import masks_to_rle, rle_to_masks
from simsiam_tf.errors import UsageError


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_masks_come_back(rng, layout):
    masks = layout(rng.random((3, 5, 7)) > 0.5)
    encoded = masks_to_rle(masks)
    np.testing.assert_array_equal(rle_to_masks(encoded, (5, 7)), masks)
    assert [mask["size"] for mask in encoded] == [[5, 7]] * 3


def test_runs_go_down_the_columns():
    mask = np.zeros((1, 3, 2), bool)
    mask[0, :, 1] = True  # three zeros, then three ones; a character is the number of the run plus 48
    assert masks_to_rle(mask)[0]["counts"] == b"33"


def test_counts_may_be_text_from_json(rng):
    masks = rng.random((1, 4, 4)) > 0.5
    (mask,) = masks_to_rle(masks)
    text = json.loads(json.dumps(mask | {"counts": mask["counts"].decode("ascii")}))
    np.testing.assert_array_equal(rle_to_masks([text], (4, 4)), masks)


def test_no_masks():
    assert masks_to_rle(np.zeros((0, 4, 5), bool)) == []
    assert rle_to_masks([], (4, 5)).shape == (0, 4, 5)


def test_other_arrays_and_sizes_are_refused():
    with pytest.raises(UsageError, match="must be truth values"):
        masks_to_rle(np.full((1, 4, 5), 0.7))
    with pytest.raises(UsageError, match=r"must be an array \[n, H, W\]"):
        masks_to_rle(np.zeros((4, 5), bool))
    with pytest.raises(UsageError, match="must have the image's size"):
        rle_to_masks(masks_to_rle(np.ones((1, 4, 5), bool)), (5, 4))
