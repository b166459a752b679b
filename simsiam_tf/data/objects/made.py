"""Opens the built-in images with objects. Their boxes and masks are those of the pixels that are seen."""

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages, Objects
from simsiam_tf.data.objects.masks import runs_of
from simsiam_tf.data.scenes import CLASS_NAMES, SPLIT_SIZES, make_scenes
from simsiam_tf.data.sources import memory_source, open_source


def open_made(split: str, count: int = 0) -> AnnotatedImages:
    """Opens a split of the built-in images with objects.

    Args:
        split: the name of the split, `train` or `test`.
        count: the number of images, the first ones; 0: all. The others are not drawn.

    Raises:
        UsageError: if there is no such split.

    Example:
        annotated = open_made("test")
        annotated.objects[0].boxes
    """
    if not 0 < count < SPLIT_SIZES.get(split, 0):
        source, scenes = open_source(DataConfig(dataset="made"), split), make_scenes(split)
    else:
        scenes = make_scenes(split, count)
        source = memory_source(f"made/{split}", scenes.images, None)
    objects = [
        _objects(owners, classes[classes >= 0], i)
        for i, (owners, classes) in enumerate(zip(scenes.owners, scenes.classes, strict=True))
    ]
    return AnnotatedImages(source, objects, CLASS_NAMES, True, tuple(range(len(CLASS_NAMES))))


def _objects(owners: np.ndarray, classes: np.ndarray, position: int) -> Objects:
    masks = [owners == number + 1 for number in range(len(classes))]
    boxes = [[f(axis) + (f is np.max) for f in (np.min, np.max) for axis in np.nonzero(mask)[::-1]] for mask in masks]
    count = len(classes)
    return Objects(
        np.array(boxes, np.float64).reshape(-1, 4),
        classes,
        crowd=np.zeros(count, bool),
        difficult=np.zeros(count, bool),
        areas=np.array([mask.sum() for mask in masks], np.float64),
        ids=np.arange(count),
        masks=tuple(map(runs_of, masks)),
        size=(owners.shape[0], owners.shape[1]),
        image_id=position,
    )
