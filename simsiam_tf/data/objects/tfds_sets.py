"""Opens images with objects from TensorFlow Datasets (TFDS)."""

import dataclasses
import re
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.features import feature_at
from simsiam_tf.data.index import kept
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.broken import BrokenAnnotations
from simsiam_tf.data.objects.flat import Annotations, sort_into_images
from simsiam_tf.data.objects.headers import size_in_bytes
from simsiam_tf.data.records import Records
from simsiam_tf.data.sources import Source
from simsiam_tf.data.tfds import RecordImages, TFDSImages
from simsiam_tf.data.tfds_index import find_records, stamp_of
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import check
from simsiam_tf.files import as_path

# The data sets whose boxes TFDS takes from XML files as they are: the first pixel is 1 there, and reaches from 0 to 1.
_COUNTED_FROM_1 = frozenset({"voc"})
_IMAGE, _OBJECTS = "image", "objects"


def open_tfds(config: DetectionDataConfig, split: str) -> AnnotatedImages:
    """Opens a split of a data set of TFDS whose examples have an image and a sequence of objects.

    TFDS gives neither the masks nor the category numbers of COCO; its classes are numbered in their order.

    Args:
        config: the settings of the data set.
        split: the name of the split.

    Raises:
        UsageError: if there is no such data set or split, it has no objects, or too many annotations are broken.
    """
    images, name = TFDSImages(config.images), f"{config.dataset}/{split}"
    count = images.count(split)
    classes = _classes(images.builder, config.dataset)
    records = find_records(images.builder, split, config.images, "", None).records
    reader = _Reader(images.builder, records, config.pixels)
    key = re.sub(r"[^A-Za-z0-9_-]+", "_", f"objects-{split}-{config.exif}")
    folder = as_path(str(images.builder.data_path))
    stamp = {**stamp_of(images.builder, folder, split), "split": split, "max_pixels": config.max_pixels}
    arrays = kept(key, folder, config.images, stamp, reader.read_all, _fits)
    unreadable = UnreadableImages(name, config.max_bad_fraction)
    encoded = RecordImages(images.builder, records, _IMAGE, None, unreadable, config.pixels)
    broken = BrokenAnnotations(name, config.max_bad_fraction)
    columns: dict[str, Any] = {field.name: arrays.get(field.name) for field in dataclasses.fields(Annotations)}
    found = Annotations(**columns)
    known = [(height, width) if height else None for height, width in arrays["sizes"].tolist()]
    objects = sort_into_images(
        found,
        known,
        arrays["image_ids"].tolist(),
        lambda i, n: f"example {i}, object {n}",
        broken,
        num_classes=len(classes),
    )
    broken.check(len(found.image))
    source = Source(name, count, None, 0, encoded)
    return AnnotatedImages(source, objects, classes, False, tuple(range(len(classes))), broken.lines)


def _fits(arrays: dict[str, np.ndarray]) -> bool:
    """Returns whether arrays of an index have the shapes and types of those that `_Reader.read_all` returns."""
    count, images = len(arrays["image"]), len(arrays["sizes"])
    kinds = {"image": "i", "boxes": "f", "classes": "i", "crowd": "b", "difficult": "b", "areas": "f", "ids": "i"}
    kinds |= {"sizes": "i", "image_ids": "i"}
    shapes = {"boxes": (count, 4), "sizes": (images, 2), "image_ids": (images,)}
    is_right = all(
        arrays[name].dtype.kind == kind and arrays[name].shape == shapes.get(name, (count,))
        for name, kind in kinds.items()
    )
    image = arrays["image"]
    return is_right and bool((np.diff(image, prepend=0) >= 0).all()) and image.max(initial=-1) < images


def _classes(builder: Any, dataset: str) -> tuple[str, ...]:
    """Checks that the examples have the features that are read, and returns the names of the classes."""
    features = builder.info.features
    image = feature_at(features, _IMAGE)
    is_image = type(image).__name__ == "Image" and image.np_dtype == np.uint8
    check(is_image, "A TFDS set with objects must have a feature image of 8 bits.", dataset)
    things: Any = getattr(features[_OBJECTS], "feature", {}) if _OBJECTS in features else {}
    is_known = hasattr(things, "keys") and {"bbox", "label"} <= set(things.keys())
    received = f"{dataset}, whose features are {', '.join(features)}"
    check(is_known, "A TFDS set with objects must have a sequence objects with bbox and label.", received)
    count = getattr(things["label"], "num_classes", None)
    check(bool(count), "The labels of the objects of a TFDS set must be classes.", dataset)
    return tuple(things["label"].names[:count])


class _Reader:
    """Reads the objects of all records of a split."""

    def __init__(self, builder: Any, records: Records, pixels: Pixels) -> None:
        self._records, self._pixels = records, pixels
        self._first = 1.0 if builder.name in _COUNTED_FROM_1 else 0.0

    def read_all(self) -> dict[str, np.ndarray]:
        """Returns the arrays of `Annotations` by name, `sizes` `[N, 2]`, 0 where unknown, and `image_ids` `[N]`."""
        rows = [self._read(position) for position in range(len(self._records))]
        return {
            name: np.stack(part) if name in ("sizes", "image_ids") else np.concatenate(part)
            for name in rows[0]
            for part in [[row[name] for row in rows]]
        }

    def _read(self, position: int) -> dict[str, np.ndarray]:
        features = tf.train.Example.FromString(self._records[position]).features.feature
        size = size_in_bytes(features[_IMAGE].bytes_list.value[0], self._pixels)
        labels = np.array(features[f"{_OBJECTS}/label"].int64_list.value, np.int64)
        count = len(labels) if size else 0  # the boxes of an image that cannot be read are parts of an unknown size

        def whole(name: str, otherwise: int = 0) -> np.ndarray:
            values = np.array(features[f"{_OBJECTS}/{name}"].int64_list.value, np.int64)
            return values[:count] if len(values) == len(labels) else np.full(count, otherwise)

        parts = np.array(features[f"{_OBJECTS}/bbox"].float_list.value, np.float64).reshape(-1, 4)[:count]
        height, width = size or (0, 0)
        boxes = parts[:, [1, 0, 3, 2]] * [width, height, width, height]
        boxes[:, :2] -= self._first
        own = features["image/id"].int64_list.value
        return {
            "image": np.full(count, position),
            "boxes": boxes,
            "classes": labels[:count],
            "crowd": whole("is_crowd") != 0,
            "difficult": whole("is_difficult") != 0,
            "areas": np.where((areas := whole("area", -1)) < 0, np.nan, areas),
            "ids": whole("id", -1) if len(features[f"{_OBJECTS}/id"].int64_list.value) else np.arange(count),
            "sizes": np.array([height, width], np.int64),
            "image_ids": np.array(own[0] if own else position, np.int64),
        }
