"""Reads images and objects from JSON files in the format of COCO."""

from typing import Any

import numpy as np

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.broken import BrokenAnnotations
from simsiam_tf.data.objects.coco_file import CocoFile, read_content
from simsiam_tf.data.objects.flat import Annotations, sort_into_images
from simsiam_tf.data.objects.headers import with_sizes
from simsiam_tf.data.objects.masks import Mask, read_mask
from simsiam_tf.data.sources import Source
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_file, is_folder, printable, user_path

# If so many images of a set are not there, the folder is a wrong one.
_LOOKED_FOR = 10
# No image that can be read has a longer side, in pixels.
_LONGEST = 2**31


def open_coco(
    config: DetectionDataConfig, annotations: str, folder: str, name: str, masks: bool = True
) -> AnnotatedImages:
    """Opens the images that a JSON file in the format of COCO describes.

    Args:
        config: the settings of the data set.
        annotations: the path of the JSON file.
        folder: the path of the folder that the names of its images are relative to.
        name: the name of the set, for messages and records.
        masks: whether the masks are read, if there are any.

    Raises:
        UsageError: if the file or the folder is missing or cannot be used, or too many annotations are broken.
    """
    root = user_path(folder)
    check(is_folder(root), "The folder of the images of a COCO set must exist.", folder)
    content = read_content(annotations)
    categories, images = content.categories, content.images
    files = [root / image["file_name"] for image in images]
    if images and not any(map(is_file, files[:_LOOKED_FOR])):
        raise UsageError(
            f"The folder of the images must hold those that {annotations} names; give it by --data_dir, or by "
            f"--eval_dir. Received: {folder}, which has no {printable(images[0]['file_name'])}."
        )
    names = [image["file_name"] for image in images]
    unreadable = UnreadableImages(name, config.max_bad_fraction)
    encoded = FolderImages(root, files, unreadable, config.pixels, names)
    sizes = with_sizes(encoded, [_size(image) for image in images])
    broken = BrokenAnnotations(name, config.max_bad_fraction)
    reader = _Reader(content, names, sizes, broken, masks)
    found = reader.read()
    image_ids = [image["id"] for image in images]
    objects = sort_into_images(found, sizes, image_ids, reader.place, broken, num_classes=len(categories))
    broken.check(len(content.annotations))
    source = Source(name, len(images), None, 0, encoded)
    classes = tuple(category["name"] for category in categories)
    ids = tuple(category["id"] for category in categories)
    return AnnotatedImages(source, objects, classes, found.masks is not None, ids, broken.lines)


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    if type(height) is not int or type(width) is not int:
        return None
    return (height, width) if 0 < min(height, width) <= max(height, width) < _LONGEST else None


class _Reader:
    """Reads the annotations of a file one by one."""

    def __init__(
        self,
        content: CocoFile,
        names: list[str],
        sizes: list[tuple[int, int] | None],
        broken: BrokenAnnotations,
        masks: bool,
    ) -> None:
        self._content, self._names, self._sizes, self._broken = content, names, sizes, broken
        self._positions = {image["id"]: i for i, image in enumerate(content.images)}
        self._classes = {category["id"]: i for i, category in enumerate(content.categories)}
        self._has_masks = masks and any(_has_mask(entry) for entry in content.annotations)

    def place(self, position: int, number: int) -> str:
        """Returns the name of an image and of one of its annotations."""
        return f"{self._names[position]}, annotation {number}"

    def read(self) -> Annotations:
        """Returns the annotations, but for those that cannot be read."""
        rows = []
        for place, entry in enumerate(self._content.annotations):
            try:
                rows.append(self._row(place, entry))
            except _BrokenError as error:
                position = self._positions.get(_hashable(entry.get("image_id")))
                image = "no image" if position is None else self._names[position]
                self._broken.add(f"{image}, annotation {entry.get('id', place)}", *error.args)
        rows.sort(key=lambda row: row[0])
        columns: list[Any] = list(zip(*rows, strict=True)) if rows else [()] * 7
        image, boxes, classes, crowd, areas, ids, masks = columns
        return Annotations(
            np.array(image, np.int64),
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array(classes, np.int64),
            np.array(crowd, bool),
            difficult=np.zeros(len(rows), bool),
            areas=np.array(areas, np.float64),
            ids=np.array(ids, np.int64),
            masks=masks if self._has_masks else None,
        )

    def _row(self, place: int, entry: dict[str, Any]) -> tuple[Any, ...]:
        position = self._positions.get(_hashable(entry.get("image_id")))
        if position is None:
            reason = f"its image_id {entry.get('image_id')!r} is that of no image"
            raise _BrokenError(reason, "unknown image")
        number = self._classes.get(_hashable(entry.get("category_id")))
        if number is None:
            raise _BrokenError(f"its category_id {entry.get('category_id')!r} is that of no category", "unknown class")
        box = entry.get("bbox")
        if not (isinstance(box, list) and len(box) == 4 and all(type(value) in (int, float) for value in box)):
            raise _BrokenError("it has no bbox of four numbers", "no box")
        mask: Mask | None = None
        if self._has_masks:
            try:
                mask = read_mask(entry.get("segmentation"), self._sizes[position])
            except ValueError as error:
                raise _BrokenError(str(error), "mask") from None
        try:
            x, y, width, height = map(float, box)
            area = float(entry["area"]) if type(entry.get("area")) in (int, float) else float("nan")
        except OverflowError:
            raise _BrokenError("it has a number that is too large", "not finite") from None
        own, crowd = entry.get("id"), entry.get("iscrowd", 0)
        if type(crowd) not in (int, bool) or crowd not in (0, 1):
            raise _BrokenError(f"its iscrowd {crowd!r} is neither 0 nor 1", "iscrowd")
        own = own if type(own) is int and abs(own) < 2**63 else place
        return position, (x, y, x + width, y + height), number, bool(crowd), area, own, mask


class _BrokenError(Exception):
    """Says why an annotation cannot be read, and the kind of the reason."""


def _has_mask(entry: dict[str, Any]) -> bool:
    return bool(entry.get("segmentation"))


def _hashable(value: Any) -> Any:
    return value if type(value) is int else None
