import errno
import os

import pytest
import tensorflow as tf

from simsiam_tf.cli.failures import sentence

FULL = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, FULL, "a/b"), f"{FULL}: a/b; make room, and give the same command again."),
        (OSError(errno.EIO, "Input/output error", b"a/b"), "Input/output error: a/b; check the disk,"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), "File name too long: a; give a shorter name."),
        (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), "Invalid cross-device link: a -> b; mend"),
        (OSError("the download broke off"), "the download broke off; mend this, and give the same command again."),
        (OSError(), "OSError; mend this"),
        (MemoryError(), "There is not enough memory; lower --global_batch_size"),
        (MemoryError("Unable to allocate 1 TiB"), "Received: Unable to allocate 1 TiB."),
        (
            tf.errors.ResourceExhaustedError(None, None, f"{{{{node SaveV2}}}} /a/b; {FULL} [Op:SaveV2]\n\tmore"),
            f"/a/b; {FULL}; make room, and give the same command again.",
        ),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]\n"),
            "There is not enough memory; lower --global_batch_size",
        ),
        (tf.errors.InternalError(None, None, "CUDA: out of memory"), "Received: CUDA: out of memory."),
        (tf.errors.UnknownError(None, None, "/a/b; Input/output error"), "/a/b; Input/output error; check the disk"),
        (tf.errors.FailedPreconditionError(None, None, "/a; Is a directory"), "/a; Is a directory; mend this"),
        (tf.errors.NotFoundError(None, None, "/a; No such file or directory"), "/a; No such file or directory; mend"),
        (tf.errors.DataLossError(None, None, "truncated record at 7"), "A file is damaged: truncated record at 7;"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_failure_of_the_machine_is_one_sentence(error, expected):
    text = sentence(error)
    assert text is not None
    assert expected in text
    assert "\n" not in text
    assert "{{" not in text


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), KeyError("a"), tf.errors.InvalidArgumentError(None, None, "shapes [1] and [2]")]
)
def test_our_own_mistakes_are_not_explained_away(error):
    assert sentence(error) is None
