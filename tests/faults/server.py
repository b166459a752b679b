"""Starts commands in processes that have TensorFlow loaded already: forked from this one, which computes nothing.

Loading TensorFlow takes a start of its own 6 to 20 seconds here, and a round of kills has more than a hundred starts.
ResNet-18 has four blocks in place of eight, because what a fault does depends on the writing of files alone.

It reads requests from stdin, a JSON object a line, and answers each with a line.
"""

import atexit
import importlib
import json
import os
import pathlib
import signal
import sys
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults import injected

MODULES = {
    "train": "simsiam_tf.cli.train",
    "evaluate": "simsiam_tf.cli.evaluate",
    "prepare": "simsiam_tf.cli.prepare",
    "transfer": "simsiam_tf.cli.transfer",
    "reproduce": "simsiam_tf.cli.reproduce",
}
LOADED = ("simsiam_tf.training.pretrain", "simsiam_tf.training.transfer", "simsiam_tf.evaluation.evaluate")
LOADED += ("simsiam_tf.evaluation.finetune", "simsiam_tf.preparation.prepare", *MODULES.values())


def load():
    for name in LOADED:
        importlib.import_module(name)
    from simsiam_tf.networks import resnet

    resnet.DEPTHS["resnet18"] = ("basic", (1, 1, 1, 1))


def start(request):
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = child(request)
    finally:
        os._exit(code)
    return 0


def child(request):
    """Does the work of a command as a process of its own would, up to the exit code."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        file = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", buffering=1, closefd=False) for n in (1, 2))  # noqa: SIM115
    os.environ.update(request.get("environment", {}))
    sys.argv = [request["command"], *request["arguments"]]
    changes = injected.Changes(**request["changes"]) if "changes" in request else None
    for name, value in request.get("faults", {}).items():
        getattr(injected, name)(*value)
    code = 0
    try:
        importlib.import_module(MODULES[request["command"]]).main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    if changes is not None:
        changes.keep()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def wait(pid, seconds):
    """Waits for a process; its exit code, or None if it goes on."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.01)


def main():
    load()
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = start(request) if "command" in request else wait(request["wait"], request["seconds"])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
