"""Checks that go wrong in every way, for the runner's child processes."""

import ctypes
import os
import signal
import sys
import time

from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.errors import UsageError


def fine(asked: Asked) -> Outcome:
    return Outcome("pass", f"process {os.getpid()}")


def measures(asked: Asked) -> Outcome:
    return Outcome("pass", "measured", facts={"step": 0.5, "checkpoint": 10**18, "reading": 0.1})


def wants_facts(asked: Asked) -> Outcome:
    return Outcome("pass", f"a step takes {asked.facts['step']} s, {asked.config and asked.config.run.epochs} epochs")


def warns(asked: Asked) -> Outcome:
    return Outcome("warn", "something", "look at it")


def hangs(asked: Asked) -> Outcome:
    time.sleep(600)
    return Outcome("pass", "awake")


def hangs_in_native_code(asked: Asked) -> Outcome:
    ctypes.PyDLL(None).sleep(600)  # no other thread of Python runs meanwhile
    return Outcome("pass", "awake")


def dies(asked: Asked) -> Outcome:
    os.write(2, b"free(): invalid size\n")
    os.kill(os.getpid(), signal.SIGSEGV)
    return Outcome("pass", "alive")


def prints(asked: Asked) -> Outcome:
    print("to stdout")
    os.write(1, b"to its descriptor\n")
    sys.stderr.write("to stderr\n")
    return Outcome("pass", "printed")


def breaks_a_rule(asked: Asked) -> Outcome:
    raise UsageError("--data_dir must be an existing folder of images. Received: /nowhere.")


def raises(asked: Asked) -> Outcome:
    raise OSError(5, "Input/output error", "disk")
