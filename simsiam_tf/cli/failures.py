"""Puts failures of the machine into one sentence each: disk, network, memory. They are nobody's mistake in the code."""

import errno
import os
import sys

from simsiam_tf.errors import StepTooLarge
from simsiam_tf.files import DISK_ERRORS, explain

_FULL = {number for name in ("ENOSPC", "EDQUOT") if (number := getattr(errno, name, None)) is not None}
# What to do about an error of the system.
_ADVICE = {
    **dict.fromkeys(_FULL, "make room, and give the same command again"),
    errno.EIO: "check the disk, and give the same command again",
    errno.EROFS: "give a place that can be written",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n), and give the same command again",
}
_OTHERWISE = "mend this, and give the same command again"
_NO_MEMORY = (
    "There is not enough memory; lower --global_batch_size, --image_size or the sizes of the networks, raise "
    "--accumulate_steps, or end other programs, and give the same command again."
)
# Errors of TensorFlow's file system end with the system's words for them.
_OF_FILES = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EFBIG),
    *(errno.ENAMETOOLONG, errno.EMFILE, errno.ESTALE if hasattr(errno, "ESTALE") else errno.EIO, *DISK_ERRORS),
)


def sentence(error: Exception) -> str | None:
    """Returns the sentence that says what failed, where, and what to do; `None` for any other kind of error.

    Args:
        error: the error that ended a command.

    Example:
        >>> sentence(OSError(28, "No space left on device", "runs/a/summary.json"))
        'No space left on device: runs/a/summary.json; make room, and give the same command again.'
    """
    if isinstance(error, StepTooLarge):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{_NO_MEMORY} Received: {_first_line(error)}."
    of_bucket = explain(error)
    if of_bucket is not None:
        return of_bucket
    if isinstance(error, OSError):
        return _of_system(error)
    return _of_tensorflow(error)


def _of_system(error: OSError) -> str:
    if error.errno is None or not error.strerror:  # a library's own, as of a download
        return f"{_first_line(error)}; {_OTHERWISE}."
    files = [name for name in (error.filename, error.filename2) if name is not None]
    places = " -> ".join(os.fsdecode(name) if isinstance(name, str | bytes) else str(name) for name in files)
    return f"{error.strerror}{f': {places}' if places else ''}; {_ADVICE.get(error.errno, _OTHERWISE)}."


def _of_tensorflow(error: Exception) -> str | None:
    tensorflow = sys.modules.get("tensorflow")  # if it is not loaded, this is no error of its own
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    text = _first_line(error)
    for number in _OF_FILES:
        if f"; {os.strerror(number)}" in error.message:
            return f"{text}; {_ADVICE.get(number, _OTHERWISE)}."
    if isinstance(error, tensorflow.errors.DataLossError):
        return f"A file is damaged: {text}; replace it, and give the same command again."
    if isinstance(error, tensorflow.errors.ResourceExhaustedError) or "out of memory" in text.lower():
        return f"{_NO_MEMORY} Received: {text}."
    return None


def _first_line(error: Exception) -> str:
    """Returns the first line of an error's message, without the name of TensorFlow's node and the final full stop."""
    text = str(getattr(error, "message", "") or error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    while line.startswith("{{"):  # {{node StatefulPartitionedCall/...}} or {{function_node ...}}
        line = line.partition("}}")[2].strip()
    return (line.partition(" [Op:")[0].rstrip(". ") or type(error).__name__)[:500]
