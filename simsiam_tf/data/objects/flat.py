"""Sorts the annotations of a set into images, and leaves the broken ones out."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from simsiam_tf.data.objects.annotations import Objects
from simsiam_tf.data.objects.broken import BrokenAnnotations
from simsiam_tf.data.objects.masks import Mask

# A box that reaches beyond its image by less is not worth counting.
_CLOSE = 1e-6
# The least side of what is left of a box in its image, pixels: less vanishes in float32.
_LEAST_SIDE = 1e-2


@dataclasses.dataclass(frozen=True, eq=False)
class Annotations:
    """Holds the M annotations of all images of a set, as they were read.

    Attributes:
        image: the position of the image of each, `[M] int64`, which never falls.
        boxes: left, top, right, bottom in pixels, `[M, 4] float64`.
        classes: the numbers of the classes, `[M] int64`.
        crowd: whether a box is around many objects, `[M] bool`.
        difficult: whether the object is marked as difficult, `[M] bool`.
        areas: the areas in pixels, `[M] float64`; that of the box is taken for what is not finite.
        ids: the numbers of the annotations, `[M] int64`.
        masks: the masks; `None` if the set has none.
    """

    image: np.ndarray
    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    areas: np.ndarray
    ids: np.ndarray
    masks: Sequence[Mask] | None = None


def sort_into_images(
    found: Annotations,
    sizes: Sequence[tuple[int, int] | None],
    image_ids: Sequence[int],
    place: Callable[[int, int], str],
    broken: BrokenAnnotations,
    num_classes: int,
) -> list[Objects]:
    """Makes the objects of each image. Broken boxes are left out, and boxes that reach beyond their image cut off.

    Args:
        found: the annotations.
        sizes: the height and width of each image; `None` where it is unknown.
        image_ids: the number of each image.
        place: a function of an image's position and an annotation's number that names them.
        broken: gets the boxes that are left out.
        num_classes: the number of classes.
    """
    edges = np.array([size or (np.inf, np.inf) for size in sizes], np.float64).reshape(-1, 2)[found.image]
    limits = edges[:, [1, 0, 1, 0]]
    clipped = np.clip(found.boxes, 0.0, limits)
    for i, reason, kind in _reasons(found.boxes, limits):
        broken.add(place(int(found.image[i]), int(found.ids[i])), reason, kind)
    is_good = _is_good(found.boxes, clipped)
    for i, reason, kind in _odd_values(found, num_classes, is_good):
        broken.add(place(int(found.image[i]), int(found.ids[i])), reason, kind)
        is_good[i] = False
    broken.num_clipped += int((np.abs(clipped - found.boxes).max(axis=1, initial=0.0) > _CLOSE)[is_good].sum())
    chosen = np.flatnonzero(is_good)
    of_box = (clipped[chosen, 2] - clipped[chosen, 0]) * (clipped[chosen, 3] - clipped[chosen, 1])
    areas = np.where(np.isfinite(found.areas[chosen]), found.areas[chosen], of_box)
    columns = {
        "boxes": clipped[chosen],
        "classes": found.classes[chosen],
        "crowd": found.crowd[chosen],
        "difficult": found.difficult[chosen],
        "areas": areas,
        "ids": found.ids[chosen],
    }
    bounds = np.searchsorted(found.image[chosen], np.arange(len(sizes) + 1))
    objects = []
    for number, (size, image_id) in enumerate(zip(sizes, image_ids, strict=True)):
        part = slice(bounds[number], bounds[number + 1])
        masks = None if found.masks is None else tuple(found.masks[i] for i in chosen[part])
        of_image = {name: column[part] for name, column in columns.items()}
        objects.append(Objects(**of_image, masks=masks, size=size, image_id=int(image_id)))
    return objects


def _is_good(boxes: np.ndarray, clipped: np.ndarray) -> np.ndarray:
    def is_box(array: np.ndarray, least: float) -> np.ndarray:
        sides = array[:, 2:] - array[:, :2]
        return np.isfinite(array).all(axis=1) & (sides > 0).all(axis=1) & (sides >= least).all(axis=1)

    with np.errstate(invalid="ignore"):
        return is_box(boxes, 0.0) & is_box(clipped, _LEAST_SIDE)


def _odd_values(found: Annotations, num_classes: int, is_good: np.ndarray) -> list[tuple[int, str, str]]:
    """Returns the places of good boxes with a class or an area that cannot be, each with the reason and its kind."""
    reasons = []
    for i in np.flatnonzero(is_good & ((found.classes < 0) | (found.classes >= num_classes))):
        reasons.append((int(i), f"its class {found.classes[i]} is not one of the {num_classes}", "unknown class"))
    for i in np.flatnonzero(is_good & (found.areas < 0)):
        reasons.append((int(i), f"its area {found.areas[i]:g} is negative", "negative area"))
    return reasons


def _reasons(boxes: np.ndarray, limits: np.ndarray) -> list[tuple[int, str, str]]:
    """Returns the places of the boxes that cannot be used, each with the reason and its kind."""
    reasons = []
    for i in np.flatnonzero(~_is_good(boxes, np.clip(boxes, 0.0, limits))):
        left, top, right, bottom = boxes[i]
        corners = f"{left:g}, {top:g} to {right:g}, {bottom:g}"
        if not np.isfinite(boxes[i]).all():
            reasons.append((int(i), "its box is not of finite numbers", "not finite"))
        elif right < left or bottom < top:
            reasons.append((int(i), f"its box ends before it begins ({corners})", "inverted box"))
        elif right == left or bottom == top:
            reasons.append((int(i), f"its box is empty ({corners})", "empty box"))
        else:
            width, height = limits[i, :2]
            text = f"its box lies outside of the image ({corners}, in {width:g} x {height:g} pixels)"
            reasons.append((int(i), text, "box outside"))
    return reasons
