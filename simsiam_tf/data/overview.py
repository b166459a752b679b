"""Says in a few lines what a data set is: its images, classes and splits, what is left out, and what was seen of it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.folder import LOOSE
from simsiam_tf.data.sight import Sight
from simsiam_tf.data.walk import HIDDEN
from simsiam_tf.files import printable, size_of_file


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
    files = data.folder.training.files
    files = files.take(np.argsort(files.ranks))  # nearly sorted already, which takes a tenth of the time to sort
    sizes = map(size_of_file, files) if files.sizes is None else files.sizes.tolist()
    each = sorted(zip(files.of_root.tolist(), files.keys, sizes, strict=True))
    text = "".join([f"{number}\0{key}\0{size}\n" for number, key, size in each])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


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
