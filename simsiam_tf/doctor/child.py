"""Runs checks in a process of its own: `python -m simsiam_tf.doctor.child`, for `runner.py` alone.

Each line of stdin asks for a check. Two lines answer it: one once the check's module is loaded, with TensorFlow if it
needs that, and one with its outcome. What anything else prints to stdout goes to stderr.
"""

import dataclasses
import importlib
import json
import os
import queue
import sys
import threading
from typing import IO, Any

from simsiam_tf.config.run import Config
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.errors import UsageError
from simsiam_tf.files import printable, read_buckets_in_pieces

# The greatest length of an error's message in a row, in characters.
_LONGEST = 300


def main() -> None:
    """Answers requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    read_buckets_in_pieces()
    requests: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        answer(json.loads(requests.get()), answers)


def _read(requests: "queue.Queue[str]") -> None:
    """Passes the requests on. When they end, so does the process, even in the middle of a check."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def answer(request: dict[str, Any], answers: IO[str]) -> None:
    """Runs the check of a request, and writes what it answers.

    Args:
        request: the place of the function, and the fields of `Asked`.
        answers: the stream for the two lines.
    """
    config = request["config"]
    asked = Asked(Config.from_dict(config) if config else None, request["has_workdir"], request["facts"])
    module, _, name = request["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps({"event": "loaded"}), file=answers, flush=True)
    try:
        outcome = function(asked)
    except UsageError as error:
        outcome = _as_outcome(str(error))
    except Exception as error:
        outcome = Outcome("fail", _first_line(error), "the check itself ended with this error")
    print(json.dumps({"event": "outcome", **dataclasses.asdict(outcome)}), file=answers, flush=True)


def _as_outcome(sentence: str) -> Outcome:
    """Returns the outcome of a rule that is broken: the sentence, which also says what to do."""
    rule, received, value = " ".join(sentence.split()).rpartition(" Received: ")
    if not received:
        return Outcome("fail", printable(sentence))
    return Outcome("fail", printable(f"received {value}".rstrip(".")), printable(rule.rstrip(".")))


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip() or "no message"
    return printable(f"{type(error).__name__}: {text.splitlines()[0]}")[:_LONGEST]


if __name__ == "__main__":
    main()
