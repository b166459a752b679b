"""Checks the devices that TensorFlow finds."""

import pathlib
import sys

import tensorflow as tf

from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.host import usable_cores


def devices(asked: Asked) -> Outcome:
    """Names the devices, and warns of a GPU of this machine that TensorFlow cannot use.

    Args:
        asked: not used: TensorFlow finds the same devices for every run.
    """
    gpus = tf.config.list_physical_devices("GPU")
    cores = usable_cores()
    of_cpu = f"{cores} CPU core{'' if cores == 1 else 's'}"
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
        kinds = ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
        return Outcome("pass", f"{kinds}; {of_cpu}")
    if has_nvidia_gpu():
        advice = "pip install -r requirements-gpu.txt, and look at what nvidia-smi says of the driver"
        return Outcome("warn", f"an NVIDIA GPU that TensorFlow does not see; {of_cpu}", advice)
    return Outcome("pass", f"{of_cpu}, no GPU")


def has_nvidia_gpu(root: pathlib.Path = pathlib.Path("/")) -> bool:
    """Returns whether Linux has the device file of an NVIDIA GPU.

    Args:
        root: the root of the file system.
    """
    return sys.platform.startswith("linux") and any(root.glob("dev/nvidia[0-9]*"))
