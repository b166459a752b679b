import numpy as np

from simsiam_tf.data.objects.order import AspectOrder
from simsiam_tf.data.objects.pipeline import detection_batches
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.distribute.input import Share, dataset_of
from tests.data.objects.coco_files import content, open_coco_files

RECIPE = Recipe((32, 48, 64), long_side=90)


def test_each_replica_gets_its_part_of_the_batch(tmp_path, two_replicas):
    annotated = open_coco_files(tmp_path, content())
    order = AspectOrder(4, 4, seed=1, sizes=annotated.sizes)
    whole = detection_batches(annotated, order, RECIPE, Share(4), 2, 5).as_numpy_iterator()
    found = dataset_of(two_replicas, lambda share: detection_batches(annotated, order, RECIPE, share, 2, 5), 4)
    count = 0
    for batch, parts in zip(whole, found, strict=True):
        for name, array in batch.items():
            np.testing.assert_array_equal(np.concatenate(two_replicas.experimental_local_results(parts[name])), array)
        count += 1
    assert count == 3
