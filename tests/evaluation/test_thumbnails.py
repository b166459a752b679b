import numpy as np

from simsiam_tf.evaluation.thumbnails import contact_sheet


def test_rows_of_smaller_images_keep_to_the_columns():
    """As SwAV's small views do, below the large ones."""
    large, small = (np.full((3, side, side, 3), level, np.uint8) for side, level in ((96, 10), (40, 20)))
    sheet = contact_sheet([[large, small]])
    starts = [
        np.flatnonzero(np.diff((row == level).astype(int), prepend=0) == 1)
        for row, level in ((sheet[0, :, 0], 10), (sheet[-10, :, 0], 20))
    ]
    assert len(starts[0]) == 3
    np.testing.assert_array_equal(*starts)
