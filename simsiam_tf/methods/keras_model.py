"""Does what Keras asks of any model, for all methods: checks options, compiles, saves and loads."""

import contextlib
import logging
import types
from collections.abc import Iterator
from typing import Any, Self

import keras
import tensorflow as tf

from simsiam_tf.config.methods import MethodConfig
from simsiam_tf.errors import check, names_its_options
from simsiam_tf.methods.options import keeps_its_options
from simsiam_tf.methods.simsiam_targets import Targets
from simsiam_tf.networks.tracked import TracksItsVariables
from simsiam_tf.optim import SGD

_log = logging.getLogger(__name__)


class KerasMethod(TracksItsVariables, keras.Model):
    """Checks a method's arguments, compiles it, and saves and loads it whole, so that training goes on.

    Attributes:
        options: the arguments of the constructor by name, without `backbone` and `name`.
    """

    # The settings of the same names, whose rules hold for the constructor's arguments; None checks nothing.
    config_class: type[MethodConfig] | None = None
    options: types.MappingProxyType[str, Any]
    backbone: keras.Model
    # The targets of single images, where they outlive their step (Sec. 5.2); they are no variables of the model.
    targets: Targets | None = None
    accumulators: list[tf.Variable]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            names_its_options(keeps_its_options(cls))
        keras.saving.register_keras_serializable(package=cls.__module__.partition(".")[0])(cls)

    def build(self, input_shape: Any = None) -> None:
        """Does nothing but mark the model as built: the constructor has made every variable."""
        self.built = True

    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool = False,
        auto_scale_loss: bool = True,
    ) -> None:
        """Compiles the model as Keras does, but without a loss, and without XLA unless asked for.

        On a CPU XLA is slower, and under tensorflow-tpu it fails.

        Args:
            optimizer: the optimizer; by default the paper's at batch 256, `SGD(0.05, 0.9, 1e-4)` (Sec. 3).
            loss: must be left out; the method has its own loss.
            loss_weights: must be left out.
            metrics: must be left out; the method logs its own metrics.
            weighted_metrics: must be left out.
            run_eagerly: whether steps run without a graph, for debugging.
            steps_per_execution: the number of steps that run before Keras returns to Python.
            jit_compile: whether XLA compiles the step.
            auto_scale_loss: whether Keras scales the loss in float16. It has no effect on
                `simsiam_tf.SGD(scale_loss=True)`, which scales the loss itself.

        Raises:
            ValueError: if there is a loss or a metric.
        """
        own = {"loss": loss, "loss_weights": loss_weights, "metrics": metrics, "weighted_metrics": weighted_metrics}
        for name, value in own.items():
            rule = f"compile() takes no {name}: {type(self).__name__} computes its own loss, and logs its own metrics."
            check(not value, rule, f"{name}={value!r}")
        if optimizer is None:
            optimizer = SGD(0.05, sgd_momentum=0.9, weight_decay=1e-4)
            _log.warning("compile() was given no optimizer; it takes SGD(0.05, sgd_momentum=0.9, weight_decay=1e-4).")
        super().compile(
            optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss and not getattr(optimizer, "scales_loss", False),
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles the model with what was saved of `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor and the arithmetic, for serialisation."""
        backbone = keras.saving.serialize_keras_object(self.backbone)
        arithmetic = {"dtype": self.dtype_policy.name, "floatx": keras.config.floatx()}
        return {**super().get_config(), **self.options, **arithmetic, "backbone": backbone}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """Makes a method from what `get_config` returned.

        Raises:
            ValueError: if the method was saved under another `keras.config.floatx()`, in which schedules are computed.
        """
        config = dict(config)
        floatx, trainable = config.pop("floatx"), config.pop("trainable")
        rule = f"This model computes in {floatx}; call keras.config.set_floatx({floatx!r}) before it is loaded."
        check(keras.config.floatx() == floatx, rule, keras.config.floatx())
        with _dtype_policy(config.pop("dtype")):
            backbone = keras.saving.deserialize_keras_object(config.pop("backbone"), custom_objects)
            model = cls(backbone=backbone, **config)
        model.trainable = trainable
        return model

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables that are no layer's into an opened file: MoCo's queue, the targets of Sec. 5.2."""
        super().save_own_variables(store)
        if self.targets is not None and self.targets.table is not None:
            store["targets"] = self.targets.table.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        values = {name: store[name] for name in store.keys()}  # noqa: SIM118 - Keras gives no mapping
        table = values.pop("targets", None)
        super().load_own_variables(values)
        if table is not None and self.targets is not None:
            self.targets.make_table(table.shape)
            self.targets.existing_table.assign(table[...])

    def _variables_by_path(self) -> dict[str, Any]:
        variables = [*self.variables, *self.metrics_variables]
        accumulators = {f"accumulator_{i}": total for i, total in enumerate(self.accumulators)}
        return {variable.path: variable for variable in variables} | accumulators


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Has layers that are made in the `with` block compute by a dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
