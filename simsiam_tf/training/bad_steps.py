"""Keeps a step whose numbers are not finite, so that it can be run alone again (simsiam_tf/training/replay.py)."""

import dataclasses
import logging
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.config.run import Config
from simsiam_tf.data.block_order import BlockOrder
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.input import Share
from simsiam_tf.files import make_folder, printable, remove_folder, write_json
from simsiam_tf.training.checkpoints import Checkpoints
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger(__name__)

# The name of the folder, in that of the run.
FOLDER = "bad_step"
# The name of the state before the step, as of a checkpoint.
STATE = "before"
# The most names of images that a record holds, and that a message holds.
_NAMES, _NAMES_IN_WORDS = 100_000, 3


@dataclasses.dataclass
class BadSteps:
    """Counts the steps that are left out because a number is not finite, and ends the run after too many.

    Attributes:
        config: the settings of the run.
        workdir: the folder of the run.
        source: the training images.
        order: the order of the images.
        checkpoints: the checkpoints of the run.
        strategy: the distribution strategy of the run.
        count: the number of steps that were left out since this process began.
    """

    config: Config
    workdir: Workdir
    source: Source
    order: ShuffledOrder
    checkpoints: Checkpoints
    strategy: tf.distribute.Strategy
    count: int = 0

    def __call__(self, step: int, logs: dict[str, float]) -> None:
        """Notes a step; called by the training loop on every worker.

        Args:
            step: the number of the step, counted from 0.
            logs: the means of the epoch so far; empty if the weights are not finite after the step.

        Raises:
            FloatingPointError: if the run may leave out no more steps, or if the weights are not finite.
        """
        self.count += 1
        what = "The loss or the gradient of" if logs else "A weight after"
        epoch = step // self.order.steps_per_epoch + 1
        if logs and self.count <= self.config.run.max_skipped_steps:
            allowed = self.config.run.max_skipped_steps
            _log.info(f"{what} step {step + 1} is not finite: left out, {self.count} of at most {allowed} such steps.")
            return
        saved = self.checkpoints.saved_step
        last = f"its last checkpoint is that of step {saved}" if saved >= 0 else "it has no checkpoint yet"
        images = self._keep(step, epoch, bool(logs)) if workers.is_chief(self.strategy) else ""
        raise FloatingPointError(
            f"{what} step {step + 1} (epoch {epoch}) is not finite, so the run ends; {last}. Run the step alone by "
            f"`python -m simsiam_tf.cli.replay --workdir={self.workdir.root}`; lower --base_learning_rate, use "
            "--warmup_epochs, or leave such steps out by --max_skipped_steps. "
            f"Received: {images or 'a step that the chief describes'}."
        )

    def _keep(self, step: int, epoch: int, is_before: bool) -> str:
        """Writes the record of a step, and the state before it if it can be had; returns the step's images in words."""
        names = [self.source.name_of(int(i)) for i in images_of_step(self.source, self.order, step)]
        folder = self.workdir.root / FOLDER
        remove_folder(folder)
        make_folder(folder)
        # Weights that are not finite are of no use. They are computed again from the last checkpoint.
        later = max(self.checkpoints.step - 1 - step, 0)
        if is_before:
            self.checkpoints.write(folder, STATE)
        record: dict[str, Any] = {
            "step": step,
            "epoch": epoch,
            "what": "loss or gradient" if is_before else "weights",
            "from": STATE if is_before else f"step-{self.checkpoints.saved_step}",
            "trained_since": later if is_before else 0,
            "images": names[:_NAMES],
        }
        write_json(folder / "step.json", record)
        _log.info(f"Wrote the step, its images and the state before it to {folder}.")
        rest = f" and {len(names) - _NAMES_IN_WORDS:,} others" if len(names) > _NAMES_IN_WORDS else ""
        return f"a step of images {', '.join(map(printable, names[:_NAMES_IN_WORDS]))}{rest}"


def images_of_step(source: Source, order: ShuffledOrder, step: int) -> np.ndarray:
    """Returns the positions in the data set of the images of a step, `[global batch] int64`.

    Args:
        source: the training images.
        order: the order of the images.
        step: the number of the step, counted from 0.
    """
    share = Share(order.global_batch_size)
    if isinstance(order, BlockOrder):
        index = next(iter(order.records(share, step, step + 1).batch(order.global_batch_size)))[1]
    else:
        index = order.examples(next(iter(order.steps(share, step, step + 1))))[1]
    return index.numpy()
