"""Lowers the training step to StableHLO, the program that XLA would compile, for devices that have no TensorFlow.

It is used by tpu_compile.py, pjrt_run.py and scaling.py.
"""

import contextlib
import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import harness  # noqa: F401 - puts the package on the path
import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.framework import auto_control_deps_utils as acd_utils

from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import Policy
from simsiam_tf.config.run import Config
from simsiam_tf.training import factory


class _Replica:
    """Stands in for the replica context of a TPUStrategy, with what our code and Keras use of it."""

    def __init__(self, count: int):
        self.num_replicas_in_sync = count
        self._everyone = [list(range(count))]

    def all_reduce(self, _, value):
        """Sums a value over all replicas."""

        @tf.custom_gradient
        def summed(x):
            def once(t):
                return gen_xla_ops.xla_all_reduce(t, self._everyone, reduce_op="Add", mode="CrossReplica")

            return once(x), once

        return tf.nest.map_structure(summed, value)


@contextlib.contextmanager
def as_one_of(replicas: int) -> Iterator[None]:
    """Traces code inside a `with` block as if it ran on one of several TPU cores.

    Args:
        replicas: the number of TPU cores.
    """
    replica = _Replica(replicas)
    with (
        mock.patch.object(tf.distribute, "get_replica_context", lambda: replica),
        mock.patch("simsiam_tf.distribute.collectives.num_replicas", lambda: replicas),
    ):
        yield


@dataclasses.dataclass(frozen=True)
class Program:
    """Holds a lowered step as a pure function: variables are among its arguments and results.

    Attributes:
        text: the program in StableHLO. Its arguments are the inputs and then the state. Its results are the step's own,
            in the order of their names, and then the new values of the variables that the step assigns.
        state: the name and value of each argument after the inputs.
        updated: for each result after the step's own, the place in `state` that it is the new value of.
        results: the number of the step's own results.
    """

    text: str
    state: list[tuple[str, np.ndarray]]
    updated: list[int]
    results: int


def lower(function: Callable, inputs: Sequence[Any], variables: dict[str, tf.Variable], replicas: int = 1) -> Program:
    """Lowers a function of tensors, which may use variables, to a StableHLO program.

    Args:
        function: a function that returns a dictionary of tensors.
        inputs: a `tf.TensorSpec` for each tensor, nested as the function takes them.
        variables: the variables, by name.
        replicas: the number of replicas that take part.

    Returns:
        The program.

    Raises:
        RuntimeError: if the program's results are not those that are expected.
    """
    flat = tf.nest.flatten(list(inputs))

    def of_flat(*arguments):
        return function(*tf.nest.pack_sequence_as(list(inputs), list(arguments)))

    compiled = tf.function(of_flat, jit_compile=True, autograph=False)
    with as_one_of(replicas) if replicas > 1 else contextlib.nullcontext():
        concrete = compiled.get_concrete_function(*flat)
        text = compiled.experimental_get_compiler_ir(*flat)(stage="stablehlo")
    names = {id(variable.handle): name for name, variable in variables.items()}
    by_handle = {id(variable.handle): variable for variable in concrete.variables}
    state, assigned = [], []
    for i, captured in enumerate(concrete.captured_inputs):
        variable = by_handle.get(id(captured))
        value = captured.numpy() if variable is None else variable.numpy()
        if variable is not None:
            assigned.append(i)
        state.append((names.get(id(captured), f"constant{i}"), value))
    # Variables that are only read are not among the results.
    only_read = acd_utils.get_read_only_resource_input_indices_graph(concrete.graph)
    updated = [i for i in range(len(state)) if len(flat) + i not in only_read and i in assigned]
    results = len(tf.nest.flatten(concrete.structured_outputs))
    found = len(re.findall("tensor<", _signature(text).partition("->")[2]))
    if found != results + len(updated):
        raise RuntimeError(f"The program has {found} results, {results} of its own, and assigns {len(updated)} states.")
    # jaxlib does not know TensorFlow's mhlo.copy. A reshape to the same shape does the same.
    text = re.sub(r"mhlo\.copy (%\S+) : (tensor<[^>]*>)", r"stablehlo.reshape \1 : (\2) -> \2", text)
    return Program(_with_unpacked_booleans(text), state, updated, results)


def _with_unpacked_booleans(text: str) -> str:
    """Gives each boolean of a constant a byte, as jaxlib's newer parser reads them; TensorFlow writes 8 in a byte."""

    def unpacked(match: re.Match) -> str:
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(match[1]), np.uint8), bitorder="little")
        count = int(np.prod([int(side) for side in re.findall(r"(\d+)x", match[2])]))
        return match[0] if 8 * len(match[1]) // 2 < count else f'dense<"0x{bits[:count].tobytes().hex()}"> : {match[2]}'

    return re.sub(r'dense<"0x([0-9A-F]+)"> : (tensor<(?:\d+x)+i1>)', unpacked, text)


def _signature(text):
    return next(line for line in text.splitlines() if "func.func" in line and "@main" in line)


def step_inputs(views: tuple[Policy, ...], batch_size: int, size: int, whole: int) -> dict[str, Any]:
    """Describes the batch that a replica gets before its views are made.

    Args:
        views: a policy for each view.
        batch_size: the number of images of one replica.
        size: the side of the views, in pixels.
        whole: the side of whole images in pixels, which the step crops; 0 if the batch has a crop for each view.

    Returns:
        The batch, with a `tf.TensorSpec` in place of each tensor.
    """
    sample = tf.function(lambda epoch, index: augment_views.sample_views(views, 0, epoch, index))
    index = tf.TensorSpec([batch_size], tf.int64)
    outputs = sample.get_concrete_function(tf.TensorSpec([], tf.int64), index).structured_outputs
    parameters = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), outputs)
    if whole:
        parameters = tuple({**p, "box": tf.TensorSpec([batch_size, 4], tf.float32)} for p in parameters)
    sides = [whole] if whole else [policy.side(size) for policy in views]
    images = tuple(tf.TensorSpec([batch_size, side, side, 3], tf.uint8) for side in sides)
    return {"images": images, "parameters": parameters, "index": index}


def make_trainer(config: Config, steps_per_epoch: int):
    """Makes the model of a run with its optimizer.

    Args:
        config: the settings of the run.
        steps_per_epoch: the number of steps in an epoch.

    Returns:
        The model, and all its variables by name.
    """
    factory.set_precision(config.devices.precision)
    tf.keras.utils.set_random_seed(config.run.seed)
    model = factory.make_compiled_model(config, steps_per_epoch)
    held = {"model": model.variables, "optimizer": model.optimizer.variables, "averages": model.metrics_variables}
    return model, {f"{kind}/{v.path}": v.value for kind, group in held.items() for v in group}


def forward_operations(model, size) -> int:
    """Counts the operations of convolutions and dense layers in the forward pass of one view of one image.

    A product and its sum are two operations. The backward pass takes twice as many.
    """

    def forward(x):
        return [model.predictor(z) for z in model.encode((x,))]

    spec = tf.TensorSpec([1, size, size, 3], tf.keras.config.floatx())
    count = 0
    for op in tf.function(forward, autograph=False).get_concrete_function(spec).graph.get_operations():
        if op.type in ("Conv2D", "MatMul"):
            weights = op.inputs[1].shape  # [kernel, kernel, in, out], or [in, out]
            count += 2 * math.prod(op.outputs[0].shape[1:]) * math.prod(weights[:-1])
    return count
