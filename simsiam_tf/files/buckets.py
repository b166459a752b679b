"""Talks to buckets: makes sure that they answer in time, and puts what they answer into a sentence."""

import contextlib
import pathlib
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from simsiam_tf.files.paths import as_path, is_in_bucket

# TensorFlow repeats a request that is not answered for minutes. At a start, that is too long to wait.
_SECONDS = 45.0
_STATUS = re.compile(r"HTTP response code (\d{3})")
_ADDRESS = re.compile(r"gs://\S+")
# What the answers of Google Cloud Storage mean.
_MEANINGS = {
    401: "does not know who asks (gcloud auth application-default login)",
    403: "refuses (the account may lack the right to read or write there)",
    404: "or the file in it does not exist",
    412: "refuses, because the file has changed meanwhile",
    429: "asks for fewer requests",
}
# Words of errors of the network itself.
_OF_NETWORK = ("libcurl", "googleapis", "Could not resolve host")
_reached: set[str] = set()


def check_bucket(path: pathlib.Path) -> None:
    """Checks that the bucket of a path exists and can be read, before the work that needs it.

    Nothing is checked for a path of this machine.

    Args:
        path: the path of a file or folder, which need not exist.

    Raises:
        ConnectionError: if the bucket does not exist, refuses, or does not answer.
    """
    if not is_in_bucket(path):
        return
    bucket = "/".join(str(path).split("/")[:3])
    if bucket in _reached:
        return
    with answering(path) as call:
        if not call(path.exists):
            try:
                call(as_path(bucket).stat)
            except FileNotFoundError:
                raise ConnectionError(f"The bucket does not exist. Received: {bucket}.") from None
            except ConnectionError as error:
                # An account may have the right to read and write files, and not that to see the bucket itself.
                if _status(error.__cause__) != 403:
                    raise
    _reached.add(bucket)


@contextlib.contextmanager
def answering(path: pathlib.Path) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Calls functions that need a bucket, and waits no longer than 45 seconds for all of them.

    Args:
        path: the path in the bucket.

    Yields:
        A function that calls another one, and returns its result.

    Raises:
        ConnectionError: if the bucket does not exist, refuses, or does not answer.
    """
    end = time.monotonic() + _SECONDS

    def call(function: Callable[[], Any]) -> Any:
        results: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()

        def work() -> None:
            try:
                results.put((function(), None))
            except Exception as error:
                results.put((None, error))

        # A request cannot be cancelled, only left behind.
        threading.Thread(target=work, name="bucket", daemon=True).start()
        try:
            result, error = results.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise ConnectionError(
                f"The bucket does not answer; check the network and the address. Received: {path}."
            ) from None
        if error is not None:
            sentence = None if isinstance(error, FileNotFoundError) else explain(error)
            if sentence is None:
                raise error
            raise ConnectionError(sentence) from error
        return result

    yield call


def explain(error: BaseException) -> str | None:
    """Returns a sentence that says what a bucket answered, or that it did not; `None` for an error of another kind.

    Args:
        error: an error of TensorFlow.
    """
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return None
    text, status = str(error.message), _status(error)
    addresses = _ADDRESS.findall(text)
    if status is None:
        errors = tensorflow.errors
        silent = errors.UnavailableError, errors.DeadlineExceededError, errors.AbortedError
        of_network = any(word in text for word in _OF_NETWORK) or (addresses and isinstance(error, silent))
        if not of_network:
            return None
        first = " ".join(text.split())[:300].rstrip(".")
        return f"The bucket cannot be reached ({first}); check the network, and give the same command again."
    where = addresses[-1].rstrip("/.,;'\")") if addresses else "gs://"
    meaning = _MEANINGS.get(status, f"cannot answer now ({status})" if status >= 500 else f"answers {status}")
    return f"The bucket {meaning}; mend this, and give the same command again. Received: {where}."


def is_refusal(error: BaseException) -> bool:
    """Returns whether a bucket refused a request or did not answer it, so that nothing is known of the file.

    A file that is missing is none, for that is known then.
    """
    return explain(error) is not None and _status(error) != 404


def _status(error: BaseException | None) -> int | None:
    """Returns the status that a request got, as TensorFlow's errors say it."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None
