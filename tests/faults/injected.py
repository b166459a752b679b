"""Faults that a process of a command makes happen to itself. Standard library only, so that a fresh process can too."""

import os
import random
import resource
import signal
import sys
import threading
import time

# What Python's audit events call the changes of a folder.
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


class Changes:
    """Counts what this process changes below a folder, and sends it a signal at one of the changes.

    Args:
        watched: the folder.
        at: the number of the change before which the signal comes, counted from 1; 0 for none.
        number: the signal.
        delay: the seconds after that change at which the signal comes instead, from another thread.
        kept: the file that gets the count when the process ends by itself, so that a later one can choose a change.
    """

    def __init__(self, watched, at=0, number=signal.SIGKILL, delay=0.0, kept=""):
        self.watched, self.at, self.number, self.delay, self.kept = watched, at, number, delay, kept
        self.count, self.open_is_change = 0, os.O_WRONLY | os.O_RDWR | os.O_CREAT
        sys.addaudithook(self.look)

    def look(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & self.open_is_change):
                return
        elif event in _CHANGES:
            path = arguments[0]
        else:
            return
        if isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self.watched):
            self.count += 1
            if self.count == self.at:
                self.send()

    def send(self):
        if not self.delay:
            os.kill(os.getpid(), self.number)
            return

        def later():
            time.sleep(self.delay)
            os.kill(os.getpid(), self.number)

        threading.Thread(target=later, daemon=True).start()

    def keep(self):
        if self.kept:
            with open(self.kept, "w") as file:
                file.write(str(self.count))


def drawn(changes, seed):
    """Where a kill comes: before a change, or up to 30 ms after it."""
    chance = random.Random(seed)
    return {"at": chance.randint(1, changes), "delay": chance.choice([0.0, chance.uniform(0, 0.03)])}


def limit_files(size):
    """Lets no file of this process grow beyond a size, as if the disk were full; the error is EFBIG."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def set_clock_back(seconds):
    """Makes the clock of this process jump back by some seconds at each call, as no clock of a computer may."""
    real, calls = time.time, [0]

    def jumping():
        calls[0] += 1
        return real() - seconds * calls[0]

    time.time = jumping


def compute_eagerly():
    """Runs TensorFlow's functions operation by operation: a tiny run takes seconds, where compiling would take most."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)


def send_signal_in(method, number):
    """Sends a signal when the monitor measures for the second time, or a checkpoint is saved for the second time."""
    from simsiam_tf.callbacks.feature_monitor import FeatureMonitor
    from simsiam_tf.training import checkpoints

    owner, name = {"measure": (FeatureMonitor, "measure"), "save": (checkpoints, "write_whole")}[method]
    real, calls = getattr(owner, name), [0]

    def sending(*arguments, **options):
        calls[0] += 1
        if calls[0] == 2:
            os.kill(os.getpid(), number)
        return real(*arguments, **options)

    setattr(owner, name, sending)


def hang_reading(after, mark):
    """Lets each image after the first ones take forever, as a network disk may; a file says that it began."""
    from simsiam_tf.data.image_files import FolderImages

    real, calls = FolderImages.load, [0]

    def load(self, position):
        calls[0] += 1
        if calls[0] > after:
            with open(mark, "w"):
                pass
            threading.Event().wait()
        return real(self, position)

    FolderImages.load = load


def have_no_memory():
    """Lets each step fail as on a device that has no memory for it."""
    import tensorflow as tf

    from simsiam_tf.training.executor import Executor

    real = Executor.__init__

    def made(self, *arguments, **options):
        real(self, *arguments, **options)
        self._execute = fail

    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8,64,32,32]")

    Executor.__init__ = made
