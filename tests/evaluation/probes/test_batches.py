import numpy as np

from simsiam_tf.evaluation.probes.batches import Rebatcher


def test_rebatcher_keeps_the_order_and_holds_the_rest():
    held, batches = Rebatcher(5), []
    for i in range(0, 12, 3):
        batches += [features.tolist() for features, _ in held.add(np.arange(i, i + 3), np.arange(i, i + 3))]
    assert batches == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
