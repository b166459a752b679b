import tensorflow as tf

from simsiam_tf import distribute


class TwoHosts:
    """What `dataset_of` uses of a strategy with two replicas on each of two hosts."""

    def distribute_datasets_from_function(self, make):
        contexts = [tf.distribute.InputContext(2, host, 4) for host in (0, 1)]
        return [make(context) for context in contexts]


def test_each_host_reads_the_shares_of_its_own_replicas():
    shares = distribute.dataset_of(TwoHosts(), lambda share: share, 32)
    assert shares == [distribute.Share(8, 2, 0), distribute.Share(8, 2, 2)]


def test_one_device_has_the_whole_batch():
    share = distribute.dataset_of(tf.distribute.get_strategy(), lambda share: share, 32)
    assert share == distribute.Share(32, 1, 0)
