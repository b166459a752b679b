"""Answers command lines of train.py and evaluate.py in processes that have TensorFlow loaded already.

A process is forked from one that has imported TensorFlow but computed nothing with it. It does the whole work of a
command line, from parsing to the exit code, and then the next one, until it hangs or dies. A start of its own takes a
command line about 20 seconds on two cores, most of which is loading and compiling.
"""

import faulthandler
import io
import json
import os
import pathlib
import select
import signal
import sys
import tempfile
import time
import traceback
from typing import Any

from answers import Answer

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load() -> None:
    """Imports TensorFlow and the package, and gives ResNet-18 one block in place of eight.

    The network is small because the answers of the commands do not hang on it, and the time does.
    """
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "1"}
    sys.path.insert(0, str(ROOT))
    from simsiam_tf.evaluation import evaluate  # noqa: F401
    from simsiam_tf.networks import resnet
    from simsiam_tf.training import pretrain  # noqa: F401

    resnet.DEPTHS["resnet18"] = ("basic", (1,))


class Worker:
    """Runs command lines one after another in a forked process."""

    def __init__(self) -> None:
        self._pid = 0

    def run(self, command: str, arguments: list[str], limit: float, stop_after: float = 0) -> Answer:
        """Runs one command line.

        Args:
            command: `train` or `evaluate`.
            arguments: the flags.
            limit: the seconds after which the process is killed, and the answer is that it hung.
            stop_after: the seconds after which it gets SIGTERM, as from a user; 0: never.
        """
        if not self._pid:
            self._start()
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            request = json.dumps({"command": command, "arguments": arguments, "folder": folder})
            os.write(self._requests, request.encode() + b"\n")
            waited = stop_after or limit
            answered = select.select([self._answers], [], [], waited)[0]
            if not answered:  # the stacks of all threads go to stderr
                os.kill(self._pid, signal.SIGUSR1)
                time.sleep(0.5)
            if not answered and stop_after:
                os.kill(self._pid, signal.SIGTERM)
                answered = select.select([self._answers], [], [], limit - stop_after)[0]
            code = self._code(bool(answered))
            out, err = (
                (pathlib.Path(folder) / name).read_text("utf-8", "backslashreplace")
                if (pathlib.Path(folder) / name).exists()
                else ""
                for name in ("out", "err")
            )
            return Answer(code, round(time.monotonic() - start, 2), out, err)

    def end(self) -> None:
        """Ends the process."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._wait()

    def _code(self, answered: bool) -> int | None:
        if not answered:
            self.end()
            return None
        text = os.read(self._answers, 100)
        return int(text) if text else self._wait()

    def _wait(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        os.close(self._requests)
        os.close(self._answers)
        return os.waitstatus_to_exitcode(status)

    def _start(self) -> None:
        read_requests, self._requests = os.pipe()
        self._answers, write_answers = os.pipe()
        sys.stdout.flush()
        self._pid = os.fork()
        if not self._pid:
            os.close(self._requests)
            os.close(self._answers)
            faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
            sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), encoding="utf-8", line_buffering=True)
            sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), encoding="utf-8", line_buffering=True)
            with os.fdopen(read_requests, "r") as requests:
                for line in requests:
                    os.write(write_answers, str(_answer(json.loads(line))).encode())
            os._exit(0)
        os.close(read_requests)
        os.close(write_answers)


def _answer(request: dict[str, Any]) -> int:
    """Does the work of a command line, with its output in files; returns the exit code."""
    from absl import flags

    for name in list(flags.FLAGS):
        delattr(flags.FLAGS, name)
    sys.argv = [f"{request['command']}.py", *request["arguments"]]
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(os.path.join(request["folder"], name), os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    code = 0
    try:
        if request["command"] == "train":
            from simsiam_tf.cli.train import main
        else:
            from simsiam_tf.cli.evaluate import main
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    sys.stderr.flush()
    _unlock()
    return code


def _unlock() -> None:
    """Gives back the locks of the folders of runs, which a command keeps until its process ends."""
    from simsiam_tf.training import workdir

    while workdir._LOCKS:
        workdir._LOCKS.popitem()[1].close()
