import pytest

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.distribute.xla import compiles_step
from simsiam_tf.errors import UsageError


def test_the_step_is_compiled_only_where_that_works(two_replicas):
    assert not compiles_step(ONE_DEVICE, "auto")
    assert not compiles_step(two_replicas, "off")
    with pytest.raises(UsageError, match=r"--jit=on needs one replica, or a TPU. Received: 2 replicas"):
        compiles_step(two_replicas, "on")
