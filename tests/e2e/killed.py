"""Runs train.py, and sends its process a signal: killed.py SIGNAL STEP|end-of-EPOCH [transfer.py] FLAGS...

SIGTERM comes right after a step; SIGKILL within 50 ms after it, or at the beginning of an epoch's end.
"""

import os
import pathlib
import random
import runpy
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
number, where = signal.Signals[sys.argv[1]], sys.argv[2]
script, *flags = sys.argv[3:] if sys.argv[3] == "transfer.py" else ["train.py", *sys.argv[3:]]
sys.argv = [str(ROOT / script), *flags]

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.training.checkpoints import Saver

is_due_at, sent = Saver.is_due_at, []


def send(delay=0.0):
    time.sleep(delay)
    os.kill(os.getpid(), number)


def is_due_at_and_send(self, step):
    """What the loop asks after each execution."""
    if step >= int(where) and not sent:
        sent.append(step)
        if number == signal.SIGKILL:
            threading.Thread(target=send, args=(random.Random(step).uniform(0, 0.05),)).start()
        else:
            send()
    return is_due_at(self, step)


if where.isdecimal():
    Saver.is_due_at = is_due_at_and_send
else:
    CollapseMonitor.on_epoch_end = lambda self, epoch, logs: epoch + 1 == int(where.rpartition("-")[2]) and send()
runpy.run_path(sys.argv[0], run_name="__main__")
