"""eta, what a view's prediction is compared with (paper Sec. 5.1): the other view's z, of now or of earlier weights."""

import keras
import tensorflow as tf

from simsiam_tf.losses.simsiam import normalize


class Targets:
    """SimSiam itself: each view's target is z of the present weights (paper Sec. 5.1, "one-step alternation").

    Those that remember do so in a table in the host's memory, which all of its replicas share: each works on the rows
    of its own images.

    Attributes:
        table: what is remembered, one row for each image of `table_shape`, or `None`.
    """

    table: tf.Variable | None = None

    def turn(self, step: int) -> range:
        """The steps, one of them given, whose batches are remembered before the first is trained on; empty: none."""
        return range(0)

    def remember(self, batch: dict, z: tuple[tf.Tensor, ...]) -> None:
        """Keeps z of each view `[B, d]` for the step that the batch belongs to."""
        raise NotImplementedError(f"{type(self).__name__} has no turns.")

    def table_shape(self, num_examples: int, global_batch_size: int, d: int) -> tuple[int, ...] | None:
        """The shape of the table that is needed, or `None`.

        Args:
            num_examples: N, the images trained on.
            global_batch_size: images of a step.
            d: width of z.
        """
        return None

    def __call__(self, batch: dict, z: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """eta of each view `[B, d]`, given z of each, `[B, d]`."""
        return z

    def _read(self, rows):
        if self.table is None:
            raise ValueError("The targets need their table; call the model's make_table before its first step.")
        with tf.device("/cpu:0"):
            return tf.gather(self.table, rows)

    def _write(self, rows, values):
        with tf.device("/cpu:0"):
            self.table.scatter_nd_update(rows[:, tf.newaxis], tf.cast(values, self.table.dtype))


class CachedTargets(Targets):
    """Alternation in longer turns: eta of the next k steps' images is computed first, then k SGD steps use it.

    Paper Sec. 5.2, "Multi-step alternation". Batches must hold `position`, `[B] int64`: that of each image in the
    sequence of all that the run trains on.

    Args:
        steps: k.
    """

    def __init__(self, steps: int):
        self.steps = steps

    def turn(self, step):
        start = step // self.steps * self.steps
        return range(start, start + self.steps)

    def table_shape(self, num_examples, global_batch_size, d):
        return self.steps * global_batch_size, 2, d

    def remember(self, batch, z):
        self._write(self._rows(batch), tf.stack(z, axis=1))

    def __call__(self, batch, z):
        return tuple(tf.unstack(self._read(self._rows(batch)), axis=1))  # [B, 2, d]

    def _rows(self, batch):
        return batch["position"] % self.table.shape[0]


class MovingAverageTargets(Targets):
    """eta of an image is a moving average over its views of earlier epochs: eta <- m eta + (1 - m) F(T'(x)).

    Paper Sec. 5.2, "Expectation over augmentations", where it stands in for the predictor. z counts as z / |z|. What
    view 1 is compared with holds view 2 as its newest part, and the other way round; the table takes the mean of both.
    The first eta, which the first weights are fitted to (Sec. 5.1, Eq. 7), is of the untrained network: in the first
    epoch z of the present weights alone would be SimSiam without a predictor, on its way to collapse.
    Batches must hold `index`, `[B] int64`, the images' positions in the data set.

    Args:
        momentum: m.
        first_steps: steps of the first epoch; 0: an image's first eta is z of the weights that first see it.
    """

    def __init__(self, momentum: float, first_steps: int = 0):
        self.momentum, self.first_steps = momentum, first_steps

    def turn(self, step):
        return range(self.first_steps) if step < self.first_steps else range(0)

    def table_shape(self, num_examples, global_batch_size, d):
        return num_examples, d

    def remember(self, batch, z):
        self._write(batch["index"], tf.add_n([normalize(view) for view in z]) / len(z))

    def __call__(self, batch, z):
        old = self._read(batch["index"])  # [B, d]
        newest = [tf.stop_gradient(tf.cast(normalize(view), old.dtype)) for view in z]
        eta = tuple(self.momentum * old + (1.0 - self.momentum) * view for view in newest)
        self._write(batch["index"], tf.add_n(eta) / len(eta))
        return eta


def make_targets(alternation_steps: int = 1, eta_momentum: float = 0.0, eta_first_steps: int = 0) -> Targets:
    """The targets of a run.

    Args:
        alternation_steps: SGD steps that use targets computed before the first of them.
        eta_momentum: m of the moving average; 0: none.
        eta_first_steps: those whose images the moving average begins with as the untrained network has them.
    """
    if eta_momentum:
        return MovingAverageTargets(eta_momentum, eta_first_steps)
    return CachedTargets(alternation_steps) if alternation_steps > 1 else Targets()


def make_table(shape: tuple[int, ...]) -> tf.Variable:
    """A table of zeros in the host's memory; to be called outside of the strategy's scope."""
    with tf.device("/cpu:0"):
        return tf.Variable(tf.zeros(shape, keras.config.floatx()), trainable=False, name="targets")
