"""eta: what a view's prediction is compared with (paper Sec. 5.1). It is z of the other view, of now or of earlier."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.losses.common import normalize
from simsiam_tf.networks.normalization import keeping_moving_statistics


class Targets(tf.Module):
    """Compares each view with z of the present weights: SimSiam itself (paper Sec. 5.1, "one-step alternation").

    The variants of Sec. 5.2 remember targets in a table in the host's memory, with a row for each image. All replicas
    of the host share the table, and each works on the rows of its own images.

    Attributes:
        table: the remembered targets, or `None`.
    """

    table: tf.Variable | None = None

    def lookahead_window(self, step: int) -> range:
        """Returns the window of steps around `step` whose batches go to `precompute` before its first step is trained.

        An empty window means that `step` needs no precomputed targets.
        """
        return range(0)

    def precompute(self, model: Any, batch: dict[str, Any]) -> None:
        """Computes z of a coming batch with the present weights, and remembers it.

        Args:
            model: the `SimSiam` whose targets these are.
            batch: a batch of a later step, as for `compute_ssl_loss`.
        """
        with keeping_moving_statistics():
            self.remember(batch, model.encode(batch["views"], training=True))

    def remember(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> None:
        """Keeps z of each view, `[B, d]`, for the step that the batch belongs to."""
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
        """Makes the table. It must be called outside of the strategy's scope, before the first step."""
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
    """Alternates in longer turns: eta of the next k steps' images is computed first, then k SGD steps use it.

    Paper Sec. 5.2, "Multi-step alternation". Batches must hold `position`, `[B] int64`: the place of each image in the
    sequence of all images that the run trains on.

    Args:
        steps: k.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def lookahead_window(self, step: int) -> range:
        start = step // self.steps * self.steps
        return range(start, start + self.steps)

    def table_shape(self, num_examples: int, global_batch_size: int, d: int) -> tuple[int, ...]:
        return self.steps * global_batch_size, 2, d

    def remember(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> None:
        self._write(self._rows(batch), tf.stack(z, axis=1))

    def __call__(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        return tuple(tf.unstack(self._read(self._rows(batch)), axis=1))  # [B, 2, d]

    def _rows(self, batch: dict[str, Any]) -> tf.Tensor:
        return batch["position"] % self.existing_table.shape[0]


class MovingAverageTargets(Targets):
    """Averages eta of an image over its views of earlier epochs: eta <- m eta + (1 - m) F(T'(x)).

    Paper Sec. 5.2, "Expectation over augmentations", where it stands in for the predictor. z counts as z / |z|. What
    view 1 is compared with holds view 2 as its newest part, and the other way round; the table takes the mean of both.
    The first eta, which the first weights are fitted to (Sec. 5.1, Eq. 7), is computed by the untrained network: in
    the first epoch z of the present weights alone would be SimSiam without a predictor, on its way to collapse.
    Batches must hold `index`, `[B] int64`, the images' positions in the data set.

    Args:
        momentum: m.
        first_steps: the number of steps in the first epoch. With 0, an image's first eta is z of the weights that
            first see it.
    """

    def __init__(self, momentum: float, first_steps: int = 0) -> None:
        super().__init__()
        self.momentum, self.first_steps = momentum, first_steps

    def lookahead_window(self, step: int) -> range:
        return range(self.first_steps) if step < self.first_steps else range(0)

    def table_shape(self, num_examples: int, global_batch_size: int, d: int) -> tuple[int, ...]:
        return num_examples, d

    def remember(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> None:
        self._write(batch["index"], tf.add_n([normalize(view) for view in z]) / len(z))

    def __call__(self, batch: dict[str, Any], z: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        old = self._read(batch["index"])  # [B, d]
        newest = [tf.stop_gradient(tf.cast(normalize(view), old.dtype)) for view in z]
        eta = tuple(self.momentum * old + (1.0 - self.momentum) * view for view in newest)
        self._write(batch["index"], tf.add_n(eta) / len(eta))
        return eta


def make_targets(alternation_steps: int = 1, eta_momentum: float = 0.0, eta_first_steps: int = 0) -> Targets:
    """Makes the targets of a run.

    Args:
        alternation_steps: the number of SGD steps that use targets computed before the first of them.
        eta_momentum: m of the moving average; 0 for none.
        eta_first_steps: the number of steps whose images begin the moving average with z of the untrained network.
    """
    if eta_momentum:
        return MovingAverageTargets(eta_momentum, eta_first_steps)
    return CachedTargets(alternation_steps) if alternation_steps > 1 else Targets()
