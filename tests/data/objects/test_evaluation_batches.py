import numpy as np
from PIL import Image

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.pipeline import detection_batches, evaluation_batches
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.distribute.input import Share
from tests.data.objects.coco_files import content, open_coco_files

RECIPE = Recipe((32, 48, 64), long_side=90, eval_short_side=40)


def test_every_readable_image_is_shown_once_in_order(tmp_path):
    every = open_coco_files(tmp_path, content(), max_bad_fraction=0.6)
    (tmp_path / "images/5.png").unlink()
    found = list(evaluation_batches(every, RECIPE, 3).as_numpy_iterator())
    assert [batch["index"].tolist() for batch in found] == [[0, 2], [3]]
    assert found[0]["sizes"].tolist() == [[40, 60], [40, 40]]
    assert found[0]["images"].shape == (2, 64, 64, 3)
    file = Image.open(tmp_path / "images/11.png").resize((64, 40), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found[1]["images"][0, :40, :64], np.asarray(file))


def test_images_in_memory_are_read_too():
    annotated = open_annotated(DetectionDataConfig(dataset="made"), "eval", 6)
    recipe = Recipe((96, 128), 200, 128)
    (batch,) = detection_batches(annotated, ShuffledOrder(6, 6, 0), recipe, Share(6), 0, 1).as_numpy_iterator()
    assert batch["images"].shape == (6, 128, 128, 3)
    assert set(batch["sizes"].reshape(-1)) <= {96, 128}
    (shown,) = evaluation_batches(annotated, recipe, 8).as_numpy_iterator()
    np.testing.assert_array_equal(shown["images"], annotated.source.images[:6])


def test_batches_of_one_canvas_have_a_known_size(tmp_path):
    every = open_coco_files(tmp_path, content())
    dataset = evaluation_batches(every, Recipe((32,), 90, 40, canvases="one"), 2)
    assert dataset.element_spec["images"].shape.as_list() == [None, 64, 64, 3]
    assert [batch["images"].shape for batch in dataset.as_numpy_iterator()] == [(2, 64, 64, 3)] * 2
