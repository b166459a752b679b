"""Computes eta, the target that the prediction of a view is compared with (paper Sec. 5.1).

For SimSiam it is z of the other view. The variants of Sec. 5.2 use targets of earlier steps or epochs.
"""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.losses.common import normalize
from simsiam_tf.networks.normalization import keeping_moving_statistics


class Targets(tf.Module):
    """Returns z of the present weights as the targets: SimSiam itself (paper Sec. 5.1, "one-step alternation").

    The variants of Sec. 5.2 keep targets in a table in the host's memory, with a row for each image. All replicas of
    the host share the table, and each uses the rows of its own images.

    Attributes:
        table: the stored targets, or `None` if there is no table.
    """

    table: tf.Variable | None = None

    def lookahead_window(self, step: int) -> range:
        """Returns the window of steps that contains `step`, whose targets are computed together.

        Before the first step of the window is trained, the batches of all its steps are given to `precompute`.
        An empty window means that `step` needs no precomputed targets.
        """
        return range(0)

    def precompute(self, model: Any, batch: dict[str, Any]) -> None:
        """Computes z of a later batch with the present weights, and stores it.

        Args:
            model: the `SimSiam` whose targets these are.
            batch: a batch of a later step, as for `compute_ssl_loss`.
        """
        with keeping_moving_statistics():
            self.remember(batch, model.encode(batch["views"], training=True))

    def remember(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> None:
        """Stores z of each view, `[B, d]`, for the step that trains on the batch."""
        raise NotImplementedError(f"{type(self).__name__} remembers nothing.")

    def table_shape(self, num_examples: int, global_batch_size: int, d: int) -> tuple[int, ...] | None:
        """Returns the shape of the table, or `None` if there is none.

        Args:
            num_examples: the number of training images.
            global_batch_size: the number of images in a step.
            d: the width of z.
        """
        return None

    def make_table(self, shape: tuple[int, ...]) -> None:
        """Makes the table. Call it outside of the strategy's scope, before the first step."""
        with tf.device("/cpu:0"):
            self.table = tf.Variable(tf.zeros(shape, keras.config.floatx()), trainable=False, name="targets")

    def __call__(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """Returns eta of each view, `[B, d]`, given z of each view, `[B, d]`."""
        return z

    def _read(self, rows: tf.Tensor) -> tf.Tensor:
        with tf.device("/cpu:0"):
            return tf.gather(self.existing_table, rows)

    def _write(self, rows: tf.Tensor, values: tf.Tensor) -> None:
        table = self.existing_table
        with tf.device("/cpu:0"):
            table.scatter_nd_update(rows[:, tf.newaxis], tf.cast(values, table.dtype))

    @property
    def existing_table(self) -> tf.Variable:
        """The table, which must have been made.

        Raises:
            ValueError: if it was not.
        """
        if self.table is None:
            raise ValueError("The targets need their table; call model.targets.make_table before the first step.")
        return self.table


class CachedTargets(Targets):
    """Computes the targets of k steps first, then takes k SGD steps towards them (Sec. 5.2, multi-step alternation).

    Batches must hold `position`, `[B] int64`: the place of each image in the sequence of all images that the run
    trains on.

    Args:
        steps: k, the number of steps that share the weights of their targets.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def lookahead_window(self, step: int) -> range:
        """Returns the k steps that `step` is one of."""
        start = step // self.steps * self.steps
        return range(start, start + self.steps)

    def table_shape(self, num_examples: int, global_batch_size: int, d: int) -> tuple[int, ...]:
        """Returns the shape for the targets of both views of k batches."""
        return self.steps * global_batch_size, 2, d

    def remember(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> None:
        """Stores z of each view for the step that trains on the batch."""
        self._write(self._rows(batch), tf.stack(z, axis=1))

    def __call__(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """Returns the stored targets of each view."""
        return tuple(tf.unstack(self._read(self._rows(batch)), axis=1))  # [B, 2, d]

    def _rows(self, batch: dict[str, Any]) -> tf.Tensor:
        return batch["position"] % self.existing_table.shape[0]


class MovingAverageTargets(Targets):
    """Averages the targets of an image over the epochs: eta <- m eta + (1 - m) z / |z|.

    In Sec. 5.2, "Expectation over augmentations", this average replaces the predictor. The target of view 1 takes in
    the new z of view 2, and the other way round; the table stores the mean of the two new targets.

    The first targets are computed by the untrained network (Sec. 5.1, Eq. 7). If they were z of the present weights,
    the first epoch would be SimSiam without a predictor, which collapses.

    Batches must hold `index`, `[B] int64`: the positions of the images in the data set.

    Args:
        momentum: m, the weight of the old target.
        first_steps: the number of steps in the first epoch. With 0, the first target of an image is z of the weights
            that see it first.
    """

    def __init__(self, momentum: float, first_steps: int = 0) -> None:
        super().__init__()
        self.momentum, self.first_steps = momentum, first_steps

    def lookahead_window(self, step: int) -> range:
        """Returns the steps of the first epoch, as the untrained network computes the first target of each image."""
        return range(self.first_steps) if step < self.first_steps else range(0)

    def table_shape(self, num_examples: int, global_batch_size: int, d: int) -> tuple[int, ...]:
        """Returns the shape for one target of each image."""
        return num_examples, d

    def remember(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> None:
        """Stores the mean of z / |z| over the views, as the first target of each image."""
        self._write(batch["index"], tf.add_n([normalize(view) for view in z]) / len(z))

    def __call__(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """Returns the new averages, and stores them for the next epoch."""
        old = self._read(batch["index"])  # [B, d]
        newest = [tf.stop_gradient(tf.cast(normalize(view), old.dtype)) for view in z]
        eta = tuple(self.momentum * old + (1.0 - self.momentum) * view for view in newest)
        mean = tf.add_n(eta) / len(eta)
        self._write(batch["index"], tf.where(tf.math.is_finite(mean), mean, old))
        return eta


def make_targets(alternation_steps: int = 1, eta_momentum: float = 0.0, eta_first_steps: int = 0) -> Targets:
    """Makes the targets of a run.

    Args:
        alternation_steps: the number of SGD steps that use targets computed before the first of them.
        eta_momentum: m of the moving average; 0 for none.
        eta_first_steps: the number of steps in the first epoch, for the moving average.
    """
    if eta_momentum:
        return MovingAverageTargets(eta_momentum, eta_first_steps)
    return CachedTargets(alternation_steps) if alternation_steps > 1 else Targets()
