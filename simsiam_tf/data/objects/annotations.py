"""Defines the objects of an image, and sets of images with objects."""

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Sequence

import numpy as np

from simsiam_tf.data.objects.masks import Mask, mask_bytes
from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import printable

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """Holds the n objects of an image, in pixels of the image as it is stored, or turned upright if --exif says so.

    Attributes:
        boxes: left, top, right and bottom edges, `[n, 4] float64`. A pixel is a square with sides of length 1.
        classes: the numbers of the classes, `[n] int64`, from 0.
        crowd: whether a box is around many objects that were not told apart, `[n] bool`.
        difficult: whether an evaluation of VOC leaves the object out, `[n] bool`.
        areas: the areas in pixels by which an evaluation tells small objects from large ones, `[n] float64`.
        ids: the numbers of the annotations in their file, or their places among those of the image, `[n] int64`.
        masks: the mask of each object, as its file has it; `None` if the set has no masks.
        size: the height and width of the image; `None` if the image cannot be read and its annotation has none.
        image_id: the number of the image in the file of annotations, or its position.
    """

    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    areas: np.ndarray
    ids: np.ndarray
    masks: tuple[Mask, ...] | None
    size: tuple[int, int] | None
    image_id: int

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def num_to_train(self) -> int:
        """Counts the objects to train on."""
        return int(np.count_nonzero(~self.crowd))

    def to_train(self) -> "Objects":
        """Returns the objects to train on: all but crowds. Difficult objects are among them, as in Detectron2."""
        return self.select(~self.crowd) if self.crowd.any() else self

    def select(self, chosen: np.ndarray) -> "Objects":
        """Returns some of the objects, in this order.

        Args:
            chosen: whether an object is taken, `[n] bool`, or the places of those that are.
        """
        places = np.arange(len(self))[chosen]
        names = ("boxes", "classes", "crowd", "difficult", "areas", "ids")
        arrays = {name: getattr(self, name)[places] for name in names}
        masks = None if self.masks is None else tuple(self.masks[i] for i in places)
        return dataclasses.replace(self, **arrays, masks=masks)


@dataclasses.dataclass(frozen=True, eq=False)
class AnnotatedImages:
    """Holds images with objects.

    Attributes:
        source: the N images, which have no labels.
        objects: the objects of each image, by position.
        classes: the names of the K classes, by number.
        has_masks: whether the objects have masks.
        category_ids: the number that each class has in the file of annotations, for results in its numbering.
        broken: the annotations that were left out: the place and the reason of each, a line each.
    """

    source: Source
    objects: Sequence[Objects]
    classes: tuple[str, ...]
    has_masks: bool
    category_ids: tuple[int, ...]
    broken: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.objects)

    @functools.cached_property
    def max_objects(self) -> int:
        """Returns the largest number of objects to train on in an image."""
        return max((objects.num_to_train for objects in self.objects), default=0)

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Returns the height and width of each image, `[N, 2] int64`; 1 and 1 if the size is unknown."""
        return np.array([objects.size or (1, 1) for objects in self.objects], np.int64).reshape(-1, 2)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Returns a string that identifies the images, their order and their annotations.

        A set that was moved has the same one: of image files it knows the names relative to their folder.
        """
        digest = hashlib.sha256(repr((self.classes, self.category_ids, self.has_masks)).encode())
        for objects in self.objects:
            digest.update(repr((objects.size, objects.image_id, len(objects))).encode())
            for array in (objects.boxes, objects.classes, objects.crowd, objects.difficult, objects.areas, objects.ids):
                digest.update(array.tobytes())
            for mask in objects.masks or ():
                digest.update(mask_bytes(mask))
        files = self.source.files
        if files is not None and files.are_files:
            names = "\n".join(files.name(position) for position in range(len(self)))
            digest.update(names.encode("utf-8", "surrogateescape"))
        return f"{len(self)}:{digest.hexdigest()[:16]}"

    def to_train(self) -> "AnnotatedImages":
        """Returns the images that have an object to train on.

        Raises:
            UsageError: if there is none.
        """
        positions = np.flatnonzero([objects.num_to_train > 0 for objects in self.objects])
        if len(positions) == 0:
            raise UsageError(
                f"An image to train on must have an object that is no crowd. Received: {self.source.name}."
            )
        if len(positions) < len(self):
            left_out = len(self) - len(positions)
            _log.info(f"{left_out} of {len(self)} images of {self.source.name} have no object, and are not trained on.")
        return self.subset(positions)

    def without_masks(self) -> "AnnotatedImages":
        """Returns the images with boxes alone."""
        if not self.has_masks:
            return self
        objects = [dataclasses.replace(found, masks=None) for found in self.objects]
        return dataclasses.replace(self, objects=objects, has_masks=False)

    def subset(self, positions: np.ndarray) -> "AnnotatedImages":
        """Returns the images at some positions `[n]`, in this order."""
        objects = [self.objects[i] for i in positions]
        return dataclasses.replace(self, source=self.source.subset(np.asarray(positions)), objects=objects)

    def first(self, count: int) -> "AnnotatedImages":
        """Returns the first `count` images; all images if `count` is 0 or exceeds their number."""
        return self.subset(np.arange(count)) if 0 < count < len(self) else self

    def numbered_by(self, classes: tuple[str, ...]) -> "AnnotatedImages":
        """Returns the images with the class numbers of others, by the classes' names.

        A class that these images lack gets the category -1.

        Args:
            classes: the names of the classes, by the number to give.

        Raises:
            UsageError: if these images have a class that is not among them.
        """
        if classes == self.classes:
            return self
        number = {name: i for i, name in enumerate(classes)}
        unknown = [printable(name) for name in self.classes if name not in number]
        if unknown:
            raise UsageError(
                f"{self.source.name} must have no class that the images to train on lack. "
                f"Received: {', '.join(unknown[:5])}."
            )
        new = np.array([number[name] for name in self.classes], np.int64)
        objects = [dataclasses.replace(found, classes=new[found.classes]) for found in self.objects]
        known = dict(zip(self.classes, self.category_ids, strict=True))
        category_ids = tuple(known.get(name, -1) for name in classes)
        return dataclasses.replace(self, objects=objects, classes=classes, category_ids=category_ids)
