"""Checks that a step of a run fits into memory, and measures how long it takes."""

import dataclasses
import threading
import time
from typing import Any

import tensorflow as tf

from simsiam_tf.config.run import Config
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.doctor.opened import images_of, read_at_once, started, strategy_of
from simsiam_tf.errors import UsageError
from simsiam_tf.host import available_memory, resident_memory
from simsiam_tf.training import limits
from simsiam_tf.training.checkpoints import checkpoint_bytes
from simsiam_tf.training.trial import step_on_one_batch

_GIB = 2**30
# Multiplications in a step that a CPU of two cores does in a few seconds, and how many a step has for each in the
# forward pass: the backward pass takes two more.
_WORK, _FORWARD_AND_BACKWARD = 3e10, 3
# Seconds to spend on steps once the first is done, and the most steps.
_SECONDS, _STEPS = 3.0, 3
_SAMPLING = 0.01


@dataclasses.dataclass(frozen=True)
class Measured:
    """Holds what was measured of a step.

    Attributes:
        images: the number of images that were in memory at once.
        seconds: the time of the step.
        fixed: the bytes in memory before the first step: weights, velocities, the program.
        peak: the greatest number of bytes in memory during the step.
        checkpoint: the bytes of a checkpoint.
    """

    images: int
    seconds: float
    fixed: int
    peak: int
    checkpoint: int

    def bytes_of(self, images: int) -> float:
        """Returns the bytes that a step with another number of images at once would have in memory."""
        return self.fixed + (self.peak - self.fixed) * images / self.images

    def fitting(self, memory: float, multiple: int) -> int:
        """Returns the greatest number of images that fits at once, a multiple of another number.

        Args:
            memory: the bytes that there are.
            multiple: the number of replicas.
        """
        of_image = max(1.0, (self.peak - self.fixed) / self.images)
        return max(0, int((memory - self.fixed) / of_image) // multiple * multiple)


def step(asked: Asked) -> Outcome:
    """Measures a step: whole on an accelerator; on a CPU with as many images as take a few seconds.

    Args:
        asked: what is asked, of which the settings of the run count.
    """
    config = started(asked.run)
    strategy = strategy_of(config)
    part = config.data.global_batch_size // config.devices.accumulate_steps
    if has_accelerator(strategy):
        return _on_accelerator(config, strategy, part)
    found = _measure(config, strategy, images_to_measure(config, strategy.num_replicas_in_sync))
    return judge(config, found, available_memory() + resident_memory(), strategy.num_replicas_in_sync)


def images_to_measure(config: Config, replicas: int) -> int:
    """Returns how many images a CPU is measured with: a part of a batch, or as many as take a few seconds.

    Args:
        config: the settings of the run.
        replicas: the number of replicas, which divides it.
    """
    part = config.data.global_batch_size // config.devices.accumulate_steps
    affordable = int(_WORK / (_FORWARD_AND_BACKWARD * limits.multiplications(config)))
    return min(part, max(2, affordable // replicas) * replicas)


def judge(config: Config, found: Measured, memory: float, replicas: int) -> Outcome:
    """Judges what was measured of a step on a CPU.

    Args:
        config: the settings of the run.
        found: what was measured.
        memory: the bytes that this process may have.
        replicas: the number of replicas.
    """
    batch, parts = config.data.global_batch_size, config.devices.accumulate_steps
    part = batch // parts
    seconds = found.seconds * batch / found.images
    needed = found.bytes_of(part)
    measured = "" if found.images == batch else f", scaled from {found.images} images"
    value = f"{seconds:.2g} s for {batch} images, {needed / _GIB:.2g} of {memory / _GIB:.3g} GiB{measured}"
    facts = {"step": seconds, "checkpoint": found.checkpoint}
    if needed <= memory:
        return Outcome("pass", value, facts=facts)
    fitting = found.fitting(memory, replicas)
    advice = f"about {fitting} images fit at once; {_to_fit(fitting, batch)}"
    # What a few images take is more, for each of them, than what many take.
    return Outcome("fail" if found.images == part else "warn", value, advice, facts)


def _to_fit(fitting: int, batch: int) -> str:
    if fitting < 2:
        return "lower --image_size or the sizes of the networks, or take a machine with more memory"
    parts = next(parts for parts in range(1, batch + 1) if batch % parts == 0 and batch // parts <= fitting)
    return f"--accumulate_steps={parts} computes the batch in parts, or lower --global_batch_size"


def _on_accelerator(config: Config, strategy: tf.distribute.Strategy, part: int) -> Outcome:
    """Compiles and measures a step with all its images, or with half as many until they fit."""
    replicas, images = strategy.num_replicas_in_sync, part
    while True:
        try:
            found = _measure(config, strategy, images)
            break
        except tf.errors.ResourceExhaustedError as error:
            images = images // 2 // replicas * replicas
            if images < 2:
                raise UsageError(
                    "Not even two images fit on the devices; lower --image_size or the sizes of the networks. "
                    f"Received: --global_batch_size={config.data.global_batch_size}."
                ) from error
    seconds = found.seconds * config.data.global_batch_size / images
    facts = {"step": seconds, "checkpoint": found.checkpoint}
    memory = _memory_of_device()
    fitting = found.fitting(memory, replicas) if memory and found.peak > found.fixed else images
    if images == part:
        room = f"; about {fitting} images fit at once" if fitting > part else ""
        return Outcome("pass", f"{seconds:.2g} s for {config.data.global_batch_size} images{room}", facts=facts)
    value = f"{part} images at once do not fit; {images} do" + (f", about {fitting} would" if fitting > images else "")
    return Outcome("fail", value, _to_fit(max(images, min(fitting, part - 1)), config.data.global_batch_size), facts)


def _measure(config: Config, strategy: tf.distribute.Strategy, images: int) -> Measured:
    """Measures a step of some images at once."""
    small = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, global_batch_size=images),
        devices=dataclasses.replace(config.devices, accumulate_steps=1),
    )
    opened, read = images_of(config), read_at_once(config, strategy.num_replicas_in_sync)
    with listing_bad_images([opened.source], None), _PeakMemory() as memory:
        execute, model = step_on_one_batch(small, strategy, opened, read)
        memory.mark()
        execute(1)  # traces the step
        start = time.perf_counter()
        execute(1)
        seconds = time.perf_counter() - start
        steps = min(_STEPS, int(_SECONDS / seconds))
        if steps:
            start = time.perf_counter()
            execute(steps)
            seconds = (time.perf_counter() - start) / steps
    return Measured(images, seconds, memory.marked, max(memory.peak, memory.marked), checkpoint_bytes(model))


class _PeakMemory:
    """Watches the memory of the first GPU, or of this process if there is none, inside a `with` block.

    Attributes:
        marked: the bytes in memory at the call of `mark`.
        peak: the greatest number of bytes since.
    """

    marked = peak = 0

    def __enter__(self) -> "_PeakMemory":
        gpus = tf.config.list_logical_devices("GPU")
        self._gpu = gpus[0].name.removeprefix("/device:") if gpus else ""
        self._ended = threading.Event()
        return self

    def mark(self) -> None:
        """Begins to watch."""
        if self._gpu:
            tf.config.experimental.reset_memory_stats(self._gpu)
            self.marked = tf.config.experimental.get_memory_info(self._gpu)["current"]
        else:
            self.marked = self.peak = resident_memory()
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLING):
            self.peak = max(self.peak, resident_memory())

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        if self._gpu:
            self.peak = tf.config.experimental.get_memory_info(self._gpu)["peak"]


def _memory_of_device() -> int:
    """Returns the bytes of the first GPU that TensorFlow may use; 0 if it does not tell."""
    from tensorflow.python.client import device_lib

    found = [d.memory_limit for d in device_lib.list_local_devices() if d.device_type == "GPU"]
    return found[0] if found else 0
