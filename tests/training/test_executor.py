"""What is said of a step that a device has no memory for."""

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
