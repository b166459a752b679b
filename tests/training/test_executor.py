"""How a step waits for its images, and what is said of a step that a device has no memory for."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from simsiam_tf.cli.failures import sentence
from simsiam_tf.errors import StepTooLarge
from simsiam_tf.methods.base import LEFT_OUT
from simsiam_tf.methods.running_mean import Count
from simsiam_tf.training.executor import Executor

OOM = "{{function_node f}} {{node Conv2D}} OOM when allocating tensor with shape[512,64]\n\t[[more]]"


def failing(error, images=6, parts=2):
    """An executor of batches of some images whose devices fail."""

    def fail(*_):
        raise error

    executor = object.__new__(Executor)
    executor._model = SimpleNamespace(trackers={LEFT_OUT: Count(LEFT_OUT)})
    executor._parts, executor._execute, executor._measures_waiting = parts, fail, False
    executor._iterator = iter(
        tf.data.Dataset.from_tensors({"views": tf.zeros([images, 2, 2, 3]), "index": [0] * images})
    )
    return executor


class Method:
    """A method whose step returns its batch as a log."""

    step_log_names = ("batch", LEFT_OUT)
    scales_loss = False

    def __init__(self):
        self.trackers = {LEFT_OUT: Count(LEFT_OUT)}

    def train_step(self, batch):
        return {"batch": tf.reduce_prod(batch), LEFT_OUT: tf.zeros([])}

    def accumulate_step(self, batch):
        tf.math.digamma(batch)


def ancestors(op):
    """All ops that an op waits for."""
    found, left = set(), [op]
    while left:
        new = {tensor.op for tensor in left[-1].inputs} | set(left.pop().control_inputs)
        left += new - found
        found |= new
    return found


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_waits_until_the_wait_for_its_batch_was_measured(parts, replicas):
    """Otherwise one thread may do the whole step before it reads the clock, and the step counts as waiting."""
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    numbers = tf.data.Dataset.range(16).map(lambda x: tf.cast(x, tf.float32)).batch(2)
    batches = iter(strategy.experimental_distribute_dataset(numbers))
    devices = SimpleNamespace(accumulate_steps=parts, deterministic=False, jit="off")
    executor = Executor(Method(), strategy, batches, lambda batch: batch, devices)
    graph = tf.function(executor._one_step, autograph=False).get_concrete_function(batches).graph
    for kind, steps in ("Prod", 1), ("Digamma", parts - 1):
        of_steps = [op for op in graph.get_operations() if op.type == kind]
        assert len(of_steps) == steps * replicas
        for op in of_steps:  # before the wait, and after it
            assert len([other for other in ancestors(op) if other.type == "Timestamp"]) >= 2
    logs, seconds_waited, _ = executor(1)
    of_both = {1: (0.0, 6.0), 2: (0.5, 2.5)}  # the product of a batch, and the mean over replicas of one image
    assert logs["batch"] == of_both[replicas][parts - 1]
    assert seconds_waited >= 0


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.ResourceExhaustedError(None, None, OOM),
        tf.errors.ResourceExhaustedError(None, None, "Out of memory while trying to allocate 9 bytes."),
        tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
    ],
)
def test_a_step_that_is_too_large_says_the_batch_and_the_flags(error):
    with pytest.raises(StepTooLarge) as failed:
        failing(error)(1)
    said = sentence(failed.value)
    assert said.startswith("A replica has too little memory for 6 images at a time; lower --global_batch_size")
    assert "(--accumulate_steps=4 asks for 3 at a time)" in said
    assert "--precision=bfloat16" in said
    assert "\n" not in said
    assert "{{" not in said


def test_a_batch_that_cannot_be_halved_gets_no_number():
    with pytest.raises(StepTooLarge, match=r"raise --accumulate_steps, or compute") as failed:
        failing(tf.errors.ResourceExhaustedError(None, None, OOM), images=5)(1)
    assert str(failed.value).endswith("Received: OOM when allocating tensor with shape[512,64].")


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError(None, None, "/a; No space left on device")])
def test_other_errors_are_as_they_were(error):
    with pytest.raises(type(error)):
        failing(error)(1)
