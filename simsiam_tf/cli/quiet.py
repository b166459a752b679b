"""Loads TensorFlow without the lines that it prints about itself.

TensorFlow writes some lines from C++ before any setting of its own counts. They are dropped by a process that stands
between stderr and the terminal while TensorFlow is loaded. It passes on all other lines, even if this process crashes.
"""

import contextlib
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

# Where a device file or driver of one of these names exists, TensorFlow may find a GPU: NVIDIA's, also in WSL and on
# Jetson, and AMD's, which TensorFlow hides by the same variable.
_GPU_FILES = ("dev/nvidia*", "dev/nvhost*", "dev/nvgpu*", "dev/nvmap", "dev/dxg", "dev/kfd", "proc/driver/nvidia")
_NO_GPU_FLAG = "--no_gpu"
# Lines of every healthy run. A number in them, as of a process, may have any value.
_HARMLESS = re.compile(
    rb"""WARNING:\ All\ log\ messages\ before\ absl::InitializeLog\(\)\ is\ called\ are\ written\ to\ STDERR
    |[IWE]0000\ .*\ cuda_(?:dnn|fft|blas)\.cc:\d+\]\ Unable\ to\ register\ cu(?:DNN|FFT|BLAS)\ factory
    |W0000\ .*\ computation_placer\.cc:\d+\]\ computation\ placer\ already\ registered
    |I0000\ .*\ port\.cc:\d+\]\ oneDNN\ custom\ operations\ are\ on
    |I0000\ .*\ cpu_feature_guard\.cc:\d+\]\ This\ TensorFlow\ binary\ is\ optimized
    |To\ enable\ the\ following\ instructions:.*\ in\ other\ operations,\ rebuild\ TensorFlow
    """,
    re.VERBOSE,
)
# Lines of a healthy run without a GPU. Where there is one, they tell that it cannot be used.
_HARMLESS_WITHOUT_GPU = re.compile(
    rb"""I0000\ .*\ cudart_stub\.cc:\d+\]\ Could\ not\ find\ cuda\ drivers
    |E0000\ .*\ cuda_(?:platform|driver)\.cc:\d+\]\ failed\ call\ to\ cuInit:
    """,
    re.VERBOSE,
)


@contextlib.contextmanager
def loading_tensorflow() -> Iterator[None]:
    """Drops TensorFlow's harmless lines inside a `with` block, which must hold the first import of TensorFlow.

    With --verbosity=debug everything is shown.
    """
    from simsiam_tf.files import read_buckets_in_pieces  # not above: the filter is this file without the package

    read_buckets_in_pieces()
    if not has_gpu():
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    if logging.getLogger("simsiam_tf").isEnabledFor(logging.DEBUG):
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    no_gpu = os.environ.get("CUDA_VISIBLE_DEVICES") == "-1"
    with filtered_stderr(no_gpu):
        yield
        tensorflow = sys.modules.get("tensorflow")
        if no_gpu and tensorflow is not None and tensorflow.test.is_built_with_cuda():
            tensorflow.config.list_physical_devices()  # looks for a GPU in vain, and prints so


def load_tensorflow_for(path: str) -> None:
    """Loads TensorFlow quietly if a path that a user typed is in a bucket, which cannot be reached without it."""
    from simsiam_tf.files import expand, is_in_bucket

    if path and is_in_bucket(expand(path)):
        with loading_tensorflow():
            import tensorflow  # noqa: F401


def has_gpu(root: pathlib.Path = pathlib.Path("/")) -> bool:
    """Returns whether this machine may have a GPU. Only Linux tells; elsewhere the answer is yes.

    Args:
        root: the root of the file system.
    """
    return not sys.platform.startswith("linux") or any(next(root.glob(name), None) for name in _GPU_FILES)


@contextlib.contextmanager
def filtered_stderr(no_gpu: bool) -> Iterator[None]:
    """Drops harmless lines that this process writes to file descriptor 2 inside a `with` block.

    Another process filters the lines, so that the last words of a process that dies are not lost.

    Args:
        no_gpu: whether lines that say that there is no GPU are harmless.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        yield
        return
    read_end, write_end = os.pipe()
    command = [sys.executable, "-I", "-S", str(pathlib.Path(__file__).resolve()), *([_NO_GPU_FLAG] if no_gpu else [])]
    try:
        # A session of its own: Ctrl-C is meant for this process, whose last words the filter has to pass on.
        process = subprocess.Popen(command, stdin=read_end, stdout=kept, start_new_session=True)
    except OSError:
        process = None
    if process is not None:
        os.dup2(write_end, 2)
    os.close(read_end)
    os.close(write_end)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        if process is not None:
            # A process that was started inside the block may hold the pipe open; the filter then goes on for it.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


def filter_lines(source: int, target: int, no_gpu: bool) -> None:
    """Copies lines from one file descriptor to another until the first one ends, without the harmless ones.

    Args:
        source: the file descriptor to read from.
        target: the file descriptor to write to.
        no_gpu: whether lines that say that there is no GPU are harmless.
    """
    harmless = (_HARMLESS, _HARMLESS_WITHOUT_GPU) if no_gpu else (_HARMLESS,)
    held = b""
    while part := os.read(source, 65536):
        *lines, held = (held + part).split(b"\n")
        for line in lines:
            if not any(pattern.match(line) for pattern in harmless):
                _write(line + b"\n", target)
    _write(held, target)


def _write(text: bytes, target: int) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone: the lines are read all the same, so that none waits
        while text:
            text = text[os.write(target, text) :]


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    filter_lines(0, 1, no_gpu=_NO_GPU_FLAG in sys.argv)
