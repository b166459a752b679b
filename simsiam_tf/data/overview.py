"""Says in a few lines what a data set is: its images, classes and splits, what is left out, and what was seen of it."""

import dataclasses
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.decoding import open_image
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.folder import LOOSE
from simsiam_tf.data.pixels import UnknownValuesError, has_alpha, orientation, to_rgb
from simsiam_tf.data.sources import Source
from simsiam_tf.data.walk import HIDDEN
from simsiam_tf.files import printable

# The first images are looked at, as many as the time allows.
_LOOKED_AT, _SECONDS = 256, 2.0
# Values of 16 bits that are all below this come from 12 bits, or from a very dark image.
_TWELVE_BITS = 4096


@dataclasses.dataclass
class Sight:
    """Holds what was seen of the first images of a source.

    Attributes:
        looked_at: the number of images that were read.
        constant: how many of them are of a single colour.
        transparent: how many of the constant ones have transparent pixels.
        turned: how many were taken with a turned camera, as EXIF says.
        pages: how many have several pages or frames.
        channels: how many have channels that are not used.
        unreadable: how many could not be read.
        ranges: the least and greatest value seen, by the kind of the values.
        sides: the shorter side of each image that could be read, in pixels.
    """

    looked_at: int = 0
    constant: int = 0
    transparent: int = 0
    turned: int = 0
    pages: int = 0
    channels: int = 0
    unreadable: int = 0
    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    sides: list[int] = dataclasses.field(default_factory=list)

    def add_range(self, kind: str, low: float, high: float) -> None:
        """Adds the least and greatest value of an image."""
        low_so_far, high_so_far = self.ranges.get(kind, (low, high))
        self.ranges[kind] = min(low, low_so_far), max(high, high_so_far)


def look_at(source: Source) -> Sight:
    """Looks at the first images of a source, for two seconds at most.

    Raises:
        UnknownValuesError: if the images' type does not say which of their values are black and white.
    """
    sight, end = Sight(), time.monotonic() + _SECONDS
    for position in range(min(_LOOKED_AT, source.num_examples)):
        if source.files is None:
            _look_at_array(tf.convert_to_tensor(source.images)[position].numpy(), sight)
        else:
            _look_at_file(source.files, position, sight)
        sight.looked_at += 1
        if time.monotonic() > end:
            break
    _check_bits(sight, source)
    return sight


def _look_at_array(image: np.ndarray, sight: Sight) -> None:
    sight.sides.append(min(image.shape[:2]))
    sight.constant += bool((image == image[:1, :1]).all())
    sight.add_range("8 bits", int(image.min()), int(image.max()))


def _look_at_file(files: EncodedImages, position: int, sight: Sight) -> None:
    try:
        image = open_image(files.load(position), files.pixels)
        is_wide = any(";16" in str(tile[3]) for tile in vars(image).get("tile", ()))
        rgb = to_rgb(image, files.pixels)
    except UnknownValuesError as error:
        files.skip(position, error)
    except Exception:  # Pillow raises errors of many types; the run will count and list the image
        sight.unreadable += 1
        return
    sight.sides.append(min(rgb.size))
    is_constant = all(low == high for low, high in _extrema(rgb))
    sight.constant += is_constant
    sight.transparent += is_constant and has_alpha(image)
    sight.turned += orientation(image, files.pixels) > 1
    sight.pages += bool(getattr(image, "is_animated", False))
    sight.channels += len(image.getbands()) > 3 and not has_alpha(image) and image.mode != "CMYK"
    kind = {"I": "whole numbers", "F": "fractions"}.get(image.mode, "16 bits" if ";16" in image.mode else "8 bits")
    kind = "16 bits, in colour" if is_wide and kind == "8 bits" else kind
    extrema = _extrema(image)
    sight.add_range(kind, min(low for low, _ in extrema), max(high for _, high in extrema))


def _extrema(image: Image.Image) -> Sequence[tuple[float, float]]:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        return [(float(values.min()), float(values.max()))]
    found: Any = image.convert("RGB").getextrema() if image.mode in ("P", "PA") else image.getextrema()
    return found if isinstance(found[0], tuple) else [found]


def _check_bits(sight: Sight, source: Source) -> None:
    """Raises an UnknownValuesError if all images of 16 bits use only 12 of them."""
    if source.files is None or source.files.pixels.value_range:
        return
    low, high = sight.ranges.get("16 bits", (0, _TWELVE_BITS))
    if 1 < high < _TWELVE_BITS:
        raise UnknownValuesError(
            f"The images of 16 bits would be almost black, for their greatest value is {high:g}; give the values of "
            "black and white, as in --value_range=0,4095, or --value_range=0,65535 if they are meant to be as dark. "
            f"Received: values of {low:g} to {high:g}, in {source.name}."
        )
    if "16 bits, in colour" in sight.ranges and sight.ranges["16 bits, in colour"][1] < _TWELVE_BITS >> 8:
        raise UnknownValuesError(
            "The colour images of 16 bits use less than 12 bits, and would be almost black; convert them to 8 bits a "
            f"channel first. Received: {source.name}."
        )


