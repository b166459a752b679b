import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.distribute.input import Share, dataset_of, per_replica_batch_size
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError


class TwoHosts:
    """What `dataset_of` uses of a strategy with two replicas on each of two hosts."""

    def distribute_datasets_from_function(self, make):
        contexts = [tf.distribute.InputContext(2, host, 4) for host in (0, 1)]
        return [make(context) for context in contexts]


def test_each_host_reads_the_shares_of_its_own_replicas():
    shares = dataset_of(TwoHosts(), lambda share: share, 32)
    assert shares == [Share(8, 2, 0, 4), Share(8, 2, 2, 4)]


def test_one_device_has_the_whole_batch():
    share = dataset_of(ONE_DEVICE, lambda share: share, 32)
    assert share == Share(32, 1, 0, 1)


def test_hosts_and_parts_share_the_batch_without_overlap_or_loss():
    order = ShuffledOrder(96, 32, seed=0)

    def of_host(share):
        return list(order.steps(share, 1, 3).as_numpy_iterator())

    hosts = dataset_of(TwoHosts(), of_host, 32, parts=2)
    for step in (1, 2):
        for part in range(2):
            # Each host's next two batches of 4, one for each of its replicas: 16 images a part.
            first = 4 * (step - 1) + 2 * part
            found = np.sort(np.concatenate([batch for host in hosts for batch in host[first : first + 2]]))
            np.testing.assert_array_equal(found, 32 * step + 16 * part + np.arange(16))


def test_uneven_shares_are_refused():
    with pytest.raises(UsageError, match=r"replicas \(2\) times --accumulate_steps \(3\). Received: 32; .* 30 and 36"):
        per_replica_batch_size(32, 2, 3)


def test_a_batch_smaller_than_its_shares_is_never_told_to_be_zero():
    with pytest.raises(UsageError, match=r"Received: 4; the nearest is 6\."):
        per_replica_batch_size(4, 2, 3)
