import urllib.error

import pytest
import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.distribute.strategy import ONE_DEVICE, has_accelerator, make_strategy
from simsiam_tf.errors import UsageError

TWO_WORKERS = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": %d}}'


@pytest.mark.parametrize(
    ("devices", "cluster", "message"),
    [
        ({"strategy": "multiworker"}, None, "needs TF_CONFIG .* Received: no TF_CONFIG"),
        ({"strategy": "multiworker"}, '{"cluster": {"worker": ["a:1"]}}', "at least two workers"),
        ({"strategy": "auto"}, "{worker: a}", "TF_CONFIG must be JSON"),
        ({}, '{"cluster": {"worker": ["a:1", "b:1"]}}', "TF_CONFIG must be JSON .* another index on each machine"),
        ({}, TWO_WORKERS % 2, "TF_CONFIG must be JSON .* another index on each machine"),
        ({"cpu_devices": 2}, TWO_WORKERS % 0, "--cpu_devices must be 1 with several workers. Received: 2"),
        ({"cpu_devices": 2, "tpu": "local"}, None, "--cpu_devices must be 1 with a TPU. Received: 2"),
    ],
)
def test_a_cluster_that_is_none_is_refused(monkeypatch, devices, cluster, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if cluster is not None:
        monkeypatch.setenv("TF_CONFIG", cluster)
    with pytest.raises(UsageError, match=message):
        make_strategy(DeviceConfig(**devices))


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("Name or service not known"),
        ValueError("no TPU"),
        ImportError("googleapiclient must be installed\nbefore using the TPU cluster resolver."),
        RuntimeError("timed out"),
        tf.errors.UnavailableError(None, None, "failed to connect"),
        Exception("The Application Default Credentials are not available."),  # oauth2client's own kind
    ],
)
def test_a_tpu_that_cannot_be_reached_is_refused(monkeypatch, error):
    def unreachable(tpu):
        raise error

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", unreachable)
    with pytest.raises(
        UsageError, match=r"^--tpu must name a TPU that can be reached \([^\n]+[^.]\)\. Received: 'local'\.$"
    ):
        make_strategy(DeviceConfig(tpu="local"))


def test_one_device_is_tensorflow_s_default_strategy(monkeypatch, two_replicas):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert make_strategy(DeviceConfig(strategy="one")) is ONE_DEVICE is tf.distribute.get_strategy()
    assert not has_accelerator(ONE_DEVICE)
    assert not has_accelerator(two_replicas)
