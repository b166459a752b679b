"""Opens images and objects in the layout of VOC: folders of JPEG files and XML files, and lists of the splits."""

import numpy as np

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.broken import BrokenAnnotations
from simsiam_tf.data.objects.flat import Annotations, sort_into_images
from simsiam_tf.data.objects.headers import with_sizes
from simsiam_tf.data.objects.voc_files import (
    AnnotationFile,
    ImageOfSplit,
    has_years,
    images_of_split,
    read_annotation,
)
from simsiam_tf.data.sources import Source
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.files import user_path

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def open_voc(config: DetectionDataConfig, split: str) -> AnnotatedImages:
    """Opens a split of a set in the layout of VOC.

    An image whose XML file is broken is left out, because its objects are not known.

    Args:
        config: the settings of the data set.
        split: the name of the split, such as `2007_trainval+2012_trainval`.

    Raises:
        UsageError: if there is no such split, or too many annotations are broken.
    """
    root, name = user_path(config.data_dir), f"voc/{split}"
    broken = BrokenAnnotations(name, config.max_bad_fraction)
    listed = images_of_split(root, split)
    read = {image: found for image in listed if (found := _read(image, broken)) is not None}
    classes = config.class_names or (VOC_CLASSES if has_years(split) else _classes_to_train(config))
    files = [image.folder / "JPEGImages" / f"{image.name}{found.ending}" for image, found in read.items()]
    names = [file.relative_to(root).as_posix() for file in files]
    encoded = FolderImages(root, files, UnreadableImages(name, config.max_bad_fraction), config.pixels, names)
    sizes = with_sizes(encoded, [found.size for found in read.values()])

    def place(position: int, number: int) -> str:
        return f"{names[position]}, object {number + 1}"

    rows = []
    for position, found in enumerate(read.values()):
        for number, thing in enumerate(found.objects):
            if thing.box is None:
                broken.add(place(position, number), "it has no box of four numbers", "no box")
            elif thing.name not in classes:
                broken.add(place(position, number), f"{thing.name!r} is no class (--class_names)", "unknown class")
            else:
                rows.append((position, thing.box, classes.index(thing.name), thing.difficult, number))
    objects = sort_into_images(_annotations(rows), sizes, range(len(files)), place, broken, num_classes=len(classes))
    broken.check(sum(len(found.objects) for found in read.values()) + len(listed) - len(read))
    if not files:
        raise UsageError(f"An image of a split of VOC must have an XML file that can be read. Received: {name}.")
    source = Source(name, len(files), None, 0, encoded)
    return AnnotatedImages(source, objects, tuple(classes), False, tuple(range(len(classes))), broken.lines)


def _read(image: ImageOfSplit, broken: BrokenAnnotations) -> AnnotationFile | None:
    try:
        return read_annotation(image.annotation)
    except OSError as error:
        broken.add(str(image.annotation), error.strerror or str(error), "file")
    except ValueError as error:
        broken.add(str(image.annotation), str(error), "file")
    return None


def _classes_to_train(config: DetectionDataConfig) -> tuple[str, ...]:
    """Returns the names of the classes in the XML files to train on, sorted."""
    split, found = config.split("train"), set()
    unused = BrokenAnnotations(f"voc/{split}", config.max_bad_fraction)
    for image in images_of_split(user_path(config.data_dir), split):
        annotation = _read(image, unused)
        found |= {thing.name for thing in annotation.objects} if annotation else set()
    return tuple(sorted(found - {""}))


def _annotations(rows: list[tuple]) -> Annotations:
    position, boxes, classes, difficult, numbers = zip(*rows, strict=True) if rows else ((),) * 5
    return Annotations(
        np.array(position, np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(classes, np.int64),
        crowd=np.zeros(len(rows), bool),
        difficult=np.array(difficult, bool),
        areas=np.full(len(rows), np.nan),
        ids=np.array(numbers, np.int64),
    )
