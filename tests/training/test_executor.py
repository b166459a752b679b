"""How a step waits for its images, and what is said of a step that a device has no memory for."""

import time
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


class Clock:
    """A method whose step says when it began. Like an op of a network, its clock waits for its inputs alone."""

    step_log_names = ("began", LEFT_OUT)
    scales_loss = False

    def __init__(self):
        self.trackers, self.weight = {LEFT_OUT: Count(LEFT_OUT)}, tf.Variable(0.0)

    def train_step(self, _):
        began = tf.numpy_function(lambda _: time.time(), [self.weight], tf.float64, stateful=False)
        return {"began": tf.ensure_shape(began, []), LEFT_OUT: tf.zeros([], tf.float64)}

    def accumulate_step(self, _):
        return None


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_begins_after_the_wait_for_its_batch_was_measured(parts, replicas, monkeypatch):
    """Otherwise one thread may do the whole step before it reads the clock, and the step counts as waiting."""
    monkeypatch.setattr("keras.config.floatx", lambda: "float64")
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])

    def slowly(x):
        return tf.numpy_function(lambda x: time.sleep(0.05) or x, [x], tf.int64)

    batches = strategy.experimental_distribute_dataset(tf.data.Dataset.range(16).map(slowly).batch(2))
    devices = SimpleNamespace(accumulate_steps=parts, deterministic=False, jit="off")
    executor = Executor(Clock(), strategy, iter(batches), lambda batch: batch, devices)
    waits = []
    for _ in range(8 // parts):
        before = time.time()
        logs, seconds_waited, _ = executor(1)
        assert logs["began"] >= before + 0.9 * seconds_waited
        waits.append(seconds_waited)
    assert max(waits) > 0.05


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
