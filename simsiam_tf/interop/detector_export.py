"""Writes a detector as a SavedModel or as an ONNX file, and checks each after writing it."""

import contextlib
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from simsiam_tf.config.evaluation import ExportFormat
from simsiam_tf.errors import check
from simsiam_tf.features.metrics import finite
from simsiam_tf.files import (
    adding_to_folder,
    exists,
    is_file,
    parse_json,
    read_regular,
    write_json,
    write_text,
)
from simsiam_tf.interop.detector_formats import (
    DETECTOR_FORMATS,
    DETECTOR_README,
    DetectorFormat,
    ExportedDetector,
    Found,
    layers_of,
)
from simsiam_tf.interop.float32 import float32_layers
from simsiam_tf.interop.packages import check_packages

_log = logging.getLogger(__name__)

CLASSES_FILE = "classes.json"
# Two detections are the same if their boxes differ by less than so much of the image's side, their scores by less than
# this, and their masks in so few of the image's pixels. Sums in another order may tip the scale at a threshold, so that
# a few detections need not be there again.
_BOXES, _SCORES, _MASKS = 1e-3, 1e-3, 1e-3
_LEAST_FOUND_AGAIN = 0.95


def export_detector(
    exported: ExportedDetector, directory: pathlib.Path, formats: Sequence[ExportFormat] = ("savedmodel",)
) -> dict[ExportFormat, str]:
    """Writes a detector in some formats, each whole or not at all, next to those that are there already.

    What is written computes in float32, whatever the detector does, and resizes the images itself. The names of the
    classes stand in `classes.json` beside it. `detector_serving.objects_in` tells what it gives.

    Args:
        exported: the detector, and what goes with it.
        directory: the path of the folder of the export, which may exist.
        formats: the names of the formats, `savedmodel` and `onnx`.

    Returns:
        For each format what was done: how it was checked, or that it was there already.

    Raises:
        UsageError: if a format holds no detectors, a package for it is missing, or the names or sides are wrong.
            Nothing is written then.
        FloatingPointError: if a weight is not finite, or a file finds other objects than the detector.

    Example:
        export_detector(ExportedDetector(detector, ["cat", "dog"]), pathlib.Path("export"))
        detect = tf.saved_model.load("export").signatures["serving_default"]
        boxes = detect(image=tf.constant(photos))["boxes"]
    """
    check_detector_formats(exported, formats)
    for name in formats:
        _check_names(exported, directory / DETECTOR_FORMATS[name].folder / CLASSES_FILE)
    for variable in (variable for layer in layers_of(exported.detector) for variable in layer.variables):
        finite(variable.numpy(), f"weight of {variable.path}")
    with float32_layers():
        exported = exported.in_float32()
        return {name: _export_one(exported, directory, DETECTOR_FORMATS[name]) for name in formats}


def check_detector_formats(exported: ExportedDetector, formats: Sequence[ExportFormat]) -> None:
    """Checks that formats can hold a detector, and that its names and sides fit, before anything is written.

    Args:
        exported: the detector, and what goes with it.
        formats: the names of the formats.

    Raises:
        UsageError: if they do not.
    """
    for name in formats:
        check(
            name in DETECTOR_FORMATS,
            f"A detector is exported with --format={' or '.join(DETECTOR_FORMATS)}.",
            f"--format={name}",
        )
        check_packages(name, DETECTOR_FORMATS[name].needs)
    wanted, received = exported.detector.num_classes, len(exported.classes)
    check(wanted == received, f"A detector of {wanted} classes needs as many names.", f"{received} names")
    sides = exported.short_side, exported.long_side
    check(0 < sides[0] <= sides[1], "short_side must be positive, and at most long_side.", sides)


def _check_names(exported: ExportedDetector, file: pathlib.Path) -> None:
    """Checks that the names of the classes in a file, if there is one, are those of the detector."""
    if not is_file(file):
        return
    there: Any = None
    with contextlib.suppress(ValueError):  # what is no JSON holds no names
        there = parse_json(read_regular(file))
    rule = "The export's classes.json must hold the detector's names; move it away."
    check(there == list(exported.classes), rule, file)


def _export_one(exported: ExportedDetector, directory: pathlib.Path, chosen: DetectorFormat) -> str:
    folder = directory / chosen.folder if chosen.folder else directory
    if is_file(folder / chosen.last_file):  # nothing is written over
        return "is there already"
    _log.info(f"Writing {folder / chosen.last_file}")
    side = exported.short_side
    coarse = np.random.default_rng(0).integers(0, 256, (1, -(-side // 16), -(-side // 16), 3), np.uint8)
    images = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :side, :side]
    expected = exported.find(images)
    with adding_to_folder(folder, last=chosen.last_file) as draft:
        chosen.write(exported, draft)
        write_json(draft / CLASSES_FILE, list(exported.classes))
        if not exists(folder / "README.md"):  # nobody's own is written over
            masks = ", masks" if exported.detector.mask_head is not None else ""
            write_text(draft / "README.md", DETECTOR_README.format(example=chosen.example.format(masks=masks)))
        again, of = found_again(expected, chosen.find(draft, images), _BOXES * side)
        if again < _LEAST_FOUND_AGAIN * of:
            raise FloatingPointError(f"The export finds {again} of the detector's {of} objects; nothing was kept.")
    what = f"{again} of {of} objects" if of else "nothing in a pattern, as the detector does"
    return f"checked by {chosen.checked_by}, which finds {what}"


def found_again(expected: Found, found: Found, tolerance: float) -> tuple[int, int]:
    """Counts the detections in one image that another detector makes too, in both directions.

    Args:
        expected: `boxes`, `[1, D, 4]`, `scores` and `classes`, `[1, D]`, -1 where there is none, and perhaps `masks`,
            `[1, D, H, W] bool`.
        found: the same of the other detector.
        tolerance: the greatest difference of a box's edges, pixels.

    Returns:
        The number of detections that both make, and the greater of the numbers that either makes.
    """
    ours, theirs = ({name: of[name][0][of["classes"][0] >= 0] for name in expected} for of in (expected, found))
    near = np.abs(ours["boxes"][:, np.newaxis] - theirs["boxes"]).max(axis=-1, initial=0) <= tolerance
    near &= np.abs(ours["scores"][:, np.newaxis] - theirs["scores"]) <= _SCORES
    near &= ours["classes"][:, np.newaxis] == theirs["classes"]
    for i, j in np.argwhere(near) if "masks" in expected else ():
        near[i, j] = (ours["masks"][i] != theirs["masks"][j]).mean() <= _MASKS
    return min(int(near.any(axis=axis).sum()) for axis in (0, 1)), max(near.shape)