def overview(data: DataSet, sight: Sight, num_training: int) -> list[str]:
    """Returns what a data set is, in six lines at most.

    Args:
        data: the data set.
        sight: what was seen of its training images.
        num_training: the number of images to train on.
    """
    lines = [_first_line(data, num_training)]
    left_out = data.folder.left_out | dict(data.folder.training.left_out) if data.folder else {}
    if left_out:
        lines.append(f"Left out: {'; '.join(_kind_of_left_out(kind, names) for kind, names in left_out.items())}.")
    noticed = [
        _counted(sight.constant, "of a single colour" + _why_constant(sight)),
        _counted(sight.turned, "turned upright, as EXIF says"),
        _counted(sight.pages, "with several pages, of which the first is used"),
        _counted(sight.channels, "with channels that are not used (--channels chooses)"),
        _counted(sight.unreadable, "that cannot be read"),
    ]
    ranges = ", ".join(f"{low:g} to {high:g} ({kind})" for kind, (low, high) in sight.ranges.items())
    seen = "; ".join(filter(None, noticed)) or "nothing unusual"
    lines.append(f"Looked at {sight.looked_at}: {seen}. Values: {ranges or 'none'}.")
    return lines


def _first_line(data: DataSet, num_training: int) -> str:
    where = data.folder.where if data.folder else f"{data.config.dataset}/{data.config.train_split}"
    classes = data.training.classes
    if classes and data.training.labels is not None:
        shown = ", ".join(map(printable, classes[:5])) + (f" and {len(classes) - 5} more" if len(classes) > 5 else "")
        of_classes = f"in {len(classes)} classes ({shown})"
    elif data.labelled is not None:
        of_classes = f"of which {data.labelled.num_examples} in {data.labelled.num_classes} classes judge"
    else:
        of_classes = "without classes"
    evaluation = f"{data.evaluation.num_examples} to evaluate on" if data.evaluation else "none to evaluate on"
    if data.evaluates_on_training_images:
        evaluation += ", which are those that are trained on"
    return f"{num_training} training images {of_classes} of {where}; {evaluation}"


def _kind_of_left_out(kind: str, names: Sequence[str]) -> str:
    what = f"{kind} file" if kind.startswith((".", "no ending")) else kind
    plural = what if len(names) == 1 else what.replace(" file", " files") if " file" in what else f"{what}s"
    if kind == HIDDEN:
        shown = list(dict.fromkeys(name.rpartition("/")[2] for name in names))[:3]
    else:
        shown = list(names[:2]) if kind == LOOSE or not kind.startswith(".") else []
    return f"{len(names)} {plural}" + (f" ({', '.join(map(printable, shown))})" if shown else "")


def _why_constant(sight: Sight) -> str:
    if not sight.transparent:
        return ""
    return f", {sight.transparent} with all of the picture in its transparency (--alpha=white shows it)"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count else ""


def identity(data: DataSet) -> dict[str, Any]:
    """Returns what tells a training set from another: number of images, fingerprint, names of the classes.

    A folder that was moved has the same fingerprint. It hangs on the names of its images relative to the folder, and on
    the sizes of their files.
    """
    classes = list(data.labelled.classes) if data.labelled else []
    return {"images": data.training.num_examples, "fingerprint": _fingerprint(data), "classes": classes}


def _fingerprint(data: DataSet) -> str:
    if data.folder is None:
        return data.name
    files, digest = data.folder.training.files, hashlib.sha256()
    for root, key in sorted(zip(files.of_root.tolist(), files.keys, strict=True)):
        try:
            size = os.stat(os.path.join(files.roots[root], key)).st_size
        except OSError:  # a broken link; it is reported when it is read
            size = -1
        digest.update(f"{root}\0{key}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def describe_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns how a data set differs from the one on record, as a phrase; an empty string if it is the same."""
    for count in ("images", "trained_on"):  # a run of an older version recorded only the second
        if count in before and before[count] != now.get(count):
            return f"{before[count]} images on record, {now.get(count)} now"
    if before.get("classes") is not None and before["classes"] != now["classes"]:
        return f"classes {', '.join(before['classes'][:5])} on record, {', '.join(now['classes'][:5])} now"
    if before.get("fingerprint") is not None and before["fingerprint"] != now["fingerprint"]:
        return f"{now['images']} images, as on record, but with other names or sizes"
    return ""
