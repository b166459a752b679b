"""Draws detections and true objects on images, and arranges the pictures in a sheet."""

import base64
import colorsys
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from simsiam_tf.detection.scores.masks import rle_to_masks
from simsiam_tf.detection.scores.records import Detections, TrueObjects
from simsiam_tf.errors import check
from simsiam_tf.evaluation.detection.labels import Colour, Labels

VISIBLE = 512  # pixels; smaller images are enlarged, by a whole factor, to at most this side
_GAP = 8  # white pixels between the pictures of a sheet
_OPACITY = 0.45  # of masks
_DASH = 6  # pixels
_GOLDEN = 0.618034  # hues in steps of the golden section stay apart for any number of classes


def draw_detections(
    image: np.ndarray,
    detections: Detections,
    class_names: Sequence[str],
    truth: TrueObjects | None = None,
    min_score: float = 0.5,
    longest: int | None = None,
) -> Image.Image:
    """Draws boxes, masks, class names and scores on an image.

    Each class has its colour. The box of a better detection lies above those of others. True objects have dashed boxes
    in black and white, with their names below. Names move up or down where they would cover each other. Small images
    are enlarged without smoothing.

    Args:
        image: `[H, W, 3] uint8`, the image in whose pixels the boxes are given.
        detections: the detections. Their masks are drawn if they have any.
        class_names: the name of each class.
        truth: the true objects of the image; `None` draws none.
        min_score: the score from which on detections are drawn.
        longest: the longer side of the picture at most, pixels. `None` keeps the size of a large image.

    Returns:
        The picture. Text has a readable size whatever the size of the image.

    Raises:
        UsageError: if the image is of another kind, a class has no name, or masks have another size than the image.

    Example:
        >>> found = Detections(np.array([[2.0, 2.0, 9.0, 9.0]]), np.array([0.9]), np.array([0]))
        >>> draw_detections(np.zeros((16, 16, 3), np.uint8), found, ["cat"]).size
        (512, 512)
    """
    _check_image(image)
    check(longest is None or longest > 0, "longest must be a positive number of pixels.", longest)
    numbers = [*detections.classes, *(truth.classes if truth is not None else ())]
    highest = max(map(int, numbers), default=-1)
    check(highest < len(class_names), "class_names must have a name for each class.", f"class {highest}")
    order = np.argsort(detections.scores, kind="stable")  # the best last, above the others
    shown = [int(i) for i in order if detections.scores[i] >= min_score]
    picture = _resized(_with_masks(image, detections, shown), longest)
    scale = np.array([picture.width / image.shape[1], picture.height / image.shape[0]] * 2)
    draw, longer = ImageDraw.Draw(picture), max(picture.size)
    boxes, width = detections.boxes * scale, max(2, round(longer / 350))
    labels = Labels(picture, max(12, round(longer / 65)))
    for i in shown:
        draw.rectangle(_corners(boxes[i], picture), outline=class_colour(int(detections.classes[i])), width=width)
    true_boxes = truth.boxes * scale if truth is not None else ()
    for box in true_boxes:
        _draw_dashed(draw, _corners(box, picture), max(1, width // 2))
    true_names = [] if truth is None else [_true_name(truth, i, class_names) for i in range(len(truth))]
    for i in reversed(shown):
        label, (x, y) = int(detections.classes[i]), boxes[i, :2]
        labels.write((x, y - labels.height), f"{class_names[label]} {detections.scores[i]:.2f}", class_colour(label))
    for name, box in zip(true_names, true_boxes, strict=True):
        labels.write((box[0], box[3]), name, (0, 0, 0))
    return picture


def contact_sheet(pictures: Sequence[Image.Image], columns: int) -> bytes:
    """Arranges pictures side by side, in rows.

    Args:
        pictures: one or more pictures, of any sizes.
        columns: the number of pictures in a row.

    Returns:
        The sheet as a PNG file, for `data_uri` or a file.

    Raises:
        UsageError: if there is no picture or no column.

    Example:
        >>> contact_sheet([Image.new("RGB", (20, 10))] * 3, columns=2)[1:4]
        b'PNG'
    """
    check(len(pictures) > 0, "A sheet needs at least one picture.", len(pictures))
    check(columns > 0, "columns must be positive.", columns)
    columns = min(columns, len(pictures))
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    width = max(picture.width for picture in pictures) + _GAP
    heights = [max(picture.height for picture in row) + _GAP for row in rows]
    sheet = Image.new("RGB", (columns * width - _GAP, sum(heights) - _GAP), "white")
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            sheet.paste(picture, (column * width, sum(heights[:number])))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def data_uri(png: bytes) -> str:
    """Returns a PNG file as a data URI, which a page holds in the `src` of an `<img>`."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def class_colour(number: int) -> Colour:
    """Returns the colour of a class: red, green and blue from 0 to 255."""
    level = (1.0, 0.85, 0.7)[number % 3]
    red, green, blue = colorsys.hsv_to_rgb((0.6 + number * _GOLDEN) % 1.0, 0.8, level)
    return round(255 * red), round(255 * green), round(255 * blue)


def _check_image(image: np.ndarray) -> None:
    is_image = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size > 0
    check(is_image, "An image must be [H, W, 3] uint8.", f"{image.shape} {image.dtype}")


def _with_masks(image: np.ndarray, detections: Detections, shown: Sequence[int]) -> np.ndarray:
    """Returns the image, tinted where masks are."""
    if detections.masks is None:
        return image
    tinted = image.astype(np.float32)
    height, width = image.shape[:2]
    for i in shown:
        (mask,) = rle_to_masks([detections.masks[i]], (height, width))
        colour = np.array(class_colour(int(detections.classes[i])), np.float32)
        tinted[mask] += _OPACITY * (colour - tinted[mask])
    return np.round(tinted).astype(np.uint8)


def _resized(image: np.ndarray, longest: int | None) -> Image.Image:
    picture, longer = Image.fromarray(image), max(image.shape[:2])
    if longest is not None and longer > longest:
        size = [max(1, round(side * longest / longer)) for side in picture.size]
        return picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    zoom = max(1, min(VISIBLE, longest or VISIBLE) // longer)
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)


def _corners(box: np.ndarray, picture: Image.Image) -> tuple[int, int, int, int]:
    """Returns the first and the last column and row of a box, inside the picture."""
    x1, y1 = (int(np.clip(np.floor(v), 0, side - 1)) for v, side in zip(box[:2], picture.size, strict=True))
    x2, y2 = (int(np.clip(np.ceil(v) - 1, 0, side - 1)) for v, side in zip(box[2:], picture.size, strict=True))
    return x1, y1, max(x1, x2), max(y1, y2)


def _draw_dashed(draw: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], width: int) -> None:
    """Draws white dashes on a black line, which can be seen on any colour."""
    x1, y1, x2, y2 = corners
    draw.rectangle(corners, outline="black", width=width)
    inner = width - 1
    for x in range(x1, x2 + 1, 2 * _DASH):
        end = min(x + _DASH - 1, x2)
        draw.rectangle((x, y1, end, min(y1 + inner, y2)), fill="white")
        draw.rectangle((x, max(y2 - inner, y1), end, y2), fill="white")
    for y in range(y1, y2 + 1, 2 * _DASH):
        end = min(y + _DASH - 1, y2)
        draw.rectangle((x1, y, min(x1 + inner, x2), end), fill="white")
        draw.rectangle((max(x2 - inner, x1), y, x2, end), fill="white")


def _true_name(truth: TrueObjects, i: int, class_names: Sequence[str]) -> str:
    marks = [mark for mark, is_marked in (("crowd", truth.crowd[i]), ("difficult", truth.difficult[i])) if is_marked]
    return " ".join([class_names[int(truth.classes[i])], *(f"({mark})" for mark in marks)])
